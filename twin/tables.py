"""The real table of each kind, made by SQLAlchemy and GeoAlchemy2 from its declaration."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import JSONB, UUID

from twin.kinds import Field, Kind

GEOMETRY = {"point": "POINT", "line": "MULTILINESTRING", "polygon": "MULTIPOLYGON"}
TOPICS = ("base", "greening", "forestry", "sanitation", "appearance", "landscape")
_TYPES: dict[str, Any] = {
    "text": sa.Text,
    "code": sa.Text,
    "link": sa.Text,
    "file": sa.Text,
    "integer": sa.BigInteger,
    "number": sa.Double,
    "boolean": sa.Boolean,
    "date": sa.Date,
    "json": JSONB,
}
_made: dict[tuple[str, int, int], sa.Table] = {}


def column_type(field: Field) -> Any:
    """Return the SQLAlchemy type of a field; a ref holds the other thing's code."""
    if field.type == "list":
        return sa.ARRAY(sa.Text)
    if field.type == "datetime":
        return sa.DateTime(timezone=True)
    return _TYPES.get(field.type, sa.Text)


def table(kind: Kind) -> sa.Table:
    """Return the table `{topic}.{kind}`: the header, then a column for each field."""
    key = (kind.kind, kind.version, hash(tuple((f.name, f.type) for f in kind.fields.values())))
    if key not in _made:
        _made[key] = _build(kind)
    return _made[key]


def _build(kind: Kind) -> sa.Table:
    stamp = sa.DateTime(timezone=True)
    columns: list[Any] = [
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("num", sa.Integer, nullable=False, unique=True),
        sa.Column("code", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False, server_default=""),
        sa.Column("district", sa.Text, index=True),
        sa.Column("street", sa.Text),
        sa.Column("state", sa.Text, nullable=False, server_default="active"),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("valid_from", stamp, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", stamp, nullable=False, server_default=sa.func.now()),
    ]
    if kind.geometry != "none":
        # The index is made by hand below: GeoAlchemy2 would name it without the schema.
        columns.append(
            sa.Column("geom", Geometry(GEOMETRY[kind.geometry], srid=4326, spatial_index=False))
        )
    for field in kind.fields.values():
        # The other way round is asked as often: what hangs on this thing, what lies in this park.
        columns.append(sa.Column(field.name, column_type(field), index=field.is_ref))
    made = sa.Table(kind.kind, sa.MetaData(schema=kind.topic), *columns)
    made.append_constraint(sa.UniqueConstraint("source", "source_key"))
    if kind.geometry != "none":
        sa.Index(f"{kind.kind}_geom", made.c.geom, postgresql_using="gist")
    return made


@lru_cache(maxsize=8)
def history(topic: str) -> sa.Table:
    """Return the table of past versions of a topic; `attributes` is the row without `geom`."""
    return sa.Table(
        "history",
        sa.MetaData(schema=topic),
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("num", sa.Integer, nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("geom", Geometry("GEOMETRY", srid=4326, spatial_index=False)),
        sa.Column("district", sa.Text),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("attributes", JSONB, nullable=False),
    )
