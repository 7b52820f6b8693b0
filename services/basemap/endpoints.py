"""HTTP door of base maps of others: /basemap/{provider}/{layer}/{z}/{x}/{y}."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.basemap import service
from services.web.auth import Person

router = APIRouter(tags=["basemap"])
Name = Annotated[str, Path(max_length=16, pattern="^[a-z]+$")]
Row = Annotated[int, Path(ge=0, le=2**19)]


@router.get("/basemap/{provider}/{layer}/{z}/{x}/{y}", response_class=Response)
def tile(
    provider: Name,
    layer: Name,
    z: Annotated[int, Path(ge=0, le=22)],
    x: Row,
    y: Row,
    person: Person,
) -> Response:
    """Return a tile of a base map, out of the cache where it is there."""
    raw, kind = service.tile(provider, layer, z, x, y)
    return Response(raw, media_type=kind, headers={"Cache-Control": "private, max-age=86400"})
