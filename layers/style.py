"""The MapLibre styles `night` and `day`, built from the tokens and the running kinds."""

from __future__ import annotations

from typing import Any

from layers import ground, labels, things
from layers.tokens import Palette, tokens
from twin import detail
from twin.kinds import Kind

MAX_TILE_ZOOM = 16


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


def build(
    theme: str, kinds: dict[str, Kind], lang: str = "zh-CN", origin: str = "",
    levels: frozenset[str] = frozenset(),
) -> dict[str, Any]:  # fmt: skip
    """Return a style; `origin` is put before every address (a map outside a page needs it whole).

    `levels` are the kinds of which a level of detail is kept.
    """
    p = Palette(theme)
    own = things.drawn(kinds)
    polygons = [k for k in own if k.geometry == "polygon"]
    rest = sorted(
        (k for k in own if k.geometry != "polygon"), key=lambda k: k.kind != "street_tree"
    )
    land, *cover = ground.areas(p, levels)[1:]
    layers = [ground.areas(p)[0], land]
    for kind in (k for k in polygons if k.kind in things.GROUND):
        layers += things.layers(kind, p, kind.kind in levels)
    layers += cover + ground.boundaries(p)[:1] + ground.roads(p) + ground.buildings(p, levels)[:1]
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
    for source in here.values():
        if "tiles" in source:
            source["tiles"] = [origin + t for t in source["tiles"]]
        else:
            source["data"] = origin + source["data"]
    return {
        "version": 8,
        "name": {"night": "绿容孪生 夜", "day": "绿容孪生 日"}[theme],
        "metadata": {"theme": theme, "lang": lang, "font": tokens()["map_font"]},
        "sources": here,
        "layers": layers,
        "light": {
            "anchor": "viewport",
            "color": "#ffffff",
            "intensity": 0.22,
            "position": [1.4, 210, 32],
        },
        "transition": {"duration": 150, "delay": 0},
    }
