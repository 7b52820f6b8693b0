"""The quiet ground: land, water, green, roads, buildings and boundaries of the base map."""

from __future__ import annotations

from typing import Any

from layers.afar import SINGLE, merged
from layers.tokens import Palette

Layer = dict[str, Any]
BASE_KINDS = ("district", "street", "water_body", "green_space", "park", "road", "building")
# Road classes from the widest to the narrowest: zoom of first sight, widths in pixels by zoom.
ROADS: dict[str, tuple[float, tuple[tuple[float, float], ...]]] = {
    "expressway": (8, ((8, 0.5), (11, 1.3), (14, 5), (16, 12), (18, 30))),
    "elevated": (9, ((9, 0.6), (11, 1.2), (14, 4.5), (16, 11), (18, 28))),
    "arterial": (10, ((10, 0.4), (12, 1.1), (14, 3.4), (16, 9), (18, 24))),
    "secondary": (12, ((12, 0.5), (14, 2.2), (16, 7), (18, 19))),
    "local": (13, ((13, 0.5), (14, 1.2), (16, 4.6), (18, 14))),
}


def by_zoom(stops: tuple[tuple[float, float], ...], plus: float = 0.0) -> list[Any]:
    """Return an exponential interpolation over zoom, widened by `plus` pixels where it is drawn."""
    flat: list[Any] = []
    for zoom, value in stops:
        flat += [zoom, value + (plus if zoom >= 13 else plus / 2)]
    return ["interpolate", ["exponential", 1.45], ["zoom"], *flat]


def base(kind: str, **more: Any) -> Layer:
    """Return a layer of the composite base source with the metadata that a click needs."""
    return {"source": "base", "source-layer": kind, "metadata": {"kind": kind, "pick": True}} | more


def afar(kind: str, color: str) -> Layer:
    """Return the ground of a kind as its level of detail shows it: green and built-up land."""
    return merged(kind, color, "fill", source="base", id=f"{kind}-merged")


def areas(p: Palette, levels: frozenset[str] = frozenset()) -> list[Layer]:
    """Return land, green and water; from afar what is built up and green where levels are kept."""
    city = ["interpolate", ["linear"], ["zoom"], 9, 0.55, 13, 1.0]
    far = [afar(kind, ink) for kind, ink in (("building", p.building), ("green_space", p.green))
           if kind in levels]  # fmt: skip
    return [
        {"id": "ground", "type": "background", "paint": {"background-color": p.ground}},
        base("district", id="district-land", type="fill", metadata={"kind": "district"},
             paint={"fill-color": p.land, "fill-antialias": False}),
        *far,
        base("green_space", id="green_space", type="fill", minzoom=11, filter=SINGLE,
             paint={"fill-color": p.green, "fill-opacity": city}),
        base("park", id="park", type="fill", minzoom=9, paint={"fill-color": p.green}),
        base("park", id="park-edge", type="line", minzoom=13, metadata={"kind": "park"},
             paint={"line-color": p.green_line, "line-width": 1}),
        base("water_body", id="water_body", type="fill",
             paint={"fill-color": p.water, "fill-outline-color": p.water}),
        base("water_body", id="water_body-edge", type="line", minzoom=12, metadata={"kind": "water_body"},
             paint={"line-color": p.water_line, "line-width": ["interpolate", ["linear"], ["zoom"], 12, 0.5, 16, 1.5]}),
    ]  # fmt: skip


def roads(p: Palette) -> list[Layer]:
    """Return roads by class: first all casings, then all fills, narrow ones below wide ones."""
    cap = {"line-cap": "round", "line-join": "round"}
    made = []
    for name in reversed(ROADS):
        zoom, widths = ROADS[name]
        made.append(base("road", id=f"road-{name}-casing", type="line", minzoom=max(13, zoom), layout=cap,
                         filter=["==", ["get", "class"], name], metadata={"kind": "road"},
                         paint={"line-color": p.road_casing, "line-width": by_zoom(widths, 2.0)}))  # fmt: skip
    for name in reversed(ROADS):
        zoom, widths = ROADS[name]
        ink = p.road_major if name in ("expressway", "elevated") else p.road
        made.append(base("road", id=f"road-{name}", type="line", minzoom=zoom, layout=cap,
                         filter=["==", ["get", "class"], name],
                         paint={"line-color": ink, "line-width": by_zoom(widths)}))  # fmt: skip
    return made


def buildings(p: Palette, levels: frozenset[str] = frozenset()) -> list[Layer]:
    """Return footprints, and extrusions that the 3D switch shows.

    Footprints fade in, unless built-up land stands there before them.
    """
    opacity = (
        1.0 if "building" in levels else ["interpolate", ["linear"], ["zoom"], 13.5, 0.0, 14.2, 1.0]
    )
    height = ["coalesce", ["to-number", ["get", "height_m"]], 9]
    tint = ["interpolate", ["linear"], height, 0, p.building, 120, p.building_top, 320, p.boundary]
    return [
        base("building", id="building", type="fill", minzoom=13, filter=SINGLE,
             paint={"fill-color": p.building, "fill-outline-color": p.building_line,
                    "fill-opacity": opacity}),
        base("building", id="building-3d", type="fill-extrusion", minzoom=13.5,
             layout={"visibility": "none"},
             paint={"fill-extrusion-color": tint, "fill-extrusion-height": height,
                    "fill-extrusion-opacity": 0.92, "fill-extrusion-vertical-gradient": True}),
    ]  # fmt: skip


def boundaries(p: Palette) -> list[Layer]:
    """Return the lines of districts and streets."""
    return [
        base("street", id="street", type="line", minzoom=11.5, metadata={"kind": "street"},
             paint={"line-color": p.boundary_minor, "line-width": 1, "line-dasharray": [2, 3]}),
        base("district", id="district", type="line", metadata={"kind": "district"},
             layout={"line-join": "round"},
             paint={"line-color": p.boundary, "line-dasharray": [5, 2, 1, 2],
                    "line-width": ["interpolate", ["linear"], ["zoom"], 8, 0.7, 12, 1.2, 16, 2]}),
    ]  # fmt: skip


def shade(p: Palette) -> list[dict[str, Any]]:
    """Return the shade of hills; the city is flat, so it is drawn stronger than in the mountains."""
    night = p.theme == "night"
    return [
        {"id": "terrain-shade", "type": "hillshade", "source": "terrain", "metadata": {"kind": "terrain"},
         "paint": {"hillshade-exaggeration": 0.6, "hillshade-illumination-direction": 315,
                   "hillshade-shadow-color": "#05090b" if night else "#8b8877",
                   "hillshade-highlight-color": "#3d4d52" if night else "#ffffff",
                   "hillshade-accent-color": "#0b1214" if night else "#b9b5a5"}},
    ]  # fmt: skip
