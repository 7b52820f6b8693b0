"""A small picture of the place of an event for paper: roads, water, green around it, the mark, a scale."""

from __future__ import annotations

import io
import math
from typing import Any

import shapely
from PIL import Image, ImageDraw
from sqlalchemy import Connection, text

WIDTH, HEIGHT = 1120, 840
METRES = 620.0  # half the width on the ground
_LAND, _WATER, _GREEN, _ROAD, _EDGE, _INK = (
    "#faf9f6",
    "#cfdfe6",
    "#d9e5d3",
    "#ffffff",
    "#d2d0c8",
    "#1d2426",
)
_MARK = {1: "#c8281e", 2: "#a65500", 3: "#806700", 4: "#2f6f94"}
_ROAD_PX = {"expressway": 26, "elevated": 24, "arterial": 20, "secondary": 14}
_SOURCES = (
    ("base", "water_body", _WATER),
    ("greening", "green_space", _GREEN),
    ("greening", "park", _GREEN),
)


def png(conn: Connection, lon: float, lat: float, severity: int) -> bytes:
    """Return the picture as PNG, twice as fine as it is printed."""
    half = METRES / 111_320
    wide = half / math.cos(math.radians(lat))
    tall = half * HEIGHT / WIDTH
    box = (lon - wide, lat - tall, lon + wide, lat + tall)
    picture = Image.new("RGB", (WIDTH, HEIGHT), _LAND)
    draw = ImageDraw.Draw(picture)

    def at(point: Any) -> tuple[float, float]:
        return ((point[0] - box[0]) / (box[2] - box[0]) * WIDTH,
                (box[3] - point[1]) / (box[3] - box[1]) * HEIGHT)  # fmt: skip

    for schema, table, ink in _SOURCES:
        for _, shape in _shapes(conn, schema, table, "null", box):
            for part in shapely.get_parts(shape):
                if part.geom_type == "Polygon":
                    draw.polygon([at(p) for p in part.exterior.coords], fill=ink)
    roads = [(k, s) for k, s in _shapes(conn, "base", "road", "class", box)]
    for more, ink in ((4, _EDGE), (0, _ROAD)):
        for kind, shape in roads:
            for part in shapely.get_parts(shape):
                if part.geom_type == "LineString":
                    width = _ROAD_PX.get(kind or "", 8) + more
                    draw.line([at(p) for p in part.coords], fill=ink, width=width, joint="curve")
    _mark(draw, at((lon, lat)), _MARK[severity])
    _scale(draw)
    draw.rectangle((0, 0, WIDTH - 1, HEIGHT - 1), outline=_EDGE, width=2)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _shapes(
    conn: Connection, schema: str, table: str, column: str, box: tuple[float, ...]
) -> list[tuple[str | None, Any]]:
    there = conn.execute(text("select to_regclass(:t)"), {"t": f"{schema}.{table}"}).scalar()
    if there is None:
        return []
    rows = conn.execute(
        text(
            f"select {column} as kind, st_asbinary(st_clipbybox2d(geom, e.b)) as geom "
            f"from {schema}.{table}, (select st_makeenvelope(:w, :s, :e, :n, 4326) as b) e "
            "where geom && e.b limit 4000"
        ),
        dict(zip("wsen", box, strict=True)),
    )
    return [(r.kind, shapely.from_wkb(bytes(r.geom))) for r in rows if r.geom is not None]


def _mark(draw: ImageDraw.ImageDraw, at: tuple[float, float], ink: str) -> None:
    x, y = at
    draw.ellipse((x - 34, y - 34, x + 34, y + 34), outline=ink, width=6)
    draw.ellipse((x - 16, y - 16, x + 16, y + 16), fill=ink, outline="#ffffff", width=5)


def _scale(draw: ImageDraw.ImageDraw) -> None:
    """Draw a bar of 200 m."""
    length = 200 / (2 * METRES) * WIDTH
    x, y = 32.0, HEIGHT - 36.0
    draw.line((x, y, x + length, y), fill=_INK, width=5)
    for end in (x, x + length):
        draw.line((end, y - 10, end, y + 2), fill=_INK, width=5)
    draw.text((x + length + 14, y - 22), "200 m", fill=_INK, font_size=30)
