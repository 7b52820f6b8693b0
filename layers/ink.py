"""How a kind is painted in a picture: the colours of its style, without names and symbols."""

from __future__ import annotations

import math
from collections.abc import Callable

from gis.paint import Feature, Ink, said
from layers import things
from layers.afar import MERGED
from layers.ground import BASE_KINDS
from layers.tokens import Palette
from twin import detail
from twin.kinds import Kind

_BASE = {"district": "land", "water_body": "water", "green_space": "green", "park": "green",
         "building": "building"}  # fmt: skip
_WIDTHS = {"expressway": 2.2, "elevated": 2.0, "arterial": 1.5, "secondary": 1.0, "local": 0.6}


def of(kind: Kind, theme: str) -> Callable[[Feature], Ink]:
    """Return the ink of a kind's features in a theme."""
    p = Palette(theme)
    if kind.kind in BASE_KINDS:
        return _base(kind, p)
    colours = kind.symbol.get("colors") or {}
    by = str(kind.symbol.get("color_by", ""))
    ground = kind.kind in things.GROUND

    def ink(feature: Feature) -> Ink:
        token = colours.get(str(feature.said.get(by)), things.domain(kind))
        colour = p.forest if ground else p.get(token)
        if "n" in feature.said:
            return Ink(edge=said(colour, 0.8), width=0.7 + 0.8 * math.log10(feature.said["n"]))
        if "share" in feature.said:
            return _share(feature, colour, "fill" if ground else "wash")
        if kind.geometry == "polygon":
            return Ink(said(colour, 0.9 if ground else 0.25), said(colour, 0.9), 0.8)
        return Ink(edge=said(colour, 0.95), width=2.2 if kind.geometry == "point" else 1.5)

    return ink


def _share(feature: Feature, colour: str, how: str) -> Ink:
    strength = dict(zip(detail.SHARES, MERGED[how], strict=True))
    return Ink(said(colour, strength.get(int(feature.said["share"]), 0.2)))


def _base(kind: Kind, p: Palette) -> Callable[[Feature], Ink]:
    def ink(feature: Feature) -> Ink:
        if kind.kind == "road":
            name = str(feature.said.get("class"))
            token = p.road_major if name in ("expressway", "elevated") else p.road
            return Ink(edge=said(token), width=_WIDTHS.get(name, 0.6))
        if kind.kind == "street":
            return Ink(edge=said(p.boundary_minor, 0.6), width=0.6)
        colour = getattr(p, _BASE[kind.kind])
        if "share" in feature.said:
            return _share(feature, colour, "fill")
        edge = said(p.boundary) if kind.kind == "district" else None
        return Ink(said(colour), edge, 0.7)

    return ink
