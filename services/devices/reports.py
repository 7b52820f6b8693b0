"""Reports over devices: how many values, their range, gaps, availability and alarms of a stretch of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from layers.databases import departments
from twin import deviceview, names, products, units
from twin.errors import BadRequest
from twin.products import Product
from twin.scope import Actor

LONGEST = timedelta(days=92)
HOUR_S = 3600
# The office that looks after the devices of a category of products.
OFFICES = {
    "sanitation": "sanitation_dept", "vehicle": "sanitation_dept", "greening": "greening_dept",
    "forestry": "forestry_dept", "appearance": "appearance_dept", "landscape": "landscape_dept",
    "water": "water_sanitation_dept", "video": "video_centre",
}  # fmt: skip
SENSORS = "iot_centre"
MOST_GROUPS = 2000


def report(
    conn: Connection, actor: Actor, *, product: str | None, district: str | None, by: str,
    start: datetime, end: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Return one line for each group, and one for all of them."""
    if end - start > LONGEST:
        raise BadRequest(f"A report has at most {LONGEST.days} days; ask for less, or export.")
    end = min(end, datetime.now(UTC))
    rows = [
        row for row in deviceview.every(conn, actor, product)
        if district is None or row.district == district
    ]  # fmt: skip
    running = products.running(conn)
    model = running.get(product or "")
    groups = _grouped(rows, _key(by, running))
    presence = _presence(conn, rows, running, start, end)
    alarms = _alarms(conn, [row.num for row in rows], start, end)
    measured = _measured(conn, groups, model, start, end) if model else {}
    titles = _titles(conn, by, running)
    made = [
        _line(key, titles(key, mine), mine, (presence, alarms)) | {"properties": measured.get(key, [])}
        for key, mine in groups.items()
    ]  # fmt: skip
    made.sort(key=lambda one: (-one["devices"], one["title"]["zh"]))
    total = _line("", {"zh": "合计", "en": "All"}, rows, (presence, alarms))
    every = _measured(conn, {"": rows}, model, start, end) if model else {}
    return {
        "by": by, "product": product, "product_title": model.title if model else None,
        "district": district, "from": start, "to": end, "groups": made[:MOST_GROUPS],
        "total": total | {"properties": every.get("", [])}, "at": datetime.now(UTC),
    }  # fmt: skip


def _key(by: str, running: Mapping[str, Product]) -> Callable[[Any], str]:
    if by == "department":
        office = {key: OFFICES.get(one.category, SENSORS) for key, one in running.items()}
        return lambda row: office.get(row.product, SENSORS)
    if by == "device":
        return lambda row: f"{row.product}/{row.device}"
    return lambda row: getattr(row, by) or ""


def _grouped(rows: Sequence[Any], key: Callable[[Any], str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _titles(
    conn: Connection, by: str, running: Mapping[str, Product]
) -> Callable[[str, Sequence[Any]], Mapping[str, str]]:
    if by == "product":
        return lambda key, _: running[key].title if key in running else {"zh": key, "en": key}
    if by == "department":
        offices = departments()
        return lambda key, _: offices[key]
    if by == "device":
        return lambda _, rows: dict.fromkeys(("zh", "en"), rows[0].name or rows[0].device)
    known = names.things(conn) if by in ("district", "street") else {}
    return lambda key, _: dict.fromkeys(("zh", "en"), known.get(key) or key or "—")


def slot_s(model: Product | None) -> int:
    """Return the stretch in which a device should have been heard: its period, whole hours of it."""
    period = model.period_s if model else None
    return max(1, math.ceil((period or HOUR_S) / HOUR_S)) * HOUR_S


_PRESENT = text(
    "with mine as (select * from unnest(cast(:nums as int[]), cast(:slots as int[]), "
    "cast(:since as timestamptz[])) as m (num, slot, since)), "
    "seen as (select distinct m.num, m.slot, m.since, "
    "date_bin(make_interval(secs => m.slot), h.at, cast(:a as timestamptz)) as bin "
    "from iot.hour h join mine m on m.num = h.num where h.at >= :a and h.at < :b), "
    "steps as (select num, slot, since, bin, lag(bin) over w as before, lead(bin) over w as after "
    "from seen window w as (partition by num order by bin)) "
    "select num, count(*) as present, count(*) filter (where before is not null "
    "and bin - before > make_interval(secs => slot)) "
    "+ count(*) filter (where before is null and bin - greatest(since, :a) "
    ">= make_interval(secs => slot)) + count(*) filter (where after is null "
    "and :b - bin >= make_interval(secs => 2 * slot)) as gaps from steps group by num"
)


def _presence(
    conn: Connection, rows: Sequence[Any], running: Mapping[str, Product],
    start: datetime, end: datetime,
) -> dict[int, tuple[int, int, int]]:  # fmt: skip
    """Return of each device in how many stretches it was heard, of how many, and its gaps."""
    slots = {row.num: slot_s(running.get(row.product)) for row in rows}
    since = {row.num: max(start, row.created_at) for row in rows}
    said = {
        "nums": list(slots), "slots": list(slots.values()), "a": start, "b": end,
        "since": [since[num] for num in slots],
    }  # fmt: skip
    found = {row.num: (row.present, row.gaps) for row in conn.execute(_PRESENT, said)}
    made = {}
    for num, slot in slots.items():
        span = (end - since[num]).total_seconds()
        expected = max(1, math.ceil(span / slot)) if span > 0 else 0
        present, gaps = found.get(num, (0, 1 if expected else 0))
        made[num] = (min(int(present), expected) if expected else 0, expected, int(gaps))
    return made


def _alarms(
    conn: Connection, nums: Sequence[int], start: datetime, end: datetime
) -> dict[int, int]:  # fmt: skip
    rows = conn.execute(
        text(
            "select num, count(*) as n from iot.alarm where raised_at >= :a and raised_at < :b "
            "and num = any(:nums) group by num"
        ),
        {"a": start, "b": end, "nums": list(nums)},
    )
    return {row.num: int(row.n) for row in rows}


def _line(
    key: str, title: Mapping[str, str], rows: Sequence[Any],
    known: tuple[Mapping[int, tuple[int, int, int]], Mapping[int, int]],
) -> dict[str, Any]:  # fmt: skip
    presence, alarms = known
    mine = [presence[row.num] for row in rows]
    expected = sum(one[1] for one in mine)
    return {
        "key": key, "title": dict(title), "devices": len(rows),
        "reporting": sum(1 for one in mine if one[0]),
        "availability_pct": round(100 * sum(one[0] for one in mine) / expected, 2) if expected else None,
        "gaps": sum(one[2] for one in mine), "alarms": sum(alarms.get(row.num, 0) for row in rows),
    }  # fmt: skip


_MEASURED = text(
    "select g.place, h.property, sum(h.n)::int8 as n, min(h.low) as low, "
    "sum(h.mean * h.n) / sum(h.n) as mean, max(h.high) as high, count(distinct h.num) as devices "
    "from iot.hour h join unnest(cast(:nums as int[]), cast(:places as int[])) as g (num, place) "
    "on g.num = h.num where h.at >= :a and h.at < :b group by 1, 2"
)


def _measured(
    conn: Connection, groups: Mapping[str, Sequence[Any]], model: Product,
    start: datetime, end: datetime,
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """Return count, least, mean and greatest value of each property by group."""
    keys = list(groups)
    pairs = [(row.num, place) for place, key in enumerate(keys) for row in groups[key]]
    said = {"nums": [n for n, _ in pairs], "places": [p for _, p in pairs], "a": start, "b": end}
    found = {(row.place, row.property): row for row in conn.execute(_MEASURED, said)}
    return {
        key: [
            {"name": prop.name, "title": dict(prop.title), "unit": units.shown(prop.unit),
             "n": int(row.n), "low": row.low, "mean": row.mean, "high": row.high,
             "devices": row.devices}
            for prop in model.numeric if (row := found.get((place, prop.name))) is not None
        ]
        for place, key in enumerate(keys)
    }  # fmt: skip
