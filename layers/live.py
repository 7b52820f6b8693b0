"""Live layers in pydeck: how events and moving things look; mapkit puts the data in by layer id."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pydeck as pdk

from twin.errors import NotFound


def _icons(layer_id: str, icon: str | None, size: float, *, angle: bool) -> pdk.Layer:
    """Return an icon layer over an atlas; `icon` None means that each row names its own."""
    more: dict[str, Any] = {"get_icon": pdk.types.String(icon) if icon else "icon"}
    if angle:
        more |= {"get_angle": "angle", "get_color": "color"}
    return pdk.Layer(
        "IconLayer", data=[], id=layer_id, get_position="position", get_size=size,
        size_units=pdk.types.String("pixels"),
        pickable=True, alpha_cutoff=0.05, **more,
    )  # fmt: skip


def movers() -> pdk.Deck:
    """Vehicles are arrows that point where they drive, crews are rings; what has not been heard is hollow."""
    return _deck(
        _icons("vehicles-stale", "vehicle-stale", 15, angle=True),
        _icons("crews-stale", "crew-stale", 16, angle=True),
        _icons("vehicles", "vehicle", 17, angle=True),
        _icons("crews", "crew", 18, angle=True),
    )


def events() -> pdk.Deck:
    """Events: shape and colour of their severity, filled until a crew has them, ringed when late."""
    return _deck(_icons("events", None, 26, angle=False))


def _deck(*layers: pdk.Layer) -> pdk.Deck:
    return pdk.Deck(layers=list(layers), map_provider=None, initial_view_state=None, views=None)


LIVE: dict[str, Callable[[], pdk.Deck]] = {"movers": movers, "events": events}


def definition(layer_id: str) -> dict[str, Any]:
    """Return a live layer as pydeck JSON."""
    if layer_id not in LIVE:
        raise NotFound(f"There is no live layer {layer_id!r}; there are {', '.join(sorted(LIVE))}.")
    said: dict[str, Any] = json.loads(LIVE[layer_id]().to_json())
    return {"layers": said["layers"]}
