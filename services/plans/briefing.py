"""The briefing (现场简报) as PDF: the moment, numbers, map, warnings, progress, resources, alarms, events, answers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import shapely
from sqlalchemy import Connection, text

from services.plans import service, sketch
from services.web.paper import BAD, GOOD, INK, LEFT, MUTED, WIDTH, Sheet, stamp
from twin import cases, names
from twin.alarms.raising import PROCESS as ALARM
from twin.eventview import PROCESS as EVENT
from twin.plans import report, resources, response
from twin.scope import Actor, scope_sql

LEVELS = {1: "I 级（红）", 2: "II 级（橙）", 3: "III 级（黄）", 4: "IV 级（蓝）"}
SEVERITY = {1: "特急", 2: "紧急", 3: "一般", 4: "轻微"}
MOST_LISTED, MOST_DRAWN = 12, 2_000
Row = Mapping[str, Any]


def made(conn: Connection, actor: Actor, key: str) -> tuple[str, bytes]:
    """Return the code of a response and its briefing at this moment."""
    case = response.find(conn, actor, key)
    said, now = service.show(conn, case, actor), datetime.now(UTC)
    figures = report.made(conn, case)
    area = resources.area_of(conn, case["data"]["warning"])
    card = said["card"] or {
        "lines": [],
        "resources": [],
        "targets": resources.stage(conn, area).targets,
    }
    districts = [one["code"] for one in card.get("targets", ())]
    alarms = _open(conn, actor, ALARM, districts)
    events = _open(conn, actor, EVENT, districts)
    name = (names.people(conn).get(actor.user) or {}).get("zh", actor.user)
    mark = f"{name}（{actor.user}） {stamp(now)}"
    sheet = Sheet("现场简报", said["code"], now, mark)
    sheet.add_page()
    _head(sheet, said, now)
    _numbers(sheet, said, figures, len(alarms), len(events))
    _map(sheet, conn, area, card, alarms, events)
    _warnings(sheet, said)
    _steps(sheet, said)
    _resources(sheet, card)
    _cases(sheet, "区域内报警", alarms)
    _cases(sheet, "区域内未办结事件", events)
    _answers(sheet, said)
    return said["code"], bytes(sheet.output())


def _open(conn: Connection, actor: Actor, process: str, districts: Sequence[str]) -> list[Row]:
    """Return what is open in the districts that the response is about, the gravest first."""
    if process == ALARM and not actor.may("alarm.read"):
        return []
    scope, params = scope_sql(actor, "c", cases.LEVEL)
    rows = conn.execute(
        text(
            "select c.code, c.title, c.severity, c.state, c.opened_at, c.due_at, c.district, "
            'st_x(c.point) as lon, st_y(c.point) as lat from twin."case" c where c.process = :p '
            "and c.closed_at is null and (cardinality(cast(:d as text[])) = 0 or c.district = any(:d)) "
            f"and {scope} order by c.severity, c.opened_at desc limit :most"
        ),
        {**params, "p": process, "d": list(districts), "most": MOST_DRAWN},
    ).mappings()
    return [dict(row) for row in rows]


def _head(sheet: Sheet, said: Row, now: datetime) -> None:
    sheet.say(9, MUTED)
    sheet.cell(WIDTH, 5, "上海市绿化和市容管理局 · 应急指挥 · 现场简报")
    sheet.ln(7)
    sheet.say(20)
    sheet.multi_cell(WIDTH, 9, said["title"], align="L")
    sheet.ln(1)
    sheet.say(10, MUTED)
    parts = [
        said["code"],
        LEVELS[said["severity"]],
        said["state_title"]["zh"],
        f"截至 {stamp(now)}",
    ]
    sheet.cell(WIDTH, 6, " · ".join(parts))
    sheet.ln(6)
    if said["drill"]:
        sheet.say(10.5, BAD)
        sheet.cell(WIDTH, 6, "演练：不是真实险情。")
        sheet.ln(6)
    if not said["verified"]:
        sheet.say(9, MUTED)
        sheet.cell(WIDTH, 5, "预案的等级、数量与时限为本产品工作值，未经核实。")
        sheet.ln(5)
    sheet.rule(2)


def _numbers(sheet: Sheet, said: Row, figures: Row, alarms: int, events: int) -> None:
    answers, forces = figures["answers"], figures["resources"]
    told = [
        ("响应等级", LEVELS[said["severity"]][:-3], INK),
        ("已持续", _span(figures["lasted_s"]), INK),
        ("通知回执", f"{answers['answered']}/{answers['told']}", _ink(answers["answered"], answers["told"])),
        ("力量到位", f"{forces['ready']}/{forces['wanted']}", _ink(forces["ready"], forces["wanted"])),
        ("区域内报警", f"{alarms:,}", BAD if alarms else INK),
        ("未办结事件", f"{events:,}", INK),
    ]  # fmt: skip
    step, y = WIDTH / len(told), sheet.get_y()
    for i, (name, value, ink) in enumerate(told):
        sheet.set_xy(LEFT + i * step, y)
        sheet.say(8.5, MUTED)
        sheet.cell(step, 5, name)
        sheet.set_xy(LEFT + i * step, y + 5)
        sheet.say(17, ink)
        sheet.cell(step, 9, value)
    sheet.set_y(y + 15)


def _ink(part: int, whole: int) -> tuple[int, int, int]:
    return INK if not whole else GOOD if part >= whole else BAD


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "未启动"
    minutes = round(seconds / 60)
    return f"{minutes} 分" if minutes < 60 else f"{minutes // 60} 时 {minutes % 60} 分"


def _map(
    sheet: Sheet,
    conn: Connection,
    area: Row | None,
    card: Row,
    alarms: list[Row],
    events: list[Row],
) -> None:
    wkb = (area or {}).get("area_wkb")
    marks = sketch.Marks(
        targets=[one["point"] for one in card.get("targets", ())],
        resources=[(r["point"], "ready" if r["ready_at"] else "called" if r["called_at"] else "planned")
                   for r in card["resources"]],
        alarms=[((r["lon"], r["lat"]), r["severity"]) for r in alarms if r["lon"] is not None],
        events=[((r["lon"], r["lat"]), r["severity"]) for r in events if r["lon"] is not None],
    )  # fmt: skip
    codes = [one["code"] for one in card.get("targets", ())]
    picture = sketch.png(conn, codes, shapely.from_wkb(wkb) if wkb else None, marks)
    height = WIDTH * sketch.HEIGHT / sketch.WIDTH
    sheet.image(io.BytesIO(picture), LEFT, sheet.get_y(), WIDTH, height)
    sheet.set_y(sheet.get_y() + height + 1.5)
    sheet.say(8, MUTED)
    legend = "⊕ 集结区　□ 计划力量　■ 已调用（紫）/ 已到位（绿）　▲ 报警　● 事件　红线内为预警区域　底图：本系统图层"
    sheet.set_x(LEFT)
    sheet.cell(WIDTH, 5, legend)
    sheet.ln(7)


def _warnings(sheet: Sheet, said: Row) -> None:
    sheet.title_line("预警")
    for one in said["warnings"][-6:]:
        sheet.row([(34, stamp(one["sent"]), MUTED), (24, LEVELS[one["level"]], INK),
                   (WIDTH - 58, one["headline"], INK)])  # fmt: skip
    if not said["warnings"]:
        sheet.row([(WIDTH, said["headline"] or "无官方预警", INK)])
    if said["over_at"]:
        sheet.row(
            [(WIDTH, f"预警已于 {stamp(said['over_at'])} 解除或到期，待指挥长终止响应。", BAD)]
        )
    sheet.rule(1)


def _steps(sheet: Sheet, said: Row) -> None:
    sheet.title_line("预案进展")
    for one in said["steps"]:
        done = one["at"] is not None
        sheet.row([
            (24, f"启动后 {_span(one['after_s'])}", MUTED),
            (100, one["title"]["zh"], INK if done else MUTED),
            (50, f"{stamp(one['at'])} {'系统' if one['by'] == 'system' else one['by']}" if done else "待办",
             GOOD if done else BAD),
        ])  # fmt: skip
    sheet.rule(1)


def _resources(sheet: Sheet, card: Row) -> None:
    sheet.title_line("力量与缺口")
    if not card["lines"]:
        sheet.row([(WIDTH, "尚未启动，未调集力量。", MUTED)])
    for i, one in enumerate(card["lines"]):
        mine = [r for r in card["resources"] if r["line"] == i]
        ready = sum(1 for r in mine if r["ready_at"])
        slow = f"最远 {_span(one['slowest_s'])}" if one.get("slowest_s") is not None else "—"
        way = "路网" if one.get("by", "road") == "road" else "直线估算"
        why = "；".join(f"{r['why']['zh']} {r['n']}" for r in one["reasons"][:3])
        short = f"缺 {one['short']}（{why}）" if one["short"] else "满足"
        sheet.row([(40, one["title"]["zh"], INK), (34, f"需 {one['count']}，有 {one['filled']}，到位 {ready}", INK),
                   (34, f"{slow}（{way}）", MUTED), (66, short, BAD if one["short"] else GOOD)])  # fmt: skip
    sheet.rule(1)


def _cases(sheet: Sheet, title: str, rows: list[Row]) -> None:
    sheet.title_line(f"{title}（{len(rows):,}）")
    for one in rows[:MOST_LISTED]:
        ink = BAD if one["severity"] <= 2 else INK
        sheet.row([(14, SEVERITY[one["severity"]], ink), (34, one["code"], MUTED),
                   (94, one["title"], INK), (32, stamp(one["opened_at"]), MUTED)])  # fmt: skip
    if not rows:
        sheet.row([(WIDTH, "无", MUTED)])
    elif len(rows) > MOST_LISTED:
        sheet.row([(WIDTH, f"另有 {len(rows) - MOST_LISTED:,} 件，见大屏列表。", MUTED)])
    sheet.rule(1)


def _answers(sheet: Sheet, said: Row) -> None:
    silent = [n for n in said["notices"] if not n["acked_at"]]
    sheet.title_line(f"未回执人员（{len(silent)}）")
    for one in silent[:40]:
        name = (one["name"] or {}).get("zh") or one["user"]
        sheet.row([(40, name, INK), (40, one.get("post") or "", MUTED), (60, one.get("unit") or "", MUTED),
                   (34, stamp(one["at"]), MUTED)])  # fmt: skip
    if not silent:
        sheet.row([(WIDTH, "无", MUTED)])
