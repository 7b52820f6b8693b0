"""References between things: a name or a foreign key in a file becomes the other thing's code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from twin.kinds import Field, Kind

_CODE = re.compile(r"^\d{6}-[A-Z]{2,3}-\d{6,}$")


def resolve(
    conn: Connection, kind: Kind, columns: dict[str, list[Any]], source: str
) -> dict[str, int]:
    """Replace what names another thing by its code, in place; return field → cells left as given.

    A cell may hold the code, the key under which this source brought the thing, or its name when
    only one thing of the target kinds is called so. What stays open is kept as given: the quality
    rule `reference` finds it.
    """
    open_ones = {}
    for field in (f for f in kind.fields.values() if f.is_ref and f.name in columns):
        cells = columns[field.name]
        wanted = {c for c in cells if c is not None and not _CODE.match(c)}
        if not wanted:
            continue
        found = _found(conn, field, wanted, source)
        columns[field.name] = [found.get(c, c) if c is not None else None for c in cells]
        left = len(wanted - found.keys())
        if left:
            open_ones[field.name] = left
    return open_ones


def _found(conn: Connection, field: Field, wanted: Iterable[str], source: str) -> dict[str, str]:
    said = {"wanted": list(wanted), "kinds": list(field.targets) or None, "source": source}
    rows = conn.execute(
        text(
            "select name as said, min(code) as code from twin.thing where name = any(:wanted) "
            "and gone_at is null and (cast(:kinds as text[]) is null or kind = any(:kinds)) "
            "group by name having count(*) = 1 union all "
            "select code, code from twin.thing where code = any(:wanted)"
        ),
        said,
    )
    found = {r.said: r.code for r in rows}
    for target in _tables(conn, field.targets):
        rows = conn.execute(
            text(
                f"select source_key as said, code from {target} "
                "where source = :source and source_key = any(:wanted)"
            ),
            said,
        )
        # The file's own keys are surer than names.
        found |= {r.said: r.code for r in rows}
    return found


def _tables(conn: Connection, kinds: Sequence[str]) -> list[str]:
    rows = conn.execute(
        text(
            "select key, doc->>'topic' as topic from twin.declaration "
            "where kind_of = 'kind' and key = any(:k) group by 1, 2"
        ),
        {"k": list(kinds)},
    )
    return [f"{r.topic}.{r.key}" for r in rows]


def draw_flows(
    conn: Connection, kind: Kind, columns: dict[str, list[Any]], shapes: np.ndarray
) -> list[int]:
    """Draw a line from origin to destination where a flow has none; return rows that stay without."""
    lacking = np.flatnonzero(shapely.is_missing(shapes))
    if not kind.flow or not len(lacking):
        return []
    ends = [columns.get(kind.flow[end], [None] * len(shapes)) for end in ("from", "to")]
    codes = {ends[e][i] for i in lacking for e in (0, 1)} - {None}
    rows = conn.execute(
        text(
            "select code, st_x(point) as x, st_y(point) as y from twin.thing "
            "where code = any(:codes) and point is not null"
        ),
        {"codes": list(codes)},
    )
    places = {r.code: (r.x, r.y) for r in rows}
    left = []
    for i in lacking.tolist():
        pair = [places.get(ends[e][i]) for e in (0, 1)]
        if None in pair or pair[0] == pair[1]:
            left.append(i)
        else:
            shapes[i] = shapely.MultiLineString([pair])
    return left
