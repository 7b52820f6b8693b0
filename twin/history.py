"""Reading the past: the rows of a kind as they stood at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from twin.kinds import Kind
from twin.tables import table

# What the history keeps in columns of its own; the rest of a past row is JSON.
_KEPT = ("id", "version", "num", "valid_from", "district")
_CASTS = {sa.BigInteger: "bigint", sa.Double: "double precision", sa.Boolean: "boolean",
          sa.Date: "date", sa.DateTime: "timestamptz", sa.Integer: "integer"}  # fmt: skip


def as_of(
    kind: Kind,
    moment: datetime | None,
    wanted: Iterable[str] | None = None,
    *,
    since: datetime | None = None,
) -> sa.FromClause:
    """Return the table of a kind, or what it held at a moment (same columns either way).

    With `since` it is all that stood between the two, each thing once, as it last was by `moment`.

    `wanted` limits the columns (the header that scope needs always comes along): of a past version
    only these are read from its JSON, which is what makes tiles of the past quick.
    """
    now = table(kind)
    if moment is None:
        return now
    names = [c.name for c in now.columns if c.name != "geom"]
    if wanted is not None:
        keep = {
            *wanted,
            "id",
            "num",
            "code",
            "name",
            "district",
            "street",
            "state",
            "version",
            "valid_from",
        }
        names = [n for n in names if n in keep]
    geom = kind.geometry != "none"
    current = ", ".join(f't."{n}"' for n in names)
    past = ", ".join(f'{_past(kind, n, now.c[n].type)} as "{n}"' for n in names)
    sql = (
        f"select {current}{', t.geom' if geom else ''} from {kind.topic}.{kind.kind} t "
        "where t.valid_from <= :moment "
        f"union all select {past}{', h.geom' if geom else ''} from {kind.topic}.history h "
        f"where h.kind = :of_kind and h.valid_from <= :moment and {_stood(kind, since)}"
    )
    columns: list[Any] = [sa.column(n, now.c[n].type) for n in names]
    if geom:
        columns.append(sa.column("geom", now.c.geom.type))
    # Unique names: a difference reads two moments in one statement.
    bound: Any = (
        sa.bindparam("moment", moment, unique=True),
        sa.bindparam("of_kind", kind.kind, unique=True),
        *([sa.bindparam("since", since, unique=True)] if since is not None else []),
    )
    return sa.text(sql).bindparams(*bound).columns(*columns).subquery("as_of")


def _stood(kind: Kind, since: datetime | None) -> str:
    """Return the SQL that says which past versions stood at the moment, or were the last before it."""
    if since is None:
        return "h.valid_to > :moment"
    return (
        "(h.valid_to > :moment or (h.valid_to > :since and not exists (select 1 from "
        f"{kind.topic}.{kind.kind} n where n.id = h.id and n.valid_from <= :moment) and not exists "
        f"(select 1 from {kind.topic}.history n where n.id = h.id and n.version > h.version "
        "and n.valid_from <= :moment)))"
    )


def first_versions(kind: Kind, names: Iterable[str]) -> str:
    """Return the SQL of the rows of a kind as they first came, with columns of these names."""
    now = table(kind)
    listed = [n for n in names if n in now.c]
    current = ", ".join(f't."{n}"' for n in listed)
    past = ", ".join(
        "h.geom" if n == "geom" else f'{_past(kind, n, now.c[n].type)} as "{n}"' for n in listed
    )
    return (
        f"(select {current} from {kind.topic}.{kind.kind} t where t.version = 1 union all "
        f"select {past} from {kind.topic}.history h where h.kind = '{kind.kind}' and h.version = 1) v"
    )


def _past(kind: Kind, name: str, type_: Any) -> str:
    """Return the SQL of a column of a past version, under the names it had before as well."""
    if name in _KEPT:
        return f"h.{name}"
    field = kind.fields.get(name)
    former = [field.renamed_from] if field and field.renamed_from else []
    if isinstance(type_, sa.ARRAY):
        said = _either("->", name, former)
        # A JSON null is no list; the lateral text[] keeps the order.
        return (
            f"case when jsonb_typeof({said}) = 'array' then "
            f"array(select jsonb_array_elements_text({said})) end"
        )
    if isinstance(type_, sa.JSON):
        return _either("->", name, former)
    cast = next((sql for of, sql in _CASTS.items() if isinstance(type_, of)), None)
    said = _either("->>", name, former)
    return f"({said})::{cast}" if cast else said


def _either(operator: str, name: str, former: Iterable[str]) -> str:
    said = ", ".join(f"h.attributes{operator}'{n}'" for n in (name, *former))
    return f"coalesce({said})"
