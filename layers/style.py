"""The MapLibre styles night, day, wall and mobile, built from the tokens and the running kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layers import ground, labels, things
from layers.tokens import Palette, tokens
from twin import detail
from twin.errors import NotFound
from twin.kinds import Kind

MAX_TILE_ZOOM = 16


@dataclass(frozen=True)
class Variant:
    """A style that is offered: its colours, how much larger signs and names are, how much it holds."""

    theme: str
    title: dict[str, str]
    larger: float = 1.0
    slim: bool = False


VARIANTS = {
    "night": Variant("night", {"zh": "夜", "en": "Night"}),
    "day": Variant("day", {"zh": "日", "en": "Day"}),
    # Read from across a room; in the hand, in the sun, over a thin line.
    "wall": Variant("night", {"zh": "大屏", "en": "Wall"}, larger=1.25),
    "mobile": Variant("day", {"zh": "移动端", "en": "Mobile"}, larger=1.12, slim=True),
}
_SIZES = ("text-size", "icon-size", "circle-radius")


def sources(kinds: dict[str, Kind], levels: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return one composite source for the base map and one for each other kind."""
    made: dict[str, Any] = {
        "base": _vector("base", 7),
        "places": {"type": "geojson", "data": "/layers/places.geojson"},
    }
    for kind in things.drawn(kinds):
        first = detail.first_zoom(kind, kind.kind in levels)
        made[kind.kind] = _vector(kind.kind, max(detail.COARSEST, first))
    return made


def _vector(layer: str, min_zoom: int) -> dict[str, Any]:
    return {
        "type": "vector",
        "tiles": [f"/tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt"],
        "minzoom": min_zoom,
        "maxzoom": MAX_TILE_ZOOM,
    }


def _heights(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "raster-dem", "tiles": ["/terrain/{z}/{x}/{y}.png?of=" + said["id"][-8:]],
        "encoding": "terrarium", "tileSize": 256, "minzoom": 6, "maxzoom": said["finest"],
        "bounds": list(said["bounds"]),
    }  # fmt: skip


def build(
    name: str, kinds: dict[str, Kind], lang: str = "zh-CN", origin: str = "",
    levels: frozenset[str] = frozenset(), heights: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return a style; `origin` is put before every address (a map outside a page needs it whole).

    `levels` are the kinds of which a level of detail is kept, `heights` where the ground's are known.
    """
    variant = VARIANTS.get(name)
    if variant is None:
        raise NotFound(f"There is no style {name!r}; ask for {', '.join(VARIANTS)}.")
    p = Palette(variant.theme)
    if variant.slim:
        kinds = {n: k for n, k in kinds.items() if things.shown(k)}
        levels = frozenset(n for n in levels if n in kinds)
    own = things.drawn(kinds)
    polygons = [k for k in own if k.geometry == "polygon"]
    rest = sorted(
        (k for k in own if k.geometry != "polygon"), key=lambda k: k.kind != "street_tree"
    )
    land, *cover = ground.areas(p, levels)[1:]
    layers = [ground.areas(p)[0], land]
    for kind in (k for k in polygons if k.kind in things.GROUND):
        layers += things.layers(kind, p, kind.kind in levels)
    layers += (
        cover
        + (ground.shade(p) if heights else [])
        + ground.boundaries(p)[:1]
        + ground.roads(p)
        + ground.buildings(p, levels)[:1]
    )
    # Every other area is a wash above the ground: an enclosure lies in a park, a zone on a street.
    areas = [
        one
        for k in polygons
        if k.kind not in things.GROUND
        for one in things.layers(k, p, k.kind in levels)
    ]
    layers += [one for one in areas if one["type"] != "symbol"]
    for kind in rest:
        layers += [
            one for one in things.layers(kind, p, kind.kind in levels) if one["type"] == "circle"
        ]
    layers += ground.boundaries(p)[1:] + ground.buildings(p, levels)[1:] + labels.names(p, lang)
    layers += [one for one in areas if one["type"] == "symbol"]
    for kind in rest:
        layers += [
            one for one in things.layers(kind, p, kind.kind in levels) if one["type"] != "circle"
        ]
    here = sources(kinds, levels)
    if heights:
        here["terrain"] = _heights(heights)
    for source in here.values():
        if "tiles" in source:
            source["tiles"] = [origin + t for t in source["tiles"]]
        else:
            source["data"] = origin + source["data"]
    return {
        "version": 8,
        "name": f"绿容孪生 {variant.title['zh']}",
        "metadata": {
            "theme": variant.theme,
            "style": name,
            "lang": lang,
            "font": tokens()["map_font"],
        },
        "sources": here,
        "layers": _enlarged(layers, variant.larger),
        "light": {
            "anchor": "viewport",
            "color": "#ffffff",
            "intensity": 0.22,
            "position": [1.4, 210, 32],
        },
        "transition": {"duration": 150, "delay": 0},
    }


def shown(made: dict[str, Any]) -> dict[str, Any]:
    """Return a style with only the layers that are seen at the start, and their sources."""
    seen = [one for one in made["layers"] if one.get("layout", {}).get("visibility") != "none"]
    used = {one.get("source") for one in seen}
    sources_ = {name: source for name, source in made["sources"].items() if name in used}
    return made | {"layers": seen, "sources": sources_}


def _enlarged(layers: list[dict[str, Any]], by: float) -> list[dict[str, Any]]:
    """Return layers whose names, icons and dots are larger."""
    if by == 1.0:
        return layers
    return [
        one | {part: {k: _times(v, by) if k in _SIZES else v for k, v in one[part].items()}
               for part in ("layout", "paint") if part in one}
        for one in layers
    ]  # fmt: skip


def _times(size: Any, by: float) -> Any:
    """Return a size a little larger; expressions over zoom stay at the top, as MapLibre wants them."""
    if isinstance(size, int | float):
        return round(size * by, 3)
    if size[0] in ("interpolate", "step"):
        first = 4 if size[0] == "interpolate" else 2
        return [
            _times(v, by) if i >= first and (i - first) % 2 == 0 else v for i, v in enumerate(size)
        ]
    return ["*", by, size]
