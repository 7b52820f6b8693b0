"""What stands for many things from afar: areas merged by the share of the ground that they cover."""

from __future__ import annotations

from typing import Any

from twin import detail

Layer = dict[str, Any]
# How strongly outlines by share are drawn: one upon the other they come to the share of the ground.
MERGED = {"fill": (0.19, 0.32, 0.91), "wash": (0.05, 0.08, 0.12)}
SINGLE = ["all", ["!", ["has", "share"]], ["!", ["has", "n"]]]


def merged(kind: str, color: Any, how: str, **more: Any) -> Layer:
    """Return the layer of areas merged by share: what stands for a kind from afar."""
    opacity: list[Any] = ["match", ["get", "share"]]
    for share, ink in zip(detail.SHARES, MERGED[how], strict=True):
        opacity += [share, ink]
    return {
        "id": f"{kind}-merged", "source": kind, "source-layer": kind, "type": "fill",
        "metadata": {"kind": kind}, "minzoom": detail.COARSEST, "maxzoom": detail.FINEST + 1,
        "filter": ["has", "share"],
        "paint": {"fill-color": color, "fill-opacity": [*opacity, MERGED[how][0]], "fill-antialias": False},
    } | more  # fmt: skip
