"""Alarms rung and cleared: rows for each thing, one case for each group, all of a pass at once.

A storm of ten thousand alarms is ten thousand rows written by one statement and some tens of
cases that people act on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import cases, ids, journal
from twin.alarms import reports
from twin.alarms.rule import Rule, seconds
from twin.products import Product
from twin.scope import SYSTEM

PROCESS = "iot.alarm"
SOURCE = "alarm"
# More new alarms of one rule in a district than this, and they share a case whatever the rule says.
STORM = 50
WITHIN_S = 1800.0
TOLD = 200
Thing = Mapping[str, Any]


@dataclass(kw_only=True)
class Ring:
    """An alarm to be rung: one rule, one thing."""

    rule: Rule
    thing: Thing
    since: datetime
    value: float | None
    peak: float | None
    level: int
    detail: dict[str, Any] = field(default_factory=dict)
    id: UUID = field(default_factory=ids.uuid7)
    silence: int | None = None


def ring(
    conn: Connection, rings: Sequence[Ring], products: Mapping[str, Product], now: datetime
) -> int:
    """Ring alarms: a row each, and the case that each group of them belongs to."""
    if not rings:
        return 0
    _silence(conn, rings, now)
    heard = [one for one in rings if one.silence is None]
    groups = _grouped(conn, heard, now)
    place: dict[UUID, UUID] = {}
    for key, members in groups.items():
        case = _case(conn, key, members, products, now)
        place |= {one.id: case for one in members}
    _insert(conn, rings, place, now)
    told = Counter(one.rule.key for one in rings)
    journal.append(
        conn, cls="alarm", action="ring", actor=SYSTEM.user, level=cases.LEVEL,
        note={"rules": told, "silenced": len(rings) - len(heard),
              "alarms": [str(one.id) for one in rings[:TOLD]]},
    )  # fmt: skip
    return len(rings)


_ROWS = text(
    "insert into iot.alarm (id, rule, rule_version, num, property, level, value, peak, since, "
    "raised_at, case_id, silence, district, street, point, detail) values (:id, :rule, :version, "
    ":num, :property, :level, :value, :peak, :since, :now, :case, :silence, :district, :street, "
    "st_setsrid(st_makepoint(:lon, :lat), 4326), :detail) on conflict do nothing"
).bindparams(bindparam("detail", type_=JSONB))


def _insert(
    conn: Connection, rings: Sequence[Ring], place: Mapping[UUID, UUID], now: datetime
) -> None:
    conn.execute(
        _ROWS,
        [
            {
                "id": one.id, "rule": one.rule.key, "version": one.rule.version,
                "num": one.thing["num"], "property": one.rule.property, "level": one.level,
                "value": one.value, "peak": one.peak, "since": one.since, "now": now,
                "case": place.get(one.id), "silence": one.silence,
                "district": one.thing["district"], "street": one.thing["street"],
                "lon": one.thing["lon"], "lat": one.thing["lat"], "detail": one.detail,
            }
            for one in rings
        ],
    )  # fmt: skip


_SILENCES = text(
    "select id, rule, num, district from iot.silence where starts_at <= :now and ends_at > :now "
    "and ended_by is null order by id"
)


def _silence(conn: Connection, rings: Sequence[Ring], now: datetime) -> None:
    """Mark what somebody has silenced: it is kept and counted, and rings nowhere."""
    for said in conn.execute(_SILENCES, {"now": now}).all():
        for one in rings:
            if (
                one.silence is None
                and said.rule in (None, one.rule.key)
                and said.num in (None, one.thing["num"])
                and said.district in (None, one.thing["district"])
            ):
                one.silence = said.id


_LATELY = text(
    "select rule, coalesce(district, '') as district, count(*) as n from iot.alarm "
    "where raised_at > :since and rule = any(:rules) group by 1, 2"
)


def _grouped(conn: Connection, rings: Sequence[Ring], now: datetime) -> dict[str, list[Ring]]:
    """Sort alarms by the group that they belong to; a storm makes a group of its own."""
    if not rings:
        return {}
    since = now - timedelta(seconds=60)
    keys = sorted({one.rule.key for one in rings})
    lately = Counter(
        {(r.rule, r.district): r.n for r in conn.execute(_LATELY, {"since": since, "rules": keys})}
    )
    lately.update((one.rule.key, one.thing["district"] or "") for one in rings)
    made: dict[str, list[Ring]] = defaultdict(list)
    for one in rings:
        district = one.thing["district"] or ""
        storm = lately[one.rule.key, district] > one.rule.group.get("storm", STORM)
        made[_key(one, district, storm)].append(one)
    return made


def _key(one: Ring, district: str, storm: bool) -> str:
    by = "storm" if storm else one.rule.group.get("by", "thing")
    where = {
        "thing": str(one.thing["code"]),
        "street": one.thing["street"] or district,
        "city": "city",
    }.get(by, district)
    return f"{one.rule.key} {by} {where}"


def _case(
    conn: Connection,
    key: str,
    members: Sequence[Ring],
    products: Mapping[str, Product],
    now: datetime,
) -> UUID:
    """Return the open case of a group with these members in it, opened where there is none."""
    first = members[0]
    level = min(one.level for one in members)
    row = conn.execute(OPEN, {"key": key}).first()
    within = timedelta(seconds=seconds(first.rule.group.get("within", WITHIN_S)))
    if row is not None and now - row.opened_at > within and first.rule.group.get("by") != "thing":
        # The next wave is another case; the older one keeps what it has and closes by itself.
        conn.execute(_LEAVE, {"id": row.id})
        row = None
    if row is None:
        return _open(conn, key, members, products, level)
    if row.state == "returned":
        cases.perform(conn, row.id, "again", actor=SYSTEM)
    count = row.data["members"] + len(members)
    cases.annotate(
        conn,
        row.id,
        {"members": count, "standing": row.data["standing"] + len(members)},
        action="join",
    )
    if level < row.severity:
        raise_level(conn, row.id, level)
        reports.report(conn, UUID(str(row.id)), first.rule)
    return UUID(str(row.id))


OPEN = text(
    "select id, state, opened_at, severity, data from twin.\"case\" where process = 'iot.alarm' "
    "and closed_at is null and data->>'group' = :key for update"
)
_LEAVE = text("update twin.\"case\" set data = data - 'group' where id = :id")


def _open(
    conn: Connection,
    key: str,
    members: Sequence[Ring],
    products: Mapping[str, Product],
    level: int,
) -> UUID:
    first = members[0]
    rule, thing = first.rule, first.thing
    product = products.get(rule.product or "")
    many = len(members) > 1 or " thing " not in key
    name = thing["name"] or thing["code"]
    said = cases.open_case(
        conn,
        PROCESS,
        actor=SYSTEM,
        category=product.category if product else "vehicle",
        title=rule.title["zh"] if many else f"{rule.title['zh']}：{name}",
        lon=thing["lon"],
        lat=thing["lat"],
        source=SOURCE,
        source_id=str(first.id),
        severity=level,
        data={
            "rule": rule.key, "rule_version": rule.version, "group": key, "product": rule.product,
            "property": rule.property, "members": len(members), "standing": len(members),
            "thing": thing["code"], "thing_name": name, "value": first.value,
            "unit": _unit(product, rule.property), "advice": rule.advice, "title": rule.title,
            "since": first.since.astimezone(UTC).isoformat(), **first.detail,
        },
    )  # fmt: skip
    reports.report(conn, said["id"], rule)
    return UUID(str(said["id"]))


def _unit(product: Product | None, name: str | None) -> str | None:
    known = product.by_name.get(name or "") if product else None
    return known.unit if known else None


def raise_level(conn: Connection, case: UUID, level: int) -> None:
    """Make an alarm louder; whoever acknowledged it is asked again."""
    cases.perform(conn, case, "level", actor=SYSTEM, params={"level": level})


_CLEAR = text(
    "update iot.alarm a set cleared_at = greatest(s.at, a.since), peak = coalesce(s.peak, a.peak) "
    "from unnest(cast(:rules as text[]), cast(:nums as int[]), cast(:at as timestamptz[]), "
    "cast(:peaks as float8[])) as s (rule, num, at, peak) "
    "where a.rule = s.rule and a.num = s.num and a.cleared_at is null returning a.id, a.case_id"
)


def clear(conn: Connection, over: Iterable[tuple[str, int, datetime, float | None]]) -> int:
    """Clear alarms whose condition is gone; a case with none left returns to normal."""
    rows = list(over)
    if not rows:
        return 0
    rules, nums, at, peaks = zip(*rows, strict=True)
    said = {"rules": list(rules), "nums": list(nums), "at": list(at), "peaks": list(peaks)}
    done = conn.execute(_CLEAR, said).all()
    if done:
        journal.append(
            conn, cls="alarm", action="clear", actor=SYSTEM.user, level=cases.LEVEL,
            note={"alarms": [str(row.id) for row in done[:TOLD]], "count": len(done)},
        )  # fmt: skip
    settle(conn, {UUID(str(row.case_id)) for row in done if row.case_id})
    return len(done)


_LEFT = text(
    "select c.id, c.state, (select count(*) from iot.alarm a where a.case_id = c.id "
    'and a.cleared_at is null) as standing from twin."case" c where c.id = any(:ids) '
    "and c.closed_at is null order by c.id for update of c"
)


def settle(conn: Connection, which: Iterable[UUID]) -> None:
    """Bring cases to what is left of their alarms."""
    for row in conn.execute(_LEFT, {"ids": sorted(which)}).all():
        cases.annotate(conn, row.id, {"standing": row.standing}, action="left")
        if row.standing == 0 and row.state in ("rung", "acknowledged"):
            done = "normal" if row.state == "rung" else "end"
            cases.perform(conn, row.id, done, actor=SYSTEM)
