"""The organisation tree, and what each place in it sees: districts, streets, an area."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import shapely
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import catalogue, declarations, journal
from twin.errors import BadRequest, NotFound, VersionConflict

# What may stand under what.
PARENTS: Mapping[str, tuple[str, ...]] = {
    "city": (),
    "unit": ("city", "unit"),
    "district": ("city",),
    "street": ("district",),
    "grid": ("street", "district"),
    "village": ("street",),
    "contractor": ("city", "unit", "district", "street"),
}
_AREAS = frozenset({"grid", "village", "contractor"})
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_KEEP_S = 30.0
_places: dict[tuple[str, str], tuple[float, Place]] = {}


class Place(NamedTuple):
    """What a place in the tree sees; None: not limited by it."""

    districts: tuple[str, ...] | None = None
    streets: tuple[str, ...] | None = None
    area: str | None = None


EVERYWHERE, NOWHERE = Place(), Place(districts=())
_EMPTY = str(
    shapely.to_wkb(shapely.set_srid(shapely.MultiPolygon(), 4326), hex=True, include_srid=True)
)


def seed(conn: Connection, *, demo: bool, actor: str) -> int:
    """Add the declared organisations that are missing; what stands is left as it is."""
    path = declarations.DATA / "organisations.yaml"
    doc, lines = declarations.read_yaml(path)
    declarations.check("organisations", doc, lines, str(path))
    said = doc["organisations"] | (doc.get("demo", {}) if demo else {})
    known = set(conn.scalars(text("select code from twin.organisation")))
    missing = [(code, one) for code, one in said.items() if code not in known]
    for code, one in missing:
        _insert(conn, code, one)
    if missing:
        note = {"organisations": [code for code, _ in missing]}
        journal.append(
            conn, cls="security", action="organisation.seed", actor=actor, note=note, level=2
        )
    return len(missing)


def _insert(conn: Connection, code: str, said: Mapping[str, Any]) -> None:
    conn.execute(
        text(
            "insert into twin.organisation (code, parent, type, name, district, street, things, shape) "
            "values (:code, :parent, :type, :name, :district, :street, :things, "
            "st_multi(st_geomfromtext(cast(:shape as text), 4326)))"
        ).bindparams(bindparam("name", type_=JSONB)),
        {
            "code": code,
            "parent": said.get("parent"),
            "type": said["type"],
            "name": dict(said["name"]),
            "district": said.get("district"),
            "street": said.get("street"),
            "things": list(said.get("things") or ()),
            "shape": shapely.box(*said["shape"]).wkt if said.get("shape") else None,
        },
    )


_TREE = text(
    "select o.code, o.parent, o.type, o.name, o.district, o.street, o.things, o.closed, o.version, "
    "o.shape is not null as shaped, st_asgeojson(o.shape, 6) as geojson, "
    "(select count(*) from twin.account a where a.organisation = o.code and not a.disabled) as people "
    "from twin.organisation o order by o.code"
)


def tree(conn: Connection) -> list[dict[str, Any]]:
    """Return every organisation with the number of its people."""
    return [dict(row) for row in conn.execute(_TREE).mappings()]


def add(conn: Connection, code: str, said: Mapping[str, Any], actor: str) -> None:
    """Add an organisation; BadRequest says what does not fit."""
    if not _CODE.fullmatch(code):
        raise BadRequest("A code of an organisation has small letters, digits and hyphens.")
    if conn.scalar(text("select 1 from twin.organisation where code = :c"), {"c": code}):
        raise BadRequest(f"There is already an organisation {code}.")
    _check(conn, code, said)
    _insert(conn, code, said)
    after = {k: v for k, v in said.items() if v is not None} | {"code": code}
    journal.append(
        conn, cls="security", action="organisation.add", actor=actor, after=after, level=2
    )
    forget()


def change(conn: Connection, code: str, said: Mapping[str, Any], version: int, actor: str) -> None:
    """Change name, parent, place or closing of an organisation, if it still is at that version."""
    before = conn.execute(
        text("select * from twin.organisation where code = :c for update"), {"c": code}
    ).first()
    if before is None:
        raise NotFound(f"There is no organisation {code}.")
    if before.version != version:
        raise VersionConflict(f"{code} is at version {before.version}; look at it again.")
    merged = {
        k: getattr(before, k) for k in ("parent", "type", "name", "district", "street", "things")
    }
    merged |= {k: v for k, v in said.items() if k in merged and k != "type"}
    _check(conn, code, merged)
    closed = bool(said.get("closed", before.closed))
    if closed and not before.closed and before.type == "city":
        raise BadRequest("The top of the tree cannot be closed.")
    conn.execute(
        text(
            "update twin.organisation set parent = :parent, name = :name, district = :district, "
            "street = :street, things = :things, closed = :closed, version = version + 1, "
            "shape = case when :reshape then st_multi(st_geomfromtext(cast(:shape as text), 4326)) "
            "else shape end, updated_at = now() where code = :code"
        ).bindparams(bindparam("name", type_=JSONB)),
        merged | {
            "things": list(merged["things"] or ()), "closed": closed, "code": code,
            "reshape": "shape" in said,
            "shape": shapely.box(*said["shape"]).wkt if said.get("shape") else None,
        },
    )  # fmt: skip
    old = {k: getattr(before, k) for k in (*merged, "closed")}
    journal.append(
        conn, cls="security", action="organisation.change", actor=actor, before=old,
        after=merged | {"code": code, "closed": closed}, level=2,
    )  # fmt: skip
    forget()


def _check(conn: Connection, code: str, said: Mapping[str, Any]) -> None:
    kind = said["type"]
    if kind not in PARENTS:
        raise BadRequest(f"{kind} is no type of organisation; known are {', '.join(PARENTS)}.")
    chain = _chain(conn, said["parent"]) if said.get("parent") else []
    if kind == "city" and chain:
        raise BadRequest("The city stands at the top of the tree.")
    if kind != "city" and (not chain or chain[0].type not in PARENTS[kind]):
        raise BadRequest(f"A {kind} stands under: {', '.join(PARENTS[kind])}.")
    if any(one.code == code for one in chain):
        raise BadRequest("An organisation cannot stand under itself.")
    _check_place(kind, said)


def _check_place(kind: str, said: Mapping[str, Any]) -> None:
    for name in ("district", "street"):
        if kind == name and not said.get(name):
            raise BadRequest(f"A {name} names its code.")
        if kind != name and said.get(name):
            raise BadRequest(f"Only a {name} names a {name}.")
    if kind not in _AREAS and (said.get("things") or said.get("shape")):
        raise BadRequest(f"A {kind} has no area of its own.")
    if shape := said.get("shape"):
        west, south, east, north = shape
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise BadRequest("A shape is west, south, east, north in degrees.")


_CHAIN = text(
    "with recursive up as (select o.*, 0 as depth from twin.organisation o where code = :c union all "
    "select o.*, up.depth + 1 from twin.organisation o join up on o.code = up.parent where up.depth < 12) "
    "select code, type, district, street, things, closed, shape is not null as shaped from up "
    "order by depth"
)


def _chain(conn: Connection, code: str) -> Sequence[Any]:
    """Return an organisation and those above it; NotFound when there is none."""
    found = conn.execute(_CHAIN, {"c": code}).all()
    if not found:
        raise NotFound(f"There is no organisation {code}.")
    return found


def known(conn: Connection, code: str) -> None:
    """Raise BadRequest unless an open organisation has this code."""
    row = conn.execute(
        text("select closed from twin.organisation where code = :c"), {"c": code}
    ).first()
    if row is None or row.closed:
        raise BadRequest(f"There is no open organisation {code}.")


def place(conn: Connection, code: str | None) -> Place:
    """Return what a place in the tree sees; nothing at all when it, or one above it, is closed."""
    if code is None:
        return EVERYWHERE
    key = (str(conn.engine.url.database), code)
    kept = _places.get(key)
    if kept is None or kept[0] < time.monotonic():
        if len(_places) > 5_000:
            _places.clear()
        kept = _places[key] = (time.monotonic() + _KEEP_S, _place(conn, code))
    return kept[1]


def _place(conn: Connection, code: str) -> Place:
    chain = _chain(conn, code)
    if any(one.closed for one in chain):
        return NOWHERE
    district = next((one.district for one in chain if one.district), None)
    street = next((one.street for one in chain if one.street), None)
    districts = (district,) if district else None
    if chain[0].type in _AREAS:
        return Place(districts=districts, area=_area(conn, chain[0]))
    return Place(districts=districts, streets=(street,) if street else None)


def _area(conn: Connection, one: Any) -> str:
    """Return the shapes of an organisation together; an area that nobody drew sees nothing."""
    shapes = [conn.scalar(text("select st_asbinary(shape) from twin.organisation where code = :c"),
                          {"c": one.code})] if one.shaped else []  # fmt: skip
    if one.things:
        shapes += _shapes(conn, list(one.things))
    parts = [shapely.from_wkb(bytes(raw)) for raw in shapes if raw is not None]
    polygons = [p for p in parts if p.geom_type in ("Polygon", "MultiPolygon")]
    if not polygons:
        return _EMPTY
    union = shapely.set_srid(shapely.force_2d(shapely.union_all(polygons)), 4326)
    return str(shapely.to_wkb(union, hex=True, include_srid=True))


def _shapes(conn: Connection, codes: list[str]) -> list[Any]:
    found: list[Any] = []
    rows = conn.execute(
        text("select distinct kind from twin.thing where code = any(:c) and gone_at is null"),
        {"c": codes},
    )
    running = catalogue.all_kinds(conn)
    for row in rows:
        kind = running.get(row.kind)
        if kind is None or kind.geometry == "none":
            continue
        where = "code = any(:c)"
        found += conn.scalars(
            text(f"select st_asbinary(geom) from {kind.topic}.{kind.kind} where {where}"),
            {"c": codes},
        )
    if "contract_section" in running:
        # A contractor names itself: its sections are those that it keeps, as long as they run.
        kind = running["contract_section"]
        found += conn.scalars(
            text(
                f"select st_asbinary(geom) from {kind.topic}.{kind.kind} where maintained_by = any(:c) "
                "and (until_on is null or until_on >= current_date)"
            ),
            {"c": codes},
        )
    return found


def forget() -> None:
    """Read places anew next time (the tree, or a shape in it, has changed)."""
    _places.clear()
