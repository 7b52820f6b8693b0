"""The closing report of an event as PDF: what, where, when, who, pictures before and after, every step, its seal."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import Connection, text

from services.events import mapsketch, service
from services.web.paper import ACCENT as _ACCENT
from services.web.paper import INK as _INK
from services.web.paper import LEFT, WIDTH, Sheet
from services.web.paper import LINE as _LINE
from services.web.paper import MUTED as _MUTED
from services.web.paper import stamp as _stamp
from twin import cases, names
from twin.errors import NotFound
from twin.eventview import View
from twin.files import path_of
from twin.scope import Actor

LEVELS = {1: "特急", 2: "紧急", 3: "一般", 4: "轻微"}
STAGES = ("发现", "受理", "派发", "处置", "审核", "办结")
SOURCES = {"map": "大屏上报", "open311": "市民上报", "patrol": "巡查上报", "hotline": "12345 热线",
           "camera": "视频告警", "sensor": "物联告警", "satellite": "卫星监测"}  # fmt: skip
PHOTO_PX = 900


def made(conn: Connection, actor: Actor, key: str) -> tuple[str, bytes]:
    """Return the code of an event and its report."""
    case = cases.find(conn, actor, key)
    if case["process"] != cases.CITY:
        raise NotFound("There is no such event, or it is outside your districts.")
    event = View(conn).show(case, actor)
    story = service.story(conn, actor, key)["entries"]
    # Printed with the time of the last change, so that the same event gives the same report.
    sheet = Sheet("办结报告", event["code"], story[-1]["at"])
    sheet.set_creation_date(story[-1]["at"])
    sheet.add_page()
    _head(sheet, event)
    _facts(sheet, event, case, conn)
    _photos(sheet, event["photos"])
    _resources(sheet, case)
    _steps(sheet, story, case, conn)
    _seal(sheet, conn, case)
    return event["code"], bytes(sheet.output())


def _head(sheet: Sheet, event: Mapping[str, Any]) -> None:
    sheet.say(9, _MUTED)
    done = "办结报告" if event["final"] else "办理情况（未办结）"
    sheet.cell(WIDTH, 5, f"上海市绿化和市容管理局 · 城市事件{done}")
    sheet.ln(7)
    sheet.say(20)
    sheet.multi_cell(WIDTH, 9, event["title"], align="L")
    sheet.ln(1)
    sheet.say(10, _MUTED)
    sheet.cell(
        WIDTH, 6, f"{event['code']} · {LEVELS[event['severity']]} · {event['state_title']['zh']}"
    )
    sheet.ln(9)
    step = WIDTH / 6
    y = sheet.get_y()
    for i, word in enumerate(STAGES, 1):
        done_here = i <= event["stage"]
        sheet.set_fill_color(*(_ACCENT if done_here else _LINE))
        sheet.rect(LEFT + (i - 1) * step, y, step - 1.5, 1.6, style="F")
        sheet.set_xy(LEFT + (i - 1) * step, y + 2.2)
        sheet.say(9, _INK if done_here else _MUTED)
        sheet.cell(step, 5, word)
    sheet.set_y(y + 9)


def _facts(sheet: Sheet, event: Mapping[str, Any], case: cases.Case, conn: Connection) -> None:
    place = " ".join(filter(None, (event["district_name"], event["street_name"], event["address"])))
    lon, lat = event["point"]
    spent = _spent(case)
    rows = [
        ("类别", (event["category_title"] or {}).get("zh", event["category"])),
        ("来源", SOURCES.get(event["source"], event["source"])),
        ("位置", place or "未定位"),
        ("坐标", f"{lon:.6f}, {lat:.6f}（WGS-84）" if lon is not None else "—"),
        ("上报时间", _stamp(event["opened_at"])),
        ("办结时间", f"{_stamp(event['closed_at'])}{spent}" if event["closed_at"] else "—"),
        ("承办", event["holder_name"] or event["holder"] or "—"),
        ("返工次数", str(event["reworks"] or 0)),
    ]
    y = sheet.get_y() + 2
    sheet.set_y(y)
    for name, said in rows:
        sheet.say(9, _MUTED)
        sheet.set_x(LEFT)
        sheet.cell(22, 6.4, name)
        sheet.say(10)
        sheet.multi_cell(76, 6.4, said, align="L")
    bottom = sheet.get_y()
    if lon is not None:
        picture = mapsketch.png(conn, lon, lat, event["severity"])
        sheet.image(io.BytesIO(picture), LEFT + 104, y, 70, 52.5)
    sheet.set_y(max(bottom, y + 54))
    if event["description"]:
        sheet.rule(2)
        sheet.say(10.5)
        sheet.multi_cell(WIDTH, 6, event["description"], align="L")
    sheet.rule()


def _spent(case: cases.Case) -> str:
    if not case["closed_at"]:
        return ""
    minutes = round((case["closed_at"] - case["opened_at"]).total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    return f"，历时 {hours} 小时 {rest} 分" if hours else f"，历时 {rest} 分"


def _photos(sheet: Sheet, photos: Sequence[Mapping[str, Any]]) -> None:
    shown = [(p, _picture(p["url"])) for p in photos[:12]]
    shown = [(p, raw) for p, raw in shown if raw is not None]
    if not shown:
        return
    sheet.title_line("现场照片")
    width, height = (WIDTH - 8) / 3, 42.0
    y = sheet.get_y()
    for i, (photo, raw) in enumerate(shown):
        if i and i % 3 == 0:
            y += height + 8
        if y + height > 270:
            sheet.add_page()
            y = sheet.get_y()
        x = LEFT + i % 3 * (width + 4)
        sheet.image(io.BytesIO(raw or b""), x, y, width, height, keep_aspect_ratio=True)
        sheet.set_xy(x, y + height + 0.5)
        sheet.say(8, _MUTED)
        before = str(photo["stage"]) in ("collected", "1")
        sheet.cell(
            width, 4, f"{'处置前' if before else '处置后'} · {photo['url'].rsplit('/', 1)[1][:12]}"
        )
    sheet.set_y(y + height + 7)
    sheet.rule(1)


def _picture(url: str) -> bytes | None:
    """Return a photo small enough to print; one that is gone leaves a gap that the story explains."""
    path = path_of(url.rsplit("/", 1)[-1])
    try:
        with Image.open(path) as picture:
            small = ImageOps.exif_transpose(picture).convert("RGB")
            small.thumbnail((PHOTO_PX, PHOTO_PX))
            out = io.BytesIO()
            small.save(out, "JPEG", quality=80)
    except (OSError, UnidentifiedImageError):
        return None
    return out.getvalue()


def _resources(sheet: Sheet, case: cases.Case) -> None:
    used = case["data"].get("resources") or []
    if not used:
        return
    sheet.title_line("投入资源")
    sheet.say(10)
    for one in used:
        sheet.set_x(LEFT)
        sheet.cell(WIDTH, 6, f"{one['what']}  {one['amount']:g} {one['unit']}")
        sheet.ln(6)
    sheet.rule(1)


def _steps(
    sheet: Sheet, story: Sequence[Mapping[str, Any]], case: cases.Case, conn: Connection
) -> None:
    sheet.title_line("办理经过")
    known = names.things(conn)
    for one in story:
        if sheet.get_y() > 262:
            sheet.add_page()
        y = sheet.get_y()
        sheet.say(9, _MUTED)
        sheet.set_xy(LEFT, y)
        sheet.cell(32, 5.6, _stamp(one["at"]))
        title = (one["title"] or {}).get("zh", one["action"])
        who = one["actor_name"]
        name = who.get("zh") if isinstance(who, dict) else who
        crew = known.get(one["crew"] or "", one["crew"] or "")
        sheet.say(10)
        sheet.cell(34, 5.6, title)
        sheet.say(9, _MUTED)
        sheet.cell(34, 5.6, name or ("系统" if one["actor"] == "system" else one["actor"]))
        sheet.say(9.5)
        sheet.multi_cell(
            WIDTH - 100, 5.6, "；".join(filter(None, (crew, one["note"]))) or "—", align="L"
        )
        sheet.set_y(max(sheet.get_y(), y + 5.6) + 0.6)
    sheet.rule(1)


def _seal(sheet: Sheet, conn: Connection, case: cases.Case) -> None:
    """Say under which numbers of the sealed journal the steps stand."""
    rows = conn.execute(
        text(
            "select s.seq, encode(s.leaf, 'hex') as leaf from twin.journal j "
            "join twin.sealed s on s.entry = j.id where j.subject = :id order by s.seq"
        ),
        {"id": case["id"]},
    ).all()
    sheet.title_line("存证")
    sheet.say(9, _MUTED)
    if not rows:
        sheet.multi_cell(WIDTH, 5, "各步骤已写入日志，封存序号将在一秒内生成。", align="L")
        return
    sheet.multi_cell(
        WIDTH, 5,
        f"本事件 {len(rows)} 条记录封存于日志第 {rows[0].seq} 至 {rows[-1].seq} 号（SM3 哈希链、SM2 签名检查点）。"
        f"末条指纹 {rows[-1].leaf}。归档包内 verify.py 可离线核验。",
        align="L",
    )  # fmt: skip
