"""A linkage tried over the past: when it would have fired, for what, and what it would have done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import policies, products, rules
from twin.alarms import readings
from twin.calendar import ZONE
from twin.linkages import engine, firing, model
from twin.linkages.model import ALARM, AT, VALUE, Linkage
from twin.policies import Doc
from twin.scope import Actor, sees

MOST = 500_000
TOLD = 500
Moment = tuple[datetime, int, float | None, Mapping[str, Any]]


def simulate(conn: Connection, actor: Actor, doc: Doc, days: int) -> dict[str, Any]:
    """Return when a linkage would have fired over the last days; nothing is done."""
    one = model.from_doc(doc)
    end = datetime.now(UTC)
    start = end - timedelta(days=days)
    if one.form == AT:
        return _by_hour(one, start, end)
    found = list(_moments(conn, one, start, end))
    things = readings.things(conn, sorted({num for _, num, _, _ in found}))
    fired: dict[int, datetime] = {}
    moved: list[dict[str, Any]] = []
    changed = 0
    for at, num, value, alarm in found:
        thing = things.get(num)
        if thing is None or (num in fired and (at - fired[num]).total_seconds() < one.quiet_s):
            continue
        if not _holds(one, thing, value, alarm):
            continue
        fired[num] = at
        changed += 1
        place = (thing["lon"], thing["lat"])
        if len(moved) < TOLD and sees(actor, None, thing["district"], thing["street"], place):
            moved.append(_told(conn, one, at, thing, value))
    return {"read": len(found), "changed": changed, "moved": moved}


def _by_hour(one: Linkage, start: datetime, end: datetime) -> dict[str, Any]:
    day, last = start.astimezone(ZONE).date(), end.astimezone(ZONE).date()
    moved = []
    while day <= last:
        due = engine.due_on(one, day)
        if due is not None and start < due <= end:
            moved.append({"code": "", "title": due.strftime("%m-%d %H:%M"), "from": AT,
                          "to": _does(one), "lon": None, "lat": None})  # fmt: skip
        day += timedelta(days=1)
    return {"read": len(moved), "changed": len(moved), "moved": moved}


def _holds(one: Linkage, thing: Mapping[str, Any], value: float | None, alarm: Any) -> bool:
    """Ask the condition with what was known then: the thing, and the value or alarm of the trigger."""
    if one.when is None:
        return True
    v = {one.trigger["property"]: value} if one.form == VALUE else {}
    t = {k: thing[k] for k in ("code", "name", "kind", "district", "street")}
    a = {k: x for k, x in {"value": value, **alarm}.items() if x is not None}
    try:
        return rules.holds(one.when, {"v": v, "t": t, "a": a}, model.NAMES)
    except rules.RuleError:
        return False


def _told(
    conn: Connection, one: Linkage, at: datetime, thing: Mapping[str, Any], value: float | None
) -> dict[str, Any]:
    local = at.astimezone(ZONE).strftime("%m-%d %H:%M")
    devices = sum(
        len(firing.targets(conn, said["product"], said["to"], thing))
        for name, said in one.actions if name == "command"
    )  # fmt: skip
    to = _does(one) + (f" × {devices}" if devices else "")
    measured = "" if value is None else f" {value:g}"
    return {"code": thing["code"], "title": f"{thing['name'] or thing['code']} {local}",
            "href": f"alarms/linkages/{one.key}", "from": f"{one.form}{measured}",
            "to": to, "lon": thing["lon"], "lat": thing["lat"]}  # fmt: skip


def _does(one: Linkage) -> str:
    return ", ".join(
        f"{name} {said.get('name') or said.get('category') or ''}".strip()
        for name, said in one.actions
    )


def _moments(
    conn: Connection, one: Linkage, start: datetime, end: datetime
) -> Iterable[Moment]:  # fmt: skip
    if one.form == ALARM:
        rows = conn.execute(
            text(
                "select raised_at, num, value, rule, level from iot.alarm where raised_at > :a "
                "and raised_at <= :b and silence is null order by raised_at limit :n"
            ),
            {"a": start, "b": end, "n": MOST},
        )
        for row in rows:
            if engine.meant(one, row.rule, row.level):
                yield row.raised_at, row.num, row.value, {"rule": row.rule, "level": row.level}
    elif one.form == VALUE:
        yield from _crossings(conn, one, start, end)


def _crossings(
    conn: Connection, one: Linkage, start: datetime, end: datetime
) -> Iterable[Moment]:  # fmt: skip
    """Yield the moments at which a value went past the limit, as the engine would have seen them."""
    product = products.one(conn, str(one.trigger["product"]))
    word, limit, clear = one.compares(product)
    source = readings.source(conn, product.key, str(one.trigger["property"]))
    rows = conn.execute(
        text(f"select num, at, value from ({source}) s order by num, at limit :n"),
        {"start": start, "end": end, "property": one.trigger["property"],
         "product": product.key, "n": MOST},
    )  # fmt: skip
    up: dict[int, bool] = {}
    found: list[Moment] = []
    for row in rows:
        past, back = _sides(word, row.value, limit, clear)
        if past and not up.get(row.num):
            found.append((row.at, row.num, row.value, {}))
        up[row.num] = past or (up.get(row.num, False) and not back)
    yield from sorted(found, key=lambda one: one[0])


def _sides(word: str, value: float, limit: float, clear: float) -> tuple[bool, bool]:
    if word == "above":
        return value > limit, value <= clear
    if word == "below":
        return value < limit, value >= clear
    return value == limit, value != limit


KIND = policies.register(
    policies.Kind(
        kind=model.KIND_OF,
        folder="linkages",
        title={"zh": "场景联动", "en": "Linkages"},
        faults=model.faults,
        known=model.known,
        simulate=simulate,
    )
)
