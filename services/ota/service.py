"""Images on disk by their digest, and which devices a rollout means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import shapely
from sqlalchemy import Connection, text

from twin.errors import BadRequest, NotFound
from twin.scope import Actor, scope_sql
from twin.settings import settings

MOST = 20_000


def keep(conn: Connection, release: UUID, image: Path) -> None:
    """Keep the image of a release where devices fetch it."""
    digest = conn.scalar(text("select sha256 from iot.ota_release where id = :id"), {"id": release})
    folder = settings().home / "ota" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{digest}"
    shutil.copyfile(image, part)
    part.replace(folder / str(digest))


def image(sha256: str) -> Path:
    """Return the file of an image; NotFound where there is none."""
    path = settings().home / "ota" / "images" / sha256
    if not path.is_file():
        raise NotFound("There is no such image.")
    return path


def digest_of(conn: Connection, product: str, name: str) -> str:
    """Return the digest of the image behind a target path; withdrawn releases have none."""
    bare = name.partition(".")[2] if len(name.partition(".")[0]) == 64 else name
    found = conn.scalar(
        text(
            "select sha256 from iot.ota_release where product = :p and version || '.bin' = :n "
            "and revoked_at is null"
        ),
        {"p": product, "n": bare},
    )
    if found is None:
        raise NotFound("There is no such image.")
    return str(found)


def chosen(
    conn: Connection, actor: Actor, product: str, *, codes: list[str] | None,
    district: str | None, area: dict[str, Any] | None, everywhere: bool,
) -> list[int]:  # fmt: skip
    """Return the devices of a product that a selection means, within the actor's scope."""
    if not (codes or district or area or everywhere):
        raise BadRequest("Choose devices: by code, by district, by an area, or everywhere.")
    scope, params = scope_sql(actor, "t", min(actor.clearance, 2))
    where = ["d.product = :product", "d.enabled", "t.gone_at is null", scope]
    params |= {"product": product, "codes": codes, "district": district}
    if codes:
        where.append("t.code = any(:codes)")
    if district:
        where.append("t.district = :district")
    if area:
        where.append("st_intersects(t.point, (select cast(:area as geometry)))")
        params["area"] = _shape(area)
    nums = list(
        conn.scalars(
            text(
                "select t.num from twin.thing t join twin.device d on d.num = t.num "
                f"where {' and '.join(where)} order by t.num limit {MOST}"
            ),
            params,
        )
    )
    if not nums:
        raise NotFound(f"No device of {product} lies in this selection.")
    return nums


def _shape(said: dict[str, Any]) -> str:
    try:
        shape = shapely.from_geojson(json.dumps(said))
    except (shapely.GEOSException, ValueError, TypeError) as why:
        raise BadRequest("area is no readable GeoJSON polygon.") from why
    if shape.geom_type not in ("Polygon", "MultiPolygon") or not shape.is_valid:
        raise BadRequest("area must be a valid polygon.")
    return str(shapely.to_wkb(shapely.set_srid(shape, 4326), hex=True, include_srid=True))
