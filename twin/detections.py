"""What machines see: a camera, a picture as evidence, the outline of a change, and how sure they are."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gis import crs, geometry
from twin import files
from twin.errors import BadRequest
from twin.policies import Doc

MAX_VERTICES = 5_000
# As large as a picture may be, in base64.
MAX_PICTURE = files.MAX_BYTES * 4 // 3 + 64


@dataclass
class Seen:
    """Where it is, what proves it, and what keeps it from being believed at once."""

    lon: float | None = None
    lat: float | None = None
    photos: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


def seen(conn: Connection, doc: Doc, said: dict[str, Any]) -> Seen:
    """Take what machines tell out of a record; what is doubtful is kept and marked."""
    made, doubts = Seen(), list[str]()
    lon, lat = said.pop("lon", None), said.pop("lat", None)
    if lon is not None and lat is not None:
        made.lon, made.lat = _place(lon, lat, doc.get("system", "wgs84"))
    outline = said.pop("shape", None)
    if outline not in (None, ""):
        _outline(made, outline, doc.get("system", "wgs84"))
    if camera := said.pop("camera", None):
        _camera(conn, made, camera, doubts)
    if picture := said.pop("picture", None):
        _picture(conn, made, picture, str(doc["key"]), doubts)
    _sure(made, doc, said.pop("confidence", None), doubts)
    if doubts:
        made.more["doubt"] = "；".join(doubts)
    return made


def _place(lon: float, lat: float, system: str) -> tuple[float, float]:
    if not (math.isfinite(lon) and math.isfinite(lat) and -180 <= lon <= 180 and -90 <= lat <= 90):
        raise BadRequest(f"The place {lon}, {lat} is not on the earth.")
    if system == "wgs84":
        return lon, lat
    x, y = crs.to_wgs84(np.array([lon]), np.array([lat]), system)
    return round(float(x[0]), 7), round(float(y[0]), 7)


def _outline(made: Seen, given: Any, system: str) -> None:
    """Keep the polygon of a change, mended where it can be, with its area on the ellipsoid."""
    try:
        raw = given if isinstance(given, str) else json.dumps(given)
        shape = shapely.force_2d(shapely.from_geojson(raw))
    except (shapely.GEOSException, TypeError, ValueError) as why:
        raise BadRequest("The outline is no GeoJSON geometry.") from why
    if shapely.get_num_coordinates(shape) > MAX_VERTICES:
        raise BadRequest(f"The outline has more than {MAX_VERTICES} corners; simplify it.")
    if system != "wgs84":
        shape = shapely.transform(
            shape, lambda c: np.column_stack(crs.to_wgs84(c[:, 0], c[:, 1], system))
        )
    mended = geometry.mend(shape, "polygon")
    if mended.shape is None:
        raise BadRequest(f"The outline cannot be used: {mended.reason}.")
    made.more |= {
        "shape": json.loads(shapely.to_geojson(shapely.set_precision(mended.shape, 1e-7))),
        "area_m2": round(geometry.area_m2(mended.shape), 1),
    }
    if made.lon is None:
        inside = mended.shape.representative_point()
        made.lon, made.lat = round(inside.x, 7), round(inside.y, 7)


_CAMERA = text(
    "select code, name, st_x(geom) as lon, st_y(geom) as lat from appearance.camera "
    "where code = :k or gb_code = :k limit 1"
)


def _camera(conn: Connection, made: Seen, key: str, doubts: list[str]) -> None:
    """Stand in the place of the camera where the platform tells none of its own."""
    row = conn.execute(_CAMERA, {"k": str(key)[:64]}).first()
    if row is None:
        made.more["camera"] = str(key)[:64]
        doubts.append(f"目录中没有摄像机 {str(key)[:64]}")
        return
    made.more |= {"camera": row.code, "camera_name": row.name}
    if made.lon is None:
        made.lon, made.lat = row.lon, row.lat
        made.more["place_from"] = "camera"


def _picture(conn: Connection, made: Seen, given: Any, owner: str, doubts: list[str]) -> None:
    """Keep the picture that was sent along; an address of one is never fetched."""
    said = str(given)
    if said.startswith("data:"):
        said = said.partition(",")[2]
    try:
        if said.startswith(("http://", "https://")):
            raise BadRequest("address")
        if len(said) > MAX_PICTURE:
            raise BadRequest("large")
        kept = files.keep(conn, base64.b64decode(said, validate=True), f"source:{owner}")
    except (BadRequest, binascii.Error, ValueError):
        # What happened is not lost for a bad picture: a person looks at it without one.
        doubts.append("随附图片不可读")
        return
    made.photos.append({"url": kept["url"], "stage": "collected"})


def _sure(made: Seen, doc: Doc, confidence: float | None, doubts: list[str]) -> None:
    """Mark what is sure enough to be accepted by itself; the rest says why it waits for a person."""
    least = doc.get("review_below")
    if confidence is not None:
        if not 0 <= confidence <= 1:
            raise BadRequest(f"A confidence of {confidence:g} cannot be; it is from 0 to 1.")
        made.more["confidence"] = confidence
    if least is None:
        return
    if confidence is None:
        doubts.append("来源未给出置信度")
    elif confidence < least:
        doubts.append(f"置信度 {confidence:g} 低于 {least:g}")
    made.more["sure"] = not doubts
