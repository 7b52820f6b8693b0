"""The journal as CloudEvents: built as text by the database, so that a day is caught up in minutes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from twin import catalogue, products
from twin.errors import BadRequest
from twin.products import Product

# Entries looked at and events made for one batch, at most.
LOOKED_AT, EVENTS = 5_000, 5_000
CLASSES = ("alarm", "event", "thing", "telemetry", "device")
TYPE = "application/cloudevents-batch+json"
SOURCE = "/lvrong-twin"


class Filter(NamedTuple):
    """What a subscription is about; an empty part means all of it."""

    classes: tuple[str, ...]
    kinds: tuple[str, ...]
    products: tuple[str, ...]
    rules: tuple[str, ...]
    districts: tuple[str, ...] | None
    clearance: int


class Event(NamedTuple):
    """One event: where it belongs, and its JSON text."""

    kind: str
    district: str
    code: str
    body: str


class Batch(NamedTuple):
    """Events of entries up to a place in the journal; the same places give the same events."""

    upto: int
    events: list[Event]


def filter_of(row: Any) -> Filter:
    """Return the filter of a subscription."""
    said: Mapping[str, Any] = row.filter
    return Filter(
        tuple(said.get("classes") or CLASSES),
        tuple(said.get("kinds") or ()),
        tuple(said.get("products") or ()),
        tuple(said.get("rules") or ()),
        tuple(row.districts) if row.districts is not None else None,
        row.clearance,
    )


def checked(said: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return a filter as it is kept; BadRequest for words that mean nothing."""
    unknown = set(said.get("classes") or ()) - set(CLASSES)
    if unknown:
        raise BadRequest(f"Nothing is called {', '.join(sorted(unknown))}.", known=list(CLASSES))
    return {
        key: list(said[key]) for key in ("classes", "kinds", "products", "rules") if said.get(key)
    }


# The end of a batch: entries are counted with the rows that they stand for.
_END = text(
    "select max(seq) as upto from (select seq, sum(n) over (order by seq) - n as before from ("
    "select s.seq, case when j.class = 'observation' then coalesce((j.note->>'count')::bigint, 0) "
    "else 1 end as n from twin.sealed s join twin.journal j on j.id = s.entry "
    "where s.seq > :after order by s.seq limit :looked) e) w where before < :events"
)
_PAGE = (
    "with page as materialized (select s.seq, j.* from twin.sealed s "
    "join twin.journal j on j.id = s.entry where s.seq > :after and s.seq <= :upto) "
)
_TYPED = (
    "case when p.class = 'case' and p.after->>'process' = 'iot.alarm' then 'alarm' "
    "when p.class = 'case' then 'event' else p.class end"
)
# People who reported are nobody's business outside; what is beyond the clearance never leaves.
_ENTRIES = (
    "select p.seq, 0 as n, coalesce(p.kind, p.class) as kind, coalesce(p.district, '') as district, "
    "coalesce(p.after->>'code', p.note->>'code', '') as code, json_build_object("
    f"'specversion', '1.0', 'id', p.seq::text, 'source', '{SOURCE}', "
    f"'type', 'twin.' || {_TYPED} || '.' || p.action, "
    "'time', to_char(p.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "'subject', coalesce(p.after->>'code', p.note->>'code'), "
    "'datacontenttype', 'application/json', 'data', "
    "(coalesce(p.after, p.note, '{}'::jsonb) #- '{data,reporter}') "
    "- coalesce(h.names, '{}'::text[]))::text as body "
    "from page p left join (select key as kind, array(select jsonb_array_elements_text(value)) as names "
    "from jsonb_each(cast(:hidden as jsonb))) h on h.kind = p.kind "
    "where p.class in ('case', 'thing', 'device') and p.level <= :clearance "
    f"and {_TYPED} = any(:classes) "
    "and (cast(:districts as text[]) is null or p.district = any(:districts)) "
    "and (p.class <> 'thing' or cardinality(cast(:kinds as text[])) = 0 or p.kind = any(:kinds)) "
    "and (p.class <> 'thing' or p.kind = any(:readable)) "
    "and (p.class <> 'case' or p.after->>'process' in ('iot.alarm', 'event.city')) "
    "and (cardinality(cast(:rules as text[])) = 0 or p.after->>'process' is distinct from 'iot.alarm' "
    "or p.after->'data'->>'rule' = any(:rules))"
)


def read(conn: Connection, said: Filter, after: int, upto: int | None = None) -> Batch | None:
    """Return the next batch after a place, or the batch up to a place; None where nothing is new."""
    if upto is None:
        asked = {"after": after, "looked": LOOKED_AT, "events": EVENTS}
        upto = conn.execute(_END, asked).scalar()
        if upto is None:
            return None
    parts = [_ENTRIES]
    if "telemetry" in said.classes:
        parts += [_values(one) for one in _tables(conn, said, after, upto)]
    rows = conn.execute(
        text(f"{_PAGE}{' union all '.join(parts)} order by 1, 2"), _asked(conn, said, after, upto)
    )
    return Batch(upto, [Event(r.kind, r.district, r.code, r.body) for r in rows])


def _asked(conn: Connection, said: Filter, after: int, upto: int) -> dict[str, Any]:
    kinds = catalogue.all_kinds(conn)
    hidden = {
        name: [f.name for f in kind.fields.values() if f.level > said.clearance]
        for name, kind in kinds.items()
    }
    return {
        "after": after, "upto": upto, "clearance": said.clearance, "classes": list(said.classes),
        "kinds": list(said.kinds), "rules": list(said.rules),
        "districts": list(said.districts) if said.districts is not None else None,
        "readable": [name for name, kind in kinds.items() if kind.level <= said.clearance],
        "hidden": json.dumps({name: fields for name, fields in hidden.items() if fields}),
    }  # fmt: skip


def _tables(conn: Connection, said: Filter, after: int, upto: int) -> list[Product | None]:
    """Return the products that this stretch of the journal has values of; None: loose ones."""
    names = conn.scalars(
        text(
            "select distinct j.note->>'table' from twin.sealed s join twin.journal j on j.id = s.entry "
            "where s.seq > :after and s.seq <= :upto and j.class = 'observation'"
        ),
        {"after": after, "upto": upto},
    ).all()
    known = products.running(conn)
    found: list[Product | None] = []
    for name in sorted(n for n in names if n):
        key = name.removeprefix("iot.up_")
        if name == "observation" and not said.products:
            found.append(None)
        elif key in known and (not said.products or key in said.products):
            found.append(known[key])
    return found


_VALUES = (
    "select p.seq, row_number() over (partition by p.seq order by u.num, u.at{more})::int as n, "
    "t.kind, coalesce(t.district, '') as district, t.code, json_build_object("
    "'specversion', '1.0', 'id', p.seq::text || '-' || row_number() over "
    "(partition by p.seq order by u.num, u.at{more}), "
    "'source', '{source}', 'type', 'twin.telemetry', "
    "'time', to_char(u.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "'subject', t.code, 'datacontenttype', 'application/json', 'data', "
    "json_build_object('product', {product}, 'values', {values}))::text as body "
    "from page p join {table} u on u.{received} = (p.note->>'received_at')::timestamptz "
    "and u.at between (p.note->>'from')::timestamptz and (p.note->>'to')::timestamptz "
    "join twin.thing t on t.num = u.num "
    "where p.class = 'observation' and p.note->>'table' = '{name}' and t.level <= :clearance "
    "and (cast(:districts as text[]) is null or t.district = any(:districts))"
)


def _values(product: Product | None) -> str:
    """Return the statement that makes an event of each record of a batch of values."""
    if product is None:
        return _VALUES.format(
            more=", u.property", source=SOURCE, product="null", table="twin.observation",
            received="received_at", name="observation",
            values="json_build_object(u.property, u.value)",
        )  # fmt: skip
    pairs = ", ".join(f"'{one.name}', u.\"{one.name}\"" for one in product.properties)
    return _VALUES.format(
        more=", u.seq", source=SOURCE, product=f"'{product.key}'", table=f'iot."up_{product.key}"',
        received="received", name=f"iot.up_{product.key}",
        values=f"json_strip_nulls(json_build_object({pairs}))",
    )  # fmt: skip
