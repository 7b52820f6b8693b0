"""Things on the ground: each kind drawn from its own `symbol`, kinds added later as well."""

from __future__ import annotations

from typing import Any

from layers.ground import BASE_KINDS
from layers.tokens import Palette, tokens
from twin.kinds import Kind

Layer = dict[str, Any]
# What moves is drawn live from its positions, never from tiles.
MOVERS = ("vehicle", "crew")
HEALTH = {"poor": "minor", "dead": "major"}


def drawn(kinds: dict[str, Kind]) -> list[Kind]:
    """Return the kinds that get a source of their own."""
    return [
        k for k in kinds.values()
        if k.geometry != "none" and k.kind not in BASE_KINDS and k.kind not in MOVERS
    ]  # fmt: skip


def domain(kind: Kind) -> str:
    """Return the colour token of a kind: its topic, sanitation for what it keeps."""
    return kind.topic if kind.topic in tokens()["themes"]["night"] else "base"


def first_zoom(kind: Kind) -> float:
    """Return the zoom from which a kind is drawn."""
    return float(kind.symbol.get("min_zoom", 12))


def _source(kind: Kind, suffix: str = "", pick: bool = True, **more: Any) -> Layer:
    return {"id": f"{kind.kind}{suffix}", "source": kind.kind, "source-layer": kind.kind,
            "metadata": {"kind": kind.kind, "pick": pick}} | more  # fmt: skip


def layers(kind: Kind, p: Palette) -> list[Layer]:
    """Return the style layers of a kind."""
    if kind.kind == "street_tree":
        return _trees(kind, p)
    return {"point": _points, "line": _lines, "polygon": _polygons}[kind.geometry](kind, p)


def _trees(kind: Kind, p: Palette) -> list[Layer]:
    """Crowns, not symbols: a street reads as a line of trees; what is ill or dead stands out."""
    ill: list[Any] = ["match", ["get", "health"]]
    for state, token in HEALTH.items():
        ill += [state, p.get(token)]
    size = ["interpolate", ["exponential", 1.6], ["zoom"], 14, 1.1, 16, 3.2, 18, 8]
    return [
        _source(kind, type="circle", minzoom=first_zoom(kind) - 1,
                paint={"circle-radius": size, "circle-color": [*ill, p.tree], "circle-opacity": 0.85}),
    ]  # fmt: skip


def _points(kind: Kind, p: Palette) -> list[Layer]:
    zoom, ink = first_zoom(kind), p.get(domain(kind))
    broken = [
        "!",
        ["in", ["coalesce", ["get", "state"], "active"], ["literal", ["active", "open", "normal"]]],
    ]
    return [
        _source(kind, "-dot", type="circle", minzoom=max(0, zoom - 1), maxzoom=zoom,
                paint={"circle-radius": 1.8, "circle-color": ink, "circle-opacity": 0.6}),
        _source(kind, "-broken", pick=False, type="circle", minzoom=zoom, filter=broken,
                paint={"circle-radius": 13, "circle-color": "transparent", "circle-stroke-color": p.major,
                       "circle-stroke-width": 2}),
        _source(kind, type="symbol", minzoom=zoom, layout=_icon(kind, zoom) | _name(kind, zoom),
                paint={"icon-opacity": ["interpolate", ["linear"], ["zoom"], zoom, 0.8, zoom + 2, 1.0],
                       "text-color": p.muted, "text-halo-color": p.halo, "text-halo-width": 1.3}),
    ]  # fmt: skip


def _icon(kind: Kind, zoom: float) -> dict[str, Any]:
    """Few and small at first: the room that a symbol claims shrinks as one comes nearer."""
    return {
        "icon-image": f"kind:{kind.symbol.get('icon', 'map-pin')}:{domain(kind)}",
        "icon-size": ["interpolate", ["linear"], ["zoom"], zoom, 0.62, zoom + 3, 1.0],
        "icon-padding": ["interpolate", ["linear"], ["zoom"], zoom, 10, zoom + 2.5, 1],
    }


def _name(kind: Kind, zoom: float) -> dict[str, Any]:
    """The label belongs to the symbol's own layer, so that the two never push each other away."""
    label = kind.symbol.get("label")
    if not label:
        return {}
    return {
        "text-field": ["step", ["zoom"], "", zoom + 2.2, ["get", label]], "text-size": 12, "text-anchor": "top",
        "text-offset": [0, 1.0], "text-font": [tokens()["map_font"]], "text-optional": True,
        "text-padding": 8, "text-max-width": 9,
    }  # fmt: skip


def _lines(kind: Kind, p: Palette) -> list[Layer]:
    return [_source(kind, type="line", minzoom=first_zoom(kind),
                    paint={"line-color": p.get(domain(kind)), "line-width": 2, "line-opacity": 0.8})]  # fmt: skip


def _polygons(kind: Kind, p: Palette) -> list[Layer]:
    """Forest is a ground colour like green; any other area a thin wash with an edge of its domain."""
    zoom = first_zoom(kind)
    forest = kind.topic == "forestry"
    fill = p.forest if forest else p.get(domain(kind))
    return [
        _source(kind, type="fill", minzoom=max(0, zoom - 1),
                paint={"fill-color": fill, "fill-opacity": 0.9 if forest else 0.12, "fill-antialias": False}),
        _source(kind, "-edge", pick=False, type="line", minzoom=zoom,
                paint={"line-color": p.green_line if forest else fill, "line-width": 1, "line-opacity": 0.8}),
    ]  # fmt: skip
