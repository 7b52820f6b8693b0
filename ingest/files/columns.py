"""Which column of a file is which field: said by the user, or found by name, title and synonym."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from twin.errors import BadRequest
from twin.kinds import Kind

_X = tuple("lon lng long longitude x 经度 wgs84_lng wgs84_lon lon_wgs84 geox 坐标x".split())
_Y = tuple("lat latitude y 纬度 wgs84_lat lat_wgs84 geoy 坐标y".split())
_WKT = ("wkt", "the_geom", "geometry", "geom", "shape")
CODED = ("district", "street")


@dataclass
class Mapping_:
    """Field → column; where the place stands; the columns that nobody wanted."""

    fields: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    x: str | None = None
    y: str | None = None
    wkt: str | None = None
    unused: list[str] = field(default_factory=list)


def plain(name: str) -> str:
    """Return a name for comparing: lower case, without blanks, brackets and units in brackets."""
    return re.sub(r"[（(].*?[)）]|[\s_\-]", "", name).lower()


def find(
    kind: Kind,
    columns: Iterable[str],
    said: Mapping[str, str],
    *,
    key: str | None,
    x: str | None,
    y: str | None,
) -> Mapping_:
    """Return the mapping; BadRequest names what the user said wrongly. `said` is column → field."""
    names = list(columns)
    listed = ", ".join(names[:20])
    made = Mapping_()
    known = {*kind.fields, "name", "code", "state"}
    for column, target in said.items():
        if column not in names:
            raise BadRequest(f"--map {column}=…: the file has no such column ({listed}).")
        if target not in known:
            raise BadRequest(f"--map {column}={target}: {kind.kind} has no field {target}.")
        made.fields[target] = column
    for flag, name in (("--key", key), ("--x", x), ("--y", y)):
        if name is not None and name not in names:
            raise BadRequest(f"{flag} {name}: the file has no such column ({listed}).")
    _by_name(kind, names, made)
    made.key = key or made.fields.get("code")
    made.x, made.y = x or _first(names, _X), y or _first(names, _Y)
    made.wkt = _first(names, _WKT)
    used = {*made.fields.values(), made.key, made.x, made.y, made.wkt}
    made.unused = [n for n in names if n not in used]
    return made


def _by_name(kind: Kind, names: list[str], made: Mapping_) -> None:
    free = {plain(n): n for n in reversed(names) if n not in made.fields.values()}
    wanted = ["name", "code", *kind.fields]
    for target in wanted:
        if target in made.fields:
            continue
        spoken = [target, *kind.synonyms.get(target, ())]
        if target in kind.fields:
            spoken += kind.fields[target].title.values()
        if target == "name":
            spoken += ["名称", kind.title["zh"] + "名称"]
        for word in spoken:
            column = free.get(plain(word))
            if column is not None and column not in made.fields.values():
                made.fields[target] = column
                break


def _first(names: list[str], wanted: tuple[str, ...]) -> str | None:
    by_name = {n.lower().strip(): n for n in reversed(names)}
    plainest_first = sorted(wanted, key=lambda w: "wgs84" not in w)
    return next((by_name[w] for w in plainest_first if w in by_name), None)
