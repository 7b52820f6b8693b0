"""Things on the ground: each kind drawn from its own `symbol`, kinds added later as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layers.afar import SINGLE, merged
from layers.ground import BASE_KINDS
from layers.tokens import Palette, tokens
from twin import detail
from twin.kinds import Kind

Layer = dict[str, Any]
# What moves is drawn live from its positions, never from tiles.
MOVERS = ("vehicle", "crew")
HEALTH = {"poor": "minor", "dead": "major"}
# Drawn as a colour of the ground, like green; every other area is a thin wash.
GROUND = ("sub_compartment",)
WIDEST = 8.0
DOTS_SHOWN = 13
_OPACITIES = frozenset({"fill-opacity", "line-opacity", "circle-opacity", "icon-opacity"})


def drawn(kinds: dict[str, Kind]) -> list[Kind]:
    """Return the kinds that get a source of their own."""
    return [
        k for k in kinds.values()
        if k.geometry != "none" and k.kind not in BASE_KINDS and k.kind not in MOVERS
    ]  # fmt: skip


def domain(kind: Kind) -> str:
    """Return the colour token of a kind: the one that staff gave it, else its topic's."""
    ink = kind.symbol.get("ink")
    if ink:
        return str(ink)
    return kind.topic if kind.topic in tokens()["themes"]["night"] else "base"


def first_zoom(kind: Kind) -> float:
    """Return the zoom from which a kind is drawn."""
    return float(kind.symbol.get("min_zoom", 12))


def dots(kind: Kind, ink: Any) -> Layer:
    """Return the layer of dots that stand for many: larger where there are more, by their logarithm."""
    many = ["log10", ["max", 1, ["get", "n"]]]
    # What is on the map before anybody has chosen begins where the city is near enough to ask for it.
    first = DOTS_SHOWN if shown(kind) else detail.COARSEST
    return {
        "id": f"{kind.kind}-dots", "source": kind.kind, "source-layer": kind.kind, "type": "circle",
        "metadata": {"kind": kind.kind}, "minzoom": first, "maxzoom": detail.DOTS_FINEST + 1,
        "filter": ["has", "n"],
        "paint": {"circle-radius": ["+", 0.7, ["*", 0.8, many]], "circle-color": ink,
                  "circle-opacity": 0.45 if shown(kind) else 0.7},
    }  # fmt: skip


def level(kind: Kind, p: Palette) -> list[Layer]:
    """Return what stands for a kind from afar where a level of detail of it is kept."""
    low, fill = detail.of(kind).low, painted(kind, domain(kind), p.get)
    if low == "areas":
        ground = kind.kind in GROUND
        return [merged(kind.kind, p.forest if ground else fill, "fill" if ground else "wash")]
    if low == "dots":
        return [dots(kind, p.tree if kind.kind == "street_tree" else fill)]
    return []


def _source(kind: Kind, suffix: str = "", pick: bool = True, **more: Any) -> Layer:
    return {"id": f"{kind.kind}{suffix}", "source": kind.kind, "source-layer": kind.kind,
            "metadata": {"kind": kind.kind, "pick": pick}} | more  # fmt: skip


def layers(kind: Kind, p: Palette, levelled: bool = False) -> list[Layer]:
    """Return the style layers of a kind; those of a kind that is not shown cost no tile.

    `levelled` tells that a level of detail of the kind is kept.
    """
    draw = {"point": _points, "line": _lines, "polygon": _polygons}[kind.geometry]
    made = _trees(kind, p) if kind.kind == "street_tree" else draw(kind, p)
    if levelled:
        for one in made:
            one["filter"] = ["all", SINGLE, one["filter"]] if "filter" in one else SINGLE
        made = level(kind, p) + made
    share = kind.symbol.get("opacity")
    if share is not None:
        for one in made:
            _dim(one.get("paint", {}), float(share))
    if not shown(kind):
        for one in made:
            one["layout"] = one.get("layout", {}) | {"visibility": "none"}
    return made


def _dim(paint: dict[str, Any], share: float) -> None:
    """Take a share of every opacity; an expression over zoom keeps its stops."""
    for name in _OPACITIES.intersection(paint):
        value = paint[name]
        if isinstance(value, list):
            paint[name] = value[:4] + [v * share for v in value[4:5]] + [
                v * share if i % 2 else v for i, v in enumerate(value[5:])
            ]  # fmt: skip
        else:
            paint[name] = value * share


def shown(kind: Kind) -> bool:
    """True for a kind that is on the map before anybody has chosen."""
    return bool(kind.symbol.get("shown", False))


def painted(kind: Kind, plain: str, paint: Callable[[str], str]) -> Any:
    """Return the colour by the values of `color_by`, from tokens; `plain` is the token otherwise."""
    by, colors = kind.symbol.get("color_by"), kind.symbol.get("colors")
    if not by or not colors:
        return paint(plain)
    cases: list[Any] = []
    for code, token in colors.items():
        cases += [str(code), paint(token)]
    return ["match", ["to-string", ["get", by]], *cases, paint(plain)]


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
    zoom, ink = first_zoom(kind), painted(kind, domain(kind), p.get)
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
    icon = kind.symbol.get("icon", "map-pin")
    return {
        "icon-image": painted(kind, domain(kind), lambda token: f"kind:{icon}:{token}"),
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
    """Lines, wider where more flows; a flow shows its direction."""
    zoom, plain = first_zoom(kind), domain(kind)
    made = [_source(kind, type="line", minzoom=zoom, layout={"line-cap": "round", "line-join": "round"},
                    paint={"line-color": painted(kind, plain, p.get), "line-width": _width(kind),
                           "line-opacity": 0.6 if kind.flow else 0.8})]  # fmt: skip
    if kind.flow:
        arrow = {"icon-image": painted(kind, plain, lambda token: f"arrow:{token}"),
                 "symbol-placement": "line", "symbol-spacing": 120, "icon-padding": 0}  # fmt: skip
        made.append(_source(kind, "-arrow", pick=False, type="symbol", minzoom=zoom, layout=arrow))
    return made


def _width(kind: Kind) -> Any:
    """A logarithm: a flow of a thousand tonnes must not hide one of ten."""
    by = kind.symbol.get("width_by")
    if not by:
        return 2
    amount = ["max", 0, ["to-number", ["get", by], 0]]
    return ["min", WIDEST, ["+", 1, ["*", 1.3, ["log10", ["+", 1, amount]]]]]


def _polygons(kind: Kind, p: Palette) -> list[Layer]:
    """Forest is a ground colour like green; any other area a thin wash with an edge of its colour."""
    zoom, ground = first_zoom(kind), kind.kind in GROUND
    fill = p.forest if ground else painted(kind, domain(kind), p.get)
    made = [
        _source(kind, type="fill", minzoom=max(0, zoom - 1),
                paint={"fill-color": fill, "fill-opacity": 0.9 if ground else 0.2, "fill-antialias": False}),
        _source(kind, "-edge", pick=False, type="line", minzoom=zoom,
                paint={"line-color": p.green_line if ground else fill, "line-width": 1 if ground else 1.5,
                       "line-opacity": 0.8 if ground else 0.95}),
    ]  # fmt: skip
    if not ground and kind.symbol.get("label"):
        made.append(
            _source(kind, "-name", pick=False, type="symbol", minzoom=zoom + 2,
                    layout=_name(kind, zoom) | {"text-anchor": "center", "text-offset": [0, 0], "text-padding": 48},
                    paint={"text-color": p.muted, "text-halo-color": p.halo, "text-halo-width": 1.3})
        )  # fmt: skip
    return made
