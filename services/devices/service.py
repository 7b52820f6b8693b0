"""Devices as screens need them: how they stand, what they said, what became of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import shapely
from sqlalchemy import Connection, text

from services.devices import repository
from twin import catalogue, devices, deviceview, names, products, readings, things, trace, units
from twin.errors import BadRequest, Conflict
from twin.products import Product, Property
from twin.scope import Actor, sees
from twin.settings import settings

SILENT_AFTER = 2.5
LEAST_SILENT_S = 180.0
LOW_BATTERY_PCT = 20.0
BATTERY = "battery_pct"
MAX_POINTS = 20_000
POINTS = 400


def state_of(enabled: bool, heard: datetime | None, period_s: float | None, now: datetime) -> str:
    """Return how a device stands: revoked, never heard, silent longer than it should be, live."""
    if not enabled:
        return "revoked"
    if heard is None:
        return "never"
    late = max((period_s or 600.0) * SILENT_AFTER, LEAST_SILENT_S)
    return "silent" if (now - heard).total_seconds() > late else "live"


def cursor(row: Any) -> str:
    """Return where a page of the list goes on."""
    return f"{row.product}/{row.device}"


def listed(
    conn: Connection, actor: Actor, *, product: str | None, words: str | None, after: str | None,
    limit: int,
) -> dict[str, Any]:  # fmt: skip
    """Return a page of devices, each with its main value and how it stands."""
    begin = None
    if after:
        head, _, tail = after.partition("/")
        begin = (head, tail)
    rows = repository.page(conn, actor, product=product, words=words, after=begin, limit=limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    return {
        "devices": _shown(conn, rows),
        "next": cursor(rows[-1]) if more else None,
    }


def _shown(conn: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    running = products.running(conn)
    said = readings.last(conn, [row.num for row in rows])
    known = names.things(conn)
    now = datetime.now(UTC)
    found = []
    for row in rows:
        product = running.get(row.product)
        values = {one.property: one for one in said.get(row.num, ())}
        heard = max((one.at for one in values.values()), default=None)
        main = product.shown if product else None
        of_main = values.get(main.name) if main else None
        battery = values.get(BATTERY)
        found.append(
            {
                "product": row.product, "device": row.device, "num": row.num, "code": row.code,
                "name": row.name, "kind": row.kind, "district": row.district,
                "district_name": known.get(row.district or ""), "street_name": known.get(row.street or ""),
                "point": [row.lon, row.lat] if row.lon is not None else None,
                "state": state_of(row.enabled, heard, product.period_s if product else None, now),
                "heard_at": heard, "online": row.online, "firmware": row.firmware,
                "main": _value(main, of_main) if main and of_main else None,
                "battery_pct": battery.value if battery else None,
            }
        )  # fmt: skip
    return found


def _value(prop: Property, said: readings.Last) -> dict[str, Any]:
    value = prop.value(said.value)
    return {
        "property": prop.name, "title": prop.title, "unit": units.shown(prop.unit), "type": prop.type,
        "value": value, "number": said.value, "at": said.at, "low": prop.low, "high": prop.high,
        "text": dict(prop.codes[value]) if prop.codes and value in prop.codes else None,
        "period_s": prop.period_s,
    }  # fmt: skip


def one(conn: Connection, actor: Actor, product: str, device: str) -> dict[str, Any]:
    """Return everything about one device but its series."""
    row = repository.one(conn, actor, product, device)
    [shown] = _shown(conn, [row])
    model = products.running(conn).get(product)
    values = readings.last(conn, [row.num]).get(row.num, [])
    by_name = model.by_name if model else {}
    said = {v.property: v for v in values}
    return shown | {
        "product_title": model.title if model else None,
        "icon": model.icon if model else "radio",
        "values": [
            _value(one, said[one.name]) for one in _main_first(model) if one.name in said
        ],
        "loose": [
            {"property": v.property, "value": v.value, "at": v.at}
            for v in values if v.property not in by_name
        ],
        "texts": readings.texts(conn, product, row.num),
        "followed_until": trace.followed(conn, row.num),
        "created_at": row.created_at,
        "labels": row.labels,
        "ledger": ledger(conn, row.num, 24),
    }  # fmt: skip


def _main_first(model: Product | None) -> list[Property]:
    """Return the properties as declared, the one that stands for the device before all others."""
    if model is None:
        return []
    return sorted(model.numeric, key=lambda one: one is not model.shown)


def ledger(conn: Connection, num: int, hours: int) -> list[dict[str, Any]]:
    """Return the loss ledger of a device: accepted = stored + rejected + duplicate, by hour."""
    rows = conn.execute(
        text(
            "select hour, accepted, stored, rejected, duplicate from iot.ledger "
            "where num = :n and hour > now() - make_interval(hours => :h) order by hour"
        ),
        {"n": num, "h": hours},
    )
    return [dict(row._mapping) for row in rows]


def series(
    conn: Connection, actor: Actor, product: str, device: str, prop: str,
    start: datetime, end: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Return a property between two moments: all values while they are few, else spans with extremes."""
    row = repository.one(conn, actor, product, device)
    model = products.one(conn, product)
    known = model.by_name.get(prop)
    if known is None or not known.is_numeric:
        raise BadRequest(f"{product} has no property {prop} that is a number.")
    raw = readings.values(conn, row.num, prop, start, end, POINTS * 2 + 1)
    said = {
        "property": prop, "title": known.title, "unit": units.shown(known.unit), "type": known.type,
        "low": known.low, "high": known.high, "from": start, "to": end,
        "codes": [dict(title) for title in known.codes.values()],
    }  # fmt: skip
    if len(raw) <= POINTS * 2:
        return said | {"values": [[one.at, one.value] for one in raw], "step_s": None}
    step = max((end - start).total_seconds() / POINTS, 1.0)
    found = readings.buckets(conn, row.num, prop, start, end, step)
    return said | {
        "step_s": step,
        "buckets": [[one.at, one.low, one.mean, one.high, one.n] for one in found],
    }


def log(
    conn: Connection, actor: Actor, product: str, device: str, limit: int
) -> list[dict[str, Any]]:
    """Return what happened to a device, newest first: refusals, changes, its account."""
    row = repository.one(conn, actor, product, device)
    found: list[dict[str, Any]] = [
        {"at": r.at, "what": "rejected", "reason": r.reason, "topic": r.topic, "door": r.door,
         "payload": r.payload, "records": r.records}
        for r in repository.rejected(conn, row.num, limit)
    ]  # fmt: skip
    found += [
        {"at": r.at, "what": "journal", "class": r["class"], "action": r.action, "actor": r.actor}
        for r in map(_Mapped, repository.entries(conn, row.id, product, device, limit))
    ]
    return sorted(found, key=lambda entry: entry["at"], reverse=True)[:limit]


class _Mapped:
    """A row whose column `class` has the name of a keyword."""

    def __init__(self, row: Any) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)

    def __getitem__(self, name: str) -> Any:
        return self._row._mapping[name]


def add(conn: Connection, actor: Actor, said: dict[str, Any]) -> dict[str, Any]:
    """Make a device and its thing (or take a thing that is there); the secret is told this once."""
    product = products.one(conn, said["product"])
    kind = catalogue.one(conn, actor, product.kind)
    device = said["device"]
    if _taken(conn, product.key, device):
        raise Conflict(f"{product.key}/{device} is there already; choose another name.")
    num = _thing_there(conn, actor, said["thing"], product) if said.get("thing") else None
    if num is None:
        num = _new_thing(conn, actor, product, said)
        if kind.geometry != "none" and not _in_scope(conn, actor, num, kind):
            raise BadRequest("The place lies outside of the area that you look after.")
    secret = devices.give(conn, product.key, device, num, actor=actor.user)
    code = conn.execute(text("select code from twin.thing where num = :n"), {"n": num}).scalar_one()
    return {
        "product": product.key, "device": device, "num": num, "code": code,
        "username": f"{product.key}/{device}", "password": secret,
        "topic": f"twin/v1/{product.key}/{device}/telemetry", "port": settings().mqtt_port,
    }  # fmt: skip


def _taken(conn: Connection, product: str, device: str) -> bool:
    asked = text("select 1 from twin.device where product = :p and device = :d")
    return conn.execute(asked, {"p": product, "d": device}).first() is not None


def _thing_there(conn: Connection, actor: Actor, code: str, product: Product) -> int:
    row = conn.execute(
        text(
            "select num, kind, district, street, st_x(point) as lon, st_y(point) as lat "
            "from twin.thing where code = :c and gone_at is null"
        ),
        {"c": code},
    ).first()
    kind = catalogue.readable(conn, actor).get(product.kind)
    seen = row is not None and sees(actor, kind, row.district, row.street, (row.lon, row.lat))
    if row is None or not seen or row.kind != product.kind:
        raise BadRequest(f"There is no {product.kind} with the code {code} that you may see.")
    return int(row.num)


def given_of(product: Product, kind: Any) -> dict[str, Any]:
    """Return what the thing of a device has from its product."""
    given: dict[str, Any] = {
        name: value for name, value in product.thing.items() if name in kind.fields
    }
    if "measures" in kind.fields:
        given["measures"] = [one.name for one in product.numeric]
    if product.period_s and "period_s" in kind.fields:
        given["period_s"] = int(product.period_s)
    return given


def _new_thing(conn: Connection, actor: Actor, product: Product, said: dict[str, Any]) -> int:
    kind = catalogue.one(conn, actor, product.kind)
    key = f"{product.key}/{said['device']}"
    if said["lon"] is None or said["lat"] is None:
        raise BadRequest("Say where the device is: lon and lat, or the code of its thing.")
    point = shapely.set_srid(shapely.points(said["lon"], said["lat"]), 4326)
    given = given_of(product, kind)
    if said.get("watches") and "watches" in kind.fields:
        given["watches"] = said["watches"]
    columns = {
        "source_key": [key],
        "name": [said["name"] or said["device"]],
        "geom": [shapely.to_wkb(point, hex=True, include_srid=True)],
        **{name: [value] for name, value in given.items()},
    }
    things.write(conn, kind, columns, actor=actor.user, source="console")
    made = text(
        f"select num from {kind.topic}.{kind.kind} where source = 'console' and source_key = :k"
    )
    return int(conn.execute(made, {"k": key}).scalar_one())


def _in_scope(conn: Connection, actor: Actor, num: int, kind: Any) -> bool:
    row = conn.execute(
        text(
            "select district, street, st_x(point) as lon, st_y(point) as lat from twin.thing "
            "where num = :n"
        ),
        {"n": num},
    ).one()
    return sees(actor, kind, row.district, row.street, (row.lon, row.lat))


def statistics(conn: Connection, actor: Actor, hours: int) -> dict[str, Any]:
    """Return how devices stand by product, and what came in and went out by hour."""
    rows = deviceview.every(conn, actor)
    running = products.running(conn)
    heard = readings.heard(conn, [row.num for row in rows])
    now = datetime.now(UTC)
    by: dict[str, dict[str, int]] = {}
    for row in rows:
        model = running.get(row.product)
        state = state_of(row.enabled, heard.get(row.num), model.period_s if model else None, now)
        counts = by.setdefault(
            row.product,
            {"devices": 0, "live": 0, "silent": 0, "never": 0, "revoked": 0, "online": 0},
        )
        counts["devices"] += 1
        counts[state] += 1
        counts["online"] += bool(row.online)
    return {
        "products": [
            {"product": key, "title": running[key].title if key in running else {"zh": key, "en": key},
             "icon": running[key].icon if key in running else "radio", **counts}
            for key, counts in sorted(by.items(), key=lambda item: -item[1]["devices"])
        ],
        "hours": repository.hours(conn, actor, hours),
        "down": repository.commands(conn, actor, hours),
        "reasons": repository.reasons(conn, actor, hours),
        "worst": repository.worst(conn, actor, hours),
        "unknown": repository.unknown(conn, hours) if actor.districts is None else None,
        "at": now,
    }  # fmt: skip


def exported(
    conn: Connection, actor: Actor, product: str, device: str, start: datetime, end: datetime
) -> str:
    """Return every value of a device between two moments as CSV: moment, property, value, unit."""
    row = repository.one(conn, actor, product, device)
    model = products.one(conn, product)
    lines = ["at,property,title,value,unit"]
    for prop in model.numeric:
        unit = prop.unit or ""
        for said in readings.values(conn, row.num, prop.name, start, end, MAX_POINTS):
            value = prop.value(said.value)
            lines.append(
                f"{said.at.astimezone(UTC).isoformat()},{prop.name},{prop.title['zh']},{_cell(value)},{unit}"
            )
    return "﻿" + "\r\n".join(lines) + "\r\n"


def _cell(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def span(
    start: datetime | None, end: datetime | None, hours: float = 24
) -> tuple[datetime, datetime]:
    """Return a span of time: the last hours where nothing else is said, three years at most."""
    until = end or datetime.now(UTC)
    since = start or until - timedelta(hours=hours)
    if since >= until:
        raise BadRequest("The span ends before it begins.")
    if until - since > timedelta(days=1_100):
        raise BadRequest("A span has at most three years; ask for less.")
    return since, until
