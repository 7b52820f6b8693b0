"""Which devices are meant, and who may reach them."""

from __future__ import annotations

import json
from typing import Any

import shapely
from sqlalchemy import Connection, text

from twin import products
from twin.errors import BadRequest, NotFound
from twin.products import Product
from twin.scope import Actor, scope_sql, sees
from twin.shadow.commands import MAX_DEVICES

MAX_CORNERS = 5000


def device(conn: Connection, actor: Actor, code: str) -> tuple[int, Product | None]:
    """Return the number and product of a device that the actor may see."""
    row = conn.execute(
        text(
            "select t.num, t.district, t.street, t.level, st_x(t.point) as lon, st_y(t.point) as lat, "
            "d.product from twin.thing t join twin.device d on d.num = t.num "
            "where t.code = :c and t.gone_at is null"
        ),
        {"c": code},
    ).first()
    if row is None or not sees(
        actor, None, row.district, row.street, (row.lon, row.lat), level=row.level
    ):
        raise NotFound(f"There is no device {code!r} that you may see.")
    return int(row.num), products.running(conn).get(row.product)


def chosen(
    conn: Connection,
    actor: Actor,
    product: str,
    *,
    codes: list[str] | None,
    district: str | None,
    area: str | None,
    everywhere: bool = False,
) -> list[int]:
    """Return the devices of a product that a selection on the map means, within the actor's scope."""
    if not (codes or district or area or everywhere):
        raise BadRequest("Choose devices: by code, by district, by an area of the map.")
    scope, params = scope_sql(actor, "t", min(actor.clearance, 2))
    where = ["d.product = :product", "d.enabled", "t.gone_at is null", scope]
    params["product"] = product
    if codes:
        where.append("t.code = any(:codes)")
        params["codes"] = codes
    if district:
        where.append("t.district = :district")
        params["district"] = district
    if area:
        where.append("st_intersects(t.point, (select cast(:area as geometry)))")
        params["area"] = area
    nums = list(
        conn.scalars(
            text(
                "select t.num from twin.thing t join twin.device d on d.num = t.num "
                f"where {' and '.join(where)} order by t.num limit :most"
            ),
            params | {"most": MAX_DEVICES + 1},
        )
    )
    if codes and len(nums) != len(set(codes)):
        raise NotFound("Some of these devices are not of this product, or not yours to reach.")
    if not nums:
        raise NotFound(f"No device of {product} lies in this selection.")
    return nums


def polygon(said: dict[str, Any] | None) -> str | None:
    """Return a GeoJSON polygon as hex EWKB; BadRequest when it is none or too large."""
    if said is None:
        return None
    if said.get("type") not in ("Polygon", "MultiPolygon"):
        raise BadRequest("area is a GeoJSON Polygon or MultiPolygon.")
    try:
        shape = shapely.from_geojson(json.dumps(said))
    except (shapely.GEOSException, ValueError, TypeError) as why:
        raise BadRequest("area is no readable GeoJSON polygon.") from why
    if shapely.get_num_coordinates(shape) > MAX_CORNERS or not shape.is_valid or shape.is_empty:
        raise BadRequest(f"area must be a valid polygon of at most {MAX_CORNERS} corners.")
    return str(shapely.to_wkb(shapely.set_srid(shape, 4326), hex=True, include_srid=True))
