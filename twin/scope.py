"""Who may see what: the one predicate builder through which every read goes.

An actor sees a row when its kind is among the kinds of the actor's key (if any), the level of the
kind is within the actor's clearance (L1 open … L4), and the kind is open to all (base map) or the
row lies in the actor's place: districts, streets of them, an area within them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import shapely
import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy import ColumnElement, false, true
from sqlalchemy.dialects.postgresql import ARRAY

from twin.errors import Forbidden
from twin.kinds import Kind

_TEXTS = ARRAY(sa.Text)
_GEOMETRY = Geometry(srid=4326, spatial_index=False)
NONE, ALL = "none", "all"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who asks. Of districts, streets, area, kinds and fields None means: not limited by it."""

    user: str
    roles: frozenset[str] = frozenset()
    acts: frozenset[str] = frozenset()
    districts: tuple[str, ...] | None = None
    clearance: int = 1
    crew: str | None = None
    organisation: str | None = None  # its place in the tree: what a department or contractor holds
    streets: tuple[str, ...] | None = None
    area: str | None = None  # hex EWKB in EPSG:4326: grids, villages or contract sections together
    kinds: frozenset[str] | None = None
    fields: Mapping[str, frozenset[str]] | None = field(default=None, hash=False)
    key_id: str | None = None  # the partner key that calls
    session: str | None = field(default=None, compare=False)  # which session this is, for step-up
    strong_until: float = field(default=0.0, compare=False)  # second factor holds until (epoch s)
    wants: str | None = field(
        default=None, compare=False
    )  # what must be done first: password, totp

    @property
    def anonymous(self) -> bool:
        """True for a caller without credentials."""
        return self.user == "anonymous"

    @property
    def narrow(self) -> bool:
        """True for an actor who sees only a part of a district."""
        return self.streets is not None or self.area is not None

    @cached_property
    def _digest(self) -> str:
        fields = self.fields and sorted((k, sorted(v)) for k, v in self.fields.items())
        kinds = None if self.kinds is None else sorted(self.kinds)
        said = repr((self.districts, self.clearance, self.streets, self.area, kinds, fields))
        return hashlib.blake2s(said.encode(), digest_size=12).hexdigest()

    def digest(self) -> str:
        """Return a short digest of all that decides what this actor sees: part of cache keys."""
        return self._digest

    key = digest

    def may(self, act: str) -> bool:
        """Tell whether a role of the actor includes the act."""
        return act in self.acts

    def need(self, act: str) -> None:
        """Raise Forbidden unless the actor may perform the act."""
        if not self.may(act):
            raise Forbidden(
                f"Your roles do not include the act {act}; ask the security administrator.", act=act
            )


ANONYMOUS = Actor(user="anonymous", acts=frozenset({"event.report"}))
SYSTEM = Actor(user="system", clearance=4, roles=frozenset({"system"}))


def readable(actor: Actor, kind: Kind) -> bool:
    """Tell whether the actor may read any of a kind."""
    return kind.level <= actor.clearance and (actor.kinds is None or kind.kind in actor.kinds)


def shape(actor: Actor, kind: Kind) -> str:
    """Return a name for the form of the predicate: statements of one shape differ only in values."""
    if not readable(actor, kind):
        return NONE
    if kind.open:
        return ALL
    parts = [
        "d" if actor.districts is not None else "",
        "s" if actor.streets is not None else "",
        "a" if actor.area is not None else "",
    ]
    return "".join(parts) or ALL


def binds(actor: Actor) -> dict[str, Any]:
    """Return the values of a bound predicate; names that a shape does not use do no harm."""
    said: dict[str, Any] = {}
    if actor.districts is not None:
        said["scope_districts"] = list(actor.districts)
    if actor.streets is not None:
        said["scope_streets"] = list(actor.streets)
    if actor.area is not None:
        said["scope_area"] = actor.area
    return said


def visible(actor: Actor, columns: Any, kind: Kind, *, bound: bool = False) -> ColumnElement[bool]:
    """Return the predicate for rows of a kind; `columns` is a table, alias or subquery `.c`.

    Bound, it has `scope_districts`, `scope_streets`, `scope_area` to fill from `binds(actor)`.
    """
    form = shape(actor, kind)
    if form == NONE:
        return false()
    if form == ALL:
        return true()
    has, parts = _c(columns), []
    if "d" in form:
        parts.append(has.district == sa.any_(_bind(actor, "districts", _TEXTS, bound)))
    if "s" in form:
        parts.append(has.street == sa.any_(_bind(actor, "streets", _TEXTS, bound)))
    if "a" in form:
        parts.append(_inside(has, kind, sa.cast(_bind(actor, "area", sa.Text, bound), _GEOMETRY)))
    return sa.and_(*parts)


def _bind(actor: Actor, what: str, type_: Any, bound: bool) -> Any:
    if bound:
        return sa.bindparam(f"scope_{what}", type_=type_)
    value = getattr(actor, what)
    return sa.bindparam(
        f"scope_{what}",
        list(value) if isinstance(value, tuple) else value,
        type_=type_,
        unique=True,
    )


def _inside(has: Any, kind: Kind, area: Any) -> ColumnElement[bool]:
    """Say that a row lies in an area; a record lies where the thing lies that it hangs on."""
    f = sa.func.public
    # A subquery is read once a statement: the area is never parsed again for each row.
    once = sa.select(area.label("area")).scalar_subquery()
    if kind.geometry != "none":
        return sa.and_(has.geom.op("&&")(once), f.ST_Intersects(has.geom, once))
    if "about" not in kind.relations:
        return false()
    thing = sa.table(
        "thing", sa.column("code"), sa.column("point", _GEOMETRY), schema="twin"
    ).alias("scope_thing")
    there = sa.select(sa.literal(1)).where(
        thing.c.code == has.about, f.ST_Intersects(thing.c.point, once)
    )
    return sa.exists(there)


def sees(
    actor: Actor,
    kind: Kind | None,
    district: str | None,
    street: str | None = None,
    point: Sequence[float | None] | None = None,
    *,
    level: int = 1,
) -> bool:
    """Tell in memory what `visible` tells in SQL: for live messages and frames.

    `kind` None is a row of no kind (an event); `level` its sensitivity; point is lon, lat.
    """
    if level > actor.clearance:
        return False
    if kind is not None:
        if not readable(actor, kind):
            return False
        if kind.open:
            return True
    elif actor.kinds is not None and "event" not in actor.kinds:
        return False
    return _placed(actor, district, street, point)


def sees_many(actor: Actor, districts: Any, streets: Any, lon: Any, lat: Any, levels: Any) -> Any:
    """Tell for many rows of no kind at once what `sees` tells for one; codes as arrays of ASCII bytes."""
    seen = levels <= actor.clearance
    if actor.kinds is not None and "event" not in actor.kinds:
        return np.zeros(len(seen), dtype=bool)
    for codes, said in ((actor.districts, districts), (actor.streets, streets)):
        if codes is not None:
            seen = seen & np.isin(said, [c.encode("ascii", "replace").ljust(12) for c in codes])
    if actor.area is not None:
        seen = seen & shapely.contains_xy(_area(actor.area), lon, lat)
    return seen


def _placed(
    actor: Actor, district: str | None, street: str | None, point: Sequence[float | None] | None
) -> bool:
    if actor.districts is not None and district not in actor.districts:
        return False
    if actor.streets is not None and street not in actor.streets:
        return False
    if actor.area is None:
        return True
    lon, lat = point or (None, None)
    if lon is None or lat is None:
        return False
    return bool(shapely.intersects_xy(_area(actor.area), lon, lat))


@lru_cache(maxsize=512)
def _area(hexed: str) -> Any:
    made = shapely.from_wkb(hexed)
    shapely.prepare(made)
    return made


def visible_district(actor: Actor, district: str | None, level: int = 1) -> bool:
    """Tell whether the actor sees a whole district; ask `sees` about one thing in it."""
    if level > actor.clearance or actor.narrow:
        return False
    return actor.districts is None or district in actor.districts


def scope_sql(
    actor: Actor, alias: str, level: int = 1, *, geom: str = "point"
) -> tuple[str, dict[str, Any]]:
    """Return the predicate for rows with district, street and a place of their own, as SQL text.

    The kinds of an actor are not looked at: pass only kinds that `readable` lets through.
    """
    if level > actor.clearance:
        return "false", {}
    parts = []
    if actor.districts is not None:
        parts.append(f"{alias}.district = any(:scope_districts)")
    if actor.streets is not None:
        parts.append(f"{alias}.street = any(:scope_streets)")
    if actor.area is not None:
        parts.append(f"st_intersects({alias}.{geom}, (select cast(:scope_area as geometry)))")
    return " and ".join(parts) or "true", binds(actor)


def _c(columns: Any) -> Any:
    return getattr(columns, "c", columns)
