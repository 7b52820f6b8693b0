"""Many devices at once from a workbook: read, tried without a trace, then made, all of them or none."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import openpyxl
import shapely
from openpyxl.styles import Font, PatternFill
from sqlalchemy import Connection, text

from services.devices import service
from services.web import workbooks
from twin import catalogue, devices, products, things
from twin.errors import BadRequest, Conflict, Forbidden, Unreadable
from twin.products import Product
from twin.scope import Actor, sees
from twin.settings import settings

TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS, MAX_BYTES = 10_000, 8 << 20
# Field, heading, width.
COLUMNS = (
    ("product", "产品标识", 18), ("device", "设备标识", 22), ("name", "名称", 26),
    ("lon", "经度", 12), ("lat", "纬度", 12), ("thing", "已有设施编码", 22), ("watches", "监测对象编码", 22),
)  # fmt: skip
_GIVEN = (
    ("product", "产品标识", 18), ("device", "设备标识", 22), ("code", "编码", 22),
    ("username", "用户名", 30), ("password", "密码", 40), ("topic", "主题", 48),
)  # fmt: skip


@dataclass(kw_only=True)
class Row:
    """One line of the workbook."""

    line: int
    product: str
    device: str
    name: str | None = None
    lon: float | None = None
    lat: float | None = None
    thing: str | None = None
    watches: str | None = None
    faults: list[str] = field(default_factory=list)

    def said(self) -> dict[str, Any]:
        """Return the line as the page shows it."""
        return {"line": self.line, "product": self.product, "device": self.device,
                "name": self.name, "lon": self.lon, "lat": self.lat, "thing": self.thing,
                "faults": self.faults}  # fmt: skip


def _book(columns: Sequence[tuple[str, str, int]], rows: Sequence[Mapping[str, Any]]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([head for _, head, _ in columns])
    for i, (_, _, width) in enumerate(columns, 1):
        cell = sheet.cell(1, i)
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E8F1EA")
        sheet.column_dimensions[cell.column_letter].width = width
    sheet.freeze_panes = "A2"
    for row in rows:
        sheet.append([row.get(name) for name, _, _ in columns])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def template() -> bytes:
    """Return an empty workbook with two lines that show how it is filled in."""
    return _book(
        COLUMNS,
        [
            {"product": "bin_level", "device": "BIN-0001", "name": "南京东路 1 号箱", "lon": 121.4737, "lat": 31.2304},
            {"product": "toilet_odour", "device": "WC-0001", "thing": "310101-SE-000001"},
        ],
    )  # fmt: skip


def read(raw: bytes) -> list[Row]:
    """Return the rows of a workbook; Unreadable says where it cannot be understood."""
    lines = workbooks.lines(raw, "A list of devices", max_bytes=MAX_BYTES, max_lines=MAX_ROWS + 2)
    heads = _heads(lines[0])
    rows = [_row(heads, line, i) for i, line in enumerate(lines[1:], 2) if any(line)]
    if not rows or len(rows) > MAX_ROWS:
        raise Unreadable(f"The sheet has 1 to {MAX_ROWS} devices; this one has {len(rows)}.")
    return rows


def _heads(line: tuple[Any, ...]) -> dict[str, int]:
    known = {head: name for name, head, _ in COLUMNS} | {name: name for name, _, _ in COLUMNS}
    heads = {known[str(v).strip()]: i for i, v in enumerate(line) if str(v).strip() in known}
    missing = {"product", "device"} - set(heads)
    if missing:
        raise Unreadable(f"Line 1 lacks {', '.join(sorted(missing))}; take the template.")
    return heads


def _row(heads: Mapping[str, int], line: tuple[Any, ...], number: int) -> Row:
    def said(name: str) -> str:
        place = heads.get(name)
        value = line[place] if place is not None and place < len(line) else None
        return "" if value is None else str(value).strip()

    made = Row(
        line=number, product=said("product"), device=said("device"), name=said("name")[:120] or None,
        thing=said("thing") or None, watches=said("watches")[:64] or None,
    )  # fmt: skip
    for name, most in (("lon", 180.0), ("lat", 90.0)):
        if said(name):
            try:
                value = float(said(name))
            except ValueError:
                made.faults.append(f"{name}: {said(name)[:20]!r} is no number")
                continue
            if not abs(value) <= most:
                made.faults.append(f"{name}: {value:g} is not within ±{most:g}")
            setattr(made, name, value)
    return made


def check(conn: Connection, actor: Actor, rows: Sequence[Row]) -> dict[str, Any]:
    """Write what is wrong beside each row; return the whole as the page shows it."""
    running = products.running(conn)
    taken = _taken(conn, rows)
    there = _there(conn, [row.thing for row in rows if row.thing])
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        row.faults += _faults(conn, actor, row, (running, taken, there))
        key = (row.product, row.device)
        if key in seen:
            row.faults.append(f"the same device stands in line {seen[key]}")
        seen.setdefault(key, row.line)
    wrong = [row for row in rows if row.faults]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.product] = counts.get(row.product, 0) + (not row.faults)
    return {
        "rows": len(rows), "wrong": len(wrong), "products": counts,
        "lines": [row.said() for row in (wrong[:500] or rows[:50])],
        "points": [[row.lon, row.lat] for row in rows if row.lon is not None and not row.faults],
    }  # fmt: skip


def _taken(conn: Connection, rows: Sequence[Row]) -> set[tuple[str, str]]:
    asked = text(
        "select d.product, d.device from twin.device d join unnest(cast(:p as text[]), "
        "cast(:d as text[])) as u (p, d) on u.p = d.product and u.d = d.device"
    )
    said = {"p": [row.product for row in rows], "d": [row.device for row in rows]}
    return {(row.product, row.device) for row in conn.execute(asked, said)}


def _there(conn: Connection, codes: Sequence[str]) -> dict[str, Any]:
    asked = text(
        "select t.code, t.num, t.kind, t.district, t.street, st_x(t.point) as lon, "
        "st_y(t.point) as lat, d.device from twin.thing t left join twin.device d on d.num = t.num "
        "where t.code = any(:c) and t.gone_at is null"
    )
    return {row.code: row for row in conn.execute(asked, {"c": list(codes)})}


Known = tuple[Mapping[str, Product], set[tuple[str, str]], Mapping[str, Any]]


def _faults(conn: Connection, actor: Actor, row: Row, known: Known) -> list[str]:
    running, taken, there = known
    found: list[str] = []
    product = running.get(row.product)
    if product is None:
        return [f"no product is called {row.product[:40]!r}"]
    try:
        devices.check_names(row.product, row.device)
    except BadRequest as why:
        found.append(why.detail)
    if (row.product, row.device) in taken:
        found.append("this device is there already")
    if row.thing:
        return found + _faults_of_thing(conn, actor, product, there.get(row.thing))
    if (row.lon is None or row.lat is None) and not row.faults:
        found.append("say where it is: lon and lat, or the code of its thing")
    return found


def _faults_of_thing(conn: Connection, actor: Actor, product: Product, thing: Any) -> list[str]:
    kind = catalogue.readable(conn, actor).get(product.kind)
    seen = thing is not None and sees(
        actor, kind, thing.district, thing.street, (thing.lon, thing.lat)
    )
    if not seen or thing.kind != product.kind:
        return [f"there is no {product.kind} of this code that you may see"]
    return [f"this thing has the device {thing.device} already"] if thing.device else []


def run(conn: Connection, actor: Actor, rows: Sequence[Row]) -> bytes:
    """Make every device of the list and return the workbook with what each needs, told this once."""
    said = check(conn, actor, rows)
    if said["wrong"]:
        first = next(row for row in rows if row.faults)
        raise BadRequest(f"Line {first.line}: {first.faults[0]}; nothing was made.")
    given: list[dict[str, Any]] = []
    by_product: dict[str, list[Row]] = {}
    for row in rows:
        by_product.setdefault(row.product, []).append(row)
    for key, mine in sorted(by_product.items()):
        given += _make(conn, actor, products.one(conn, key), mine)
    return _book(_GIVEN, given)


def _make(
    conn: Connection, actor: Actor, product: Product, rows: Sequence[Row]
) -> list[dict[str, Any]]:  # fmt: skip
    there = {
        code: row.num for code, row in _there(conn, [r.thing for r in rows if r.thing]).items()
    }
    nums = {row.device: there[row.thing] for row in rows if row.thing}
    nums |= _new_things(conn, actor, product, [row for row in rows if not row.thing])
    try:
        made = devices.many(
            conn, product.key, [(row.device, nums[row.device]) for row in rows], actor=actor.user
        )
    except Conflict as why:
        raise BadRequest(f"{why.detail} Nothing was made.") from why
    codes = conn.execute(
        text("select num, code from twin.thing where num = any(:n)"), {"n": list(nums.values())}
    )
    code_of = {row.num: row.code for row in codes}
    return [
        {"product": one.product, "device": one.device, "code": code_of[one.num],
         "username": f"{one.product}/{one.device}", "password": one.secret,
         "topic": f"twin/v1/{one.product}/{one.device}/telemetry (:{settings().mqtt_port})"}
        for one in made
    ]  # fmt: skip


def _new_things(
    conn: Connection, actor: Actor, product: Product, rows: Sequence[Row]
) -> dict[str, int]:  # fmt: skip
    if not rows:
        return {}
    kind = catalogue.one(conn, actor, product.kind)
    given = service.given_of(product, kind)
    places = shapely.set_srid(shapely.points([[r.lon, r.lat] for r in rows]), 4326)
    columns: dict[str, list[Any]] = {
        "source_key": [f"{product.key}/{row.device}" for row in rows],
        "name": [row.name or row.device for row in rows],
        "geom": [str(one) for one in shapely.to_wkb(places, hex=True, include_srid=True)],
        **{name: [value] * len(rows) for name, value in given.items()},
    }
    if "watches" in kind.fields and any(row.watches for row in rows):
        columns["watches"] = [row.watches for row in rows]
    things.write(conn, kind, columns, actor=actor.user, source="console")
    found = conn.execute(
        text(
            f"select k.source_key, t.num, t.district, t.street, st_x(t.point) as lon, "
            f"st_y(t.point) as lat from {kind.topic}.{kind.kind} k join twin.thing t on t.num = k.num "
            "where k.source = 'console' and k.source_key = any(:k)"
        ),
        {"k": columns["source_key"]},
    ).all()
    for row in found:
        if not sees(actor, kind, row.district, row.street, (row.lon, row.lat)):
            raise Forbidden(f"{row.source_key} lies outside of the area that you look after.")
    return {row.source_key.partition("/")[2]: int(row.num) for row in found}
