"""Names on the map: places from one small list (a polygon cut into tiles has many), roads along."""

from __future__ import annotations

from typing import Any

from layers.tokens import Palette, tokens

Layer = dict[str, Any]


def _text(lang: str) -> list[Any]:
    if lang == "en":
        return ["coalesce", ["get", "name_en"], ["get", "name"]]
    return ["get", "name"]


def _sizes(zoom: float, size: float, later: float, larger: float) -> list[Any]:
    return ["interpolate", ["linear"], ["zoom"], zoom, size, later, larger]


def _place(p: Palette, kind: str, lang: str, **more: Any) -> Layer:
    layout = {
        "text-field": _text(lang),
        "text-font": [tokens()["map_font"]],
        "text-max-width": 7,
        "text-line-height": 1.25,
        "text-padding": 6,
        "symbol-sort-key": ["-", 0, ["coalesce", ["get", "rank"], 0]],
    } | more.pop("layout", {})
    paint = {"text-halo-color": p.halo, "text-halo-width": 1.4, "text-halo-blur": 0.3}
    paint |= more.pop("paint", {})
    return {
        "id": f"{kind}-label", "type": "symbol", "source": "places", "metadata": {"kind": kind},
        "filter": ["==", ["get", "kind"], kind], "layout": layout, "paint": paint,
    } | more  # fmt: skip


def _larger(kind: str, from_zoom: float, area_m2: float) -> list[Any]:
    """Only larger places are named at first; each zoom step admits places a quarter of the size."""
    steps: list[Any] = []
    for step in range(1, 7):
        steps += [from_zoom + step, area_m2 / 4**step]
    smallest = ["step", ["zoom"], area_m2, *steps]
    return [
        "all",
        ["==", ["get", "kind"], kind],
        [">=", ["coalesce", ["get", "rank"], 0], smallest],
    ]


def names(p: Palette, lang: str) -> list[Layer]:
    """Return the labels of the base map, the least important first."""
    road = {
        "id": "road-label", "type": "symbol", "source": "base", "source-layer": "road", "minzoom": 13.5,
        "metadata": {"kind": "road"}, "filter": ["!=", ["get", "name"], ""],
        "layout": {"symbol-placement": "line", "text-field": ["get", "name"], "text-size": _sizes(13.5, 12, 17, 14),
                   "text-font": [tokens()["map_font"]], "symbol-spacing": 380, "text-padding": 12,
                    "text-max-angle": 30},
        "paint": {"text-color": p.road_label, "text-halo-color": p.halo, "text-halo-width": 1.4},
    }  # fmt: skip
    return [
        road,
        _place(p, "park", lang, minzoom=11, filter=_larger("park", 11, 900_000),
               layout={"text-size": _sizes(11, 12, 16, 14)}, paint={"text-color": p.green_label}),
        _place(p, "water_body", lang, minzoom=9, filter=_larger("water_body", 9, 20_000_000),
               layout={"text-size": _sizes(9, 12, 15, 15), "text-letter-spacing": 0.12, "text-padding": 70},
               paint={"text-color": p.water_label}),
        _place(p, "street", lang, minzoom=12.2, maxzoom=15.5,
               layout={"text-size": 12}, paint={"text-color": p.place_minor}),
        _place(p, "district", lang, minzoom=8, maxzoom=13.5,
               layout={"text-size": _sizes(8, 12, 12, 18), "text-letter-spacing": 0.08},
               paint={"text-color": p.place}),
    ]  # fmt: skip
