"""What an indicator counts: the rows of a kind, or of the twin's own records, with the columns a filter may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy import ColumnElement

from twin import cases
from twin.filters import properties
from twin.kinds import Kind
from twin.predicates import Property
from twin.products.model import Product
from twin.scope import Actor, scope_sql, visible
from twin.tables import table

_TYPES: dict[str, Any] = {
    "text": sa.Text, "number": sa.Double, "boolean": sa.Boolean, "date": sa.Date,
    "datetime": sa.DateTime(timezone=True), "geometry": Geometry(srid=4326, spatial_index=False),
}  # fmt: skip
# Every source gives these, so that any number can show its list: who, where.
SHOWN = ("num", "code", "name", "district", "street", "geom")
_PLACE = {"num": "number", "code": "text", "name": "text", "district": "text", "street": "text",
          "geom": "geometry"}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Rows to count: a selectable, what a filter may name, where each row's list entry leads."""

    name: str
    rows: Any
    properties: Mapping[str, Property]
    kind: Kind | None = None
    level: int = 1
    placed: bool = True
    journal: str = "thing"  # the class of entries that change it; "" for what changes without one

    def column(self, name: str) -> Any:
        """Return a column by name."""
        return self.rows.c[name]

    def scope(self, actor: Actor) -> ColumnElement[bool]:
        """Return the predicate of what the actor may see of it."""
        if self.kind is not None:
            return visible(actor, self.rows, self.kind)
        if self.level > actor.clearance:
            return sa.false()
        if not self.placed:
            return sa.true()
        said, values = scope_sql(actor, "q", self.level, geom="geom")
        made = sa.text(said).bindparams(**values) if values else sa.text(said)
        return sa.literal(True) if said == "true" else sa.and_(made)


def of_kind(kind: Kind) -> Source:
    """Return the things of a kind; a record of no place has no point."""
    rows = table(kind).alias("q")
    return Source(kind.kind, rows, properties(rows, kind), kind, kind.level)


@dataclass(frozen=True)
class _Own:
    sql: str
    columns: Mapping[str, str]
    level: int = 1
    placed: bool = True
    journal: str = ""
    past: bool = False  # whether the same query says what was at a moment


# The same words as on the screens; each is a plain query that an auditor can run.
_OWN = {
    "cases": _Own(
        "select c.num, c.code, c.title as name, c.district, c.street, c.point as geom, c.process, "
        "c.state, c.category, c.holder, c.severity, c.source, c.opened_at, c.entered_at, c.due_at, "
        "c.closed_at, c.closed_at is null as standing, c.parent is not null as child, "
        "c.data->>'department' as department, c.data->>'reporter_kind' as reporter, "
        "coalesce((c.data->>'reworks')::float8, 0) as reworks, "
        "coalesce(c.data->>'satisfaction', '') as satisfaction, "
        "coalesce((c.data->>'complaints')::float8, 0) as complaints, "
        "jsonb_array_length(coalesce(c.data->'photos', '[]'))::float8 as photos, "
        "extract(epoch from c.closed_at - c.opened_at)::float8 / 3600 as hours, "
        "coalesce(c.due_at < now() and c.closed_at is null, false) as late_now, "
        "exists (select 1 from twin.journal j where j.subject = c.id and j.action = 'late' "
        "and j.at <= now()) as was_late "
        'from twin."case" c',
        _PLACE | {"process": "text", "state": "text", "category": "text", "holder": "text",
                  "severity": "number", "source": "text", "opened_at": "datetime",
                  "entered_at": "datetime", "due_at": "datetime", "closed_at": "datetime",
                  "standing": "boolean", "child": "boolean", "department": "text", "reporter": "text",
                  "reworks": "number",
                  "satisfaction": "text", "complaints": "number", "photos": "number", "hours": "number",
                  "late_now": "boolean", "was_late": "boolean"},
        level=cases.LEVEL, journal="case", past=True,
    ),
    "crews": _Own(
        "select t.num, t.code, t.name, t.district, t.street, t.point as geom, "
        "exists (select 1 from twin.position p where p.num = t.num and p.at <= now() "
        "and p.at > now() - interval '10 minutes') as heard, "
        't.code in (select c.holder from twin."case" c where c.holder is not null '
        "and c.closed_at is null and c.state in ('dispatched', 'handling')) as busy "
        "from twin.thing t where t.kind = 'crew' and t.gone_at is null",
        _PLACE | {"heard": "boolean", "busy": "boolean"}, level=cases.LEVEL, past=True,
    ),
    "alarms": _Own(
        "select a.num, t.code, t.name, a.district, a.street, a.point as geom, a.rule, a.level::float8 as level, "
        "a.property, a.raised_at, a.cleared_at, a.cleared_at is null as standing, c.state as handled, "
        "extract(epoch from coalesce(a.cleared_at, now()) - a.raised_at)::float8 / 3600 as hours "
        'from iot.alarm a join twin.thing t on t.num = a.num left join twin."case" c on c.id = a.case_id',
        _PLACE | {"rule": "text", "level": "number", "property": "text", "raised_at": "datetime",
                  "cleared_at": "datetime", "standing": "boolean", "handled": "text",
                  "hours": "number"},
        level=cases.LEVEL,
    ),
    "devices": _Own(
        "select d.num, t.code, t.name, t.district, t.street, t.point as geom, d.product, d.state, "
        "d.online, d.enabled, d.seen_at, d.firmware, coalesce(d.seen_at > now() - interval '1 day', "
        "false) as heard from twin.device d join twin.thing t on t.num = d.num where t.gone_at is null",
        _PLACE | {"product": "text", "state": "text", "online": "boolean", "enabled": "boolean",
                  "seen_at": "datetime", "firmware": "text", "heard": "boolean"},
        level=cases.LEVEL,
    ),
    "tickets": _Own(
        "select t.num, t.key as code, t.kind as name, t.district, t.street, t.point as geom, "
        "t.kind as cause, t.product, t.state, t.predicted_at, t.due_at, t.confidence::float8 as confidence, "
        "t.lead_s / 3600 as lead_hours from iot.ticket t",
        _PLACE | {"cause": "text", "product": "text", "state": "text", "predicted_at": "datetime",
                  "due_at": "datetime", "confidence": "number", "lead_hours": "number"},
        level=cases.LEVEL,
    ),
    "messages": _Own(
        "select l.num, null::text as code, null::text as name, null::text as district, "
        "null::text as street, null::geometry as geom, l.hour, l.accepted::float8 as accepted, "
        "l.stored::float8 as stored, l.rejected::float8 as rejected, l.duplicate::float8 as duplicate "
        "from iot.ledger l",
        _PLACE | {"hour": "datetime", "accepted": "number", "stored": "number",
                  "rejected": "number", "duplicate": "number"},
        placed=False,
    ),
    "accounts": _Own(
        "select null::integer as num, a.\"user\" as code, a.name->>'zh' as name, null::text as district, "
        "null::text as street, null::geometry as geom, a.disabled, a.crew is not null as patrol, "
        "(select max(s.seen_at) from twin.session s where s.\"user\" = a.\"user\") as seen_at "
        "from twin.account a",
        _PLACE | {"disabled": "boolean", "patrol": "boolean", "seen_at": "datetime"},
        level=3, placed=False,
    ),
    "quality": _Own(
        "select null::integer as num, s.kind as code, s.kind as name, nullif(s.district, '') as district, "
        "null::text as street, null::geometry as geom, s.kind as kind, s.day, s.things::float8 as things, "
        "s.errors::float8 as errors, s.warns::float8 as warns, (s.things - s.errors)::float8 as sound, "
        "s.score::float8 as score from twin.quality_score s where s.day = (select max(day) from "
        "twin.quality_score m where m.kind = s.kind)",
        _PLACE | {"kind": "text", "day": "date", "things": "number", "errors": "number",
                  "warns": "number", "sound": "number", "score": "number"},
    ),
    "catalogue": _Own(
        "select null::integer as num, k.kind as code, k.kind as name, nullif(k.district, '') as district, "
        "null::text as street, null::geometry as geom, k.kind as kind, k.things::float8 as things, "
        "k.freshest from twin.kind_count k",
        _PLACE | {"kind": "text", "things": "number", "freshest": "datetime"},
    ),
}  # fmt: skip
OWN = tuple(_OWN)


# Cases as they stood: what is closed is as it is now, what was open then is as its newest entry says.
_CASES_THEN = (
    '(select k.* from twin."case" k where k.closed_at <= now() union all '
    'select r.* from twin."case" k cross join lateral (select j.after from twin.journal j '
    "where j.subject = k.id and j.at <= now() order by j.version desc limit 1) e "
    "cross join lateral jsonb_populate_record(k, e.after) r "
    "where k.opened_at <= now() and (k.closed_at is null or k.closed_at > now()))"
)


def keeps_past(said: Mapping[str, str]) -> bool:
    """Tell whether what an indicator counts can be counted as it was at any second."""
    name = said.get("records", "")
    return name in _OWN and _OWN[name].past


def _then(sql: str, moment: datetime) -> str:
    """Return a query over what was at a moment."""
    at_moment = f"cast('{moment.isoformat()}' as timestamptz)"
    return sql.replace('twin."case" c', f"{_CASES_THEN} c").replace("now()", at_moment)


def own(name: str, moment: datetime | None = None) -> Source:
    """Return one of the twin's own records, now or as they stood at a moment."""
    said = _OWN[name]
    sql = said.sql if moment is None else _then(said.sql, moment)
    columns = [sa.column(one, _TYPES[type_]) for one, type_ in said.columns.items()]
    rows = sa.text(sql).columns(*columns).subquery("q")
    known = {one: Property(rows.c[one], type_) for one, type_ in said.columns.items()}
    return Source(name, rows, known, None, said.level, said.placed, said.journal)


def of_product(product: Product) -> Source:
    """Return the last values of the devices of a product, one row for each device."""
    casts = {"number": "::float8", "integer": "::float8", "boolean": "::int::float8"}
    said = {p.name: casts[p.type] for p in product.properties if p.type in casts}
    columns = _PLACE | {"at": "datetime"} | dict.fromkeys(said, "number")
    values = ", ".join(f'l."{name}"{cast} as "{name}"' for name, cast in said.items())
    sql = (
        "select l.num, t.code, t.name, t.district, t.street, t.point as geom, l.at"
        f'{", " + values if values else ""} from iot."last_{product.key}" l '
        "join twin.thing t on t.num = l.num where t.gone_at is null"
    )
    rows = (
        sa.text(sql).columns(*(sa.column(n, _TYPES[t]) for n, t in columns.items())).subquery("q")
    )
    known = {name: Property(rows.c[name], type_) for name, type_ in columns.items()}
    return Source(product.key, rows, known, None, cases.LEVEL, journal="")
