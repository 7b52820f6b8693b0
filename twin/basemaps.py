"""Base maps of others that this installation offers: only where their key is set."""

from __future__ import annotations

from typing import Any

from twin.settings import settings

PROVIDER = "tianditu"
MAX_ZOOM = 18
# Layer → title; annotations lie over the picture of the same row.
LAYERS: dict[str, dict[str, str]] = {
    "vec": {"zh": "天地图 矢量", "en": "Tianditu, map"},
    "cva": {"zh": "天地图 矢量注记", "en": "Tianditu, labels of the map"},
    "img": {"zh": "天地图 影像", "en": "Tianditu, imagery"},
    "cia": {"zh": "天地图 影像注记", "en": "Tianditu, labels of the imagery"},
    "ter": {"zh": "天地图 地形", "en": "Tianditu, terrain"},
    "cta": {"zh": "天地图 地形注记", "en": "Tianditu, labels of the terrain"},
}
LABELS = {"vec": "cva", "img": "cia", "ter": "cta"}
ATTRIBUTION = "天地图 © 国家地理信息公共服务平台"


def offered() -> list[dict[str, Any]]:
    """Return the base maps that pages may switch to; none without a key, and never the key."""
    if settings().tianditu_key is None:
        return []
    return [
        {"id": f"{PROVIDER}_{layer}", "title": LAYERS[layer], "tiles": _tiles(layer),
         "labels": _tiles(LABELS[layer]), "min_zoom": 1, "max_zoom": MAX_ZOOM,
         "attribution": ATTRIBUTION}
        for layer in LABELS
    ]  # fmt: skip


def _tiles(layer: str) -> str:
    return f"/basemap/{PROVIDER}/{layer}/{{z}}/{{x}}/{{y}}"
