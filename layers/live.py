"""Live layers in pydeck: how events and moving things look; mapkit puts the data in by layer id."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pydeck as pdk

from twin.errors import NotFound


def movers() -> pdk.Deck:
    """Vehicles are arrows that point where they drive, crews are rings; what has not been heard is hollow."""
    # Pixels of a silent vehicle, a silent crew, a vehicle, a crew: mapkit draws all of them at once.
    return _deck(
        pdk.Layer("FleetLayer", data=[], id="movers", sizes=[15, 16, 17, 18], pickable=True)
    )


def events() -> pdk.Deck:
    """Events: shape and colour of their severity, filled until a crew has them, ringed when late."""
    return _deck(
        pdk.Layer(
            "IconLayer", data=[], id="events", get_position="position", get_icon="icon",
            get_size=26, size_units=pdk.types.String("pixels"), pickable=True, alpha_cutoff=0.05,
        )
    )  # fmt: skip


def _deck(*layers: pdk.Layer) -> pdk.Deck:
    return pdk.Deck(layers=list(layers), map_provider=None, initial_view_state=None, views=None)


LIVE: dict[str, Callable[[], pdk.Deck]] = {"movers": movers, "events": events}


def definition(layer_id: str) -> dict[str, Any]:
    """Return a live layer as pydeck JSON."""
    if layer_id not in LIVE:
        raise NotFound(f"There is no live layer {layer_id!r}; there are {', '.join(sorted(LIVE))}.")
    said: dict[str, Any] = json.loads(LIVE[layer_id]().to_json())
    return {"layers": said["layers"]}
