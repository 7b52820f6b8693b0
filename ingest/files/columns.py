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
# What templates and exports call the source's own key.
_OWN = ("source_key", "自有编号", "own number")
CODED = ("district", "street")
# Target of a column that is not to be used, whatever it is called.
LEFT_OUT = "-"
# What the header is called in templates; looked at after the names of the fields.
STATE = {"zh": "对象状态", "en": "Lifecycle state"}
_HEADER = {"code": ("编码", "孪生编码"), "state": tuple(STATE.values())}


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
    return re.sub(r"[（(\[【].*?[)）\]】]|[\s_\-*：:]", "", name).lower()


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
    left_out = set()
    for column, target in said.items():
        if column not in names:
            raise BadRequest(f"--map {column}=…: the file has no such column ({listed}).")
        if target in (LEFT_OUT, ""):
            left_out.add(column)
        elif target not in known:
            raise BadRequest(f"--map {column}={target}: {kind.kind} has no field {target}.")
        else:
            made.fields[target] = column
    for flag, name in (("--key", key), ("--x", x), ("--y", y)):
        if name is not None and name not in names:
            raise BadRequest(f"{flag} {name}: the file has no such column ({listed}).")
    free = [n for n in names if n not in left_out]
    _by_name(kind, free, made)
    made.key = key or made.fields.get("code") or _first(free, _OWN)
    made.x, made.y = x or _first(free, _X), y or _first(free, _Y)
    made.wkt = _first(free, _WKT)
    used = {*made.fields.values(), made.key, made.x, made.y, made.wkt}
    made.unused = [n for n in names if n not in used]
    return made


def spoken(kind: Kind, target: str) -> list[str]:
    """Return what a field is called: its name, then its titles."""
    # Many files have a column `state` that is a state of the union.
    said = [target] if target != "state" else []
    if target in kind.fields:
        said += kind.fields[target].title.values()
    if target == "name":
        said += ["名称", kind.title["zh"] + "名称"]
    return said


def _by_name(kind: Kind, names: list[str], made: Mapping_) -> None:
    taken = set(made.fields.values())
    free = {plain(n): n for n in reversed(names) if n not in taken}

    def take(target: str, words: Iterable[str]) -> None:
        for word in words if target not in made.fields else ():
            column = free.get(plain(word))
            if column is not None and column not in taken:
                made.fields[target] = column
                taken.add(column)
                return

    for target in ("name", "code", *kind.fields):
        take(target, spoken(kind, target))
    for target in ("name", "code", *kind.fields):
        take(target, kind.synonyms.get(target, ()))
    for target, words in _HEADER.items():
        take(target, words)
    if {"code", "source_key"} <= set(names):
        # An export that comes back says itself what its columns are.
        take("state", ["state"])


def _first(names: list[str], wanted: tuple[str, ...]) -> str | None:
    by_name = {n.lower().strip(): n for n in reversed(names)}
    plainest_first = sorted(wanted, key=lambda w: "wgs84" not in w)
    return next((by_name[w] for w in plainest_first if w in by_name), None)
