"""The map of a briefing, drawn here from our own layers: districts, water, green, roads, the warning, who and what."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import Connection, text

from layers.tokens import tokens
from services.web.paper import FONT

WIDTH, HEIGHT = 1740, 1040
PAD = 0.06
MOST_SHAPES = 6_000
Point = tuple[float, float]
_SEVERITY = {1: "critical", 2: "major", 3: "minor", 4: "info"}
_ROADS = {"expressway": 6, "elevated": 5, "arterial": 3}


@dataclass(frozen=True)
class Marks:
    """What is drawn over the ground: lon, lat of each."""

    targets: Sequence[Point]
    resources: Sequence[tuple[Point, str]]  # planned, called or ready
    alarms: Sequence[tuple[Point, int]]
    events: Sequence[tuple[Point, int]]


class Frame:
    """The stretch of ground that the picture shows, in a local scale."""

    def __init__(self, bounds: tuple[float, float, float, float]) -> None:
        west, south, east, north = bounds
        self.k = math.cos(math.radians((south + north) / 2))
        wide, tall = max((east - west) * self.k, 0.01), max(north - south, 0.01)
        scale = max(wide / WIDTH, tall / HEIGHT) * (1 + 2 * PAD)
        x, y = (west + east) / 2, (south + north) / 2
        half_x, half_y = scale * WIDTH / 2 / self.k, scale * HEIGHT / 2
        self.box = (x - half_x, y - half_y, x + half_x, y + half_y)
        self.degrees = scale  # of latitude a pixel

    def at(self, point: Sequence[float]) -> Point:
        """Return the pixel of a place."""
        west, south, east, north = self.box
        return ((point[0] - west) / (east - west) * WIDTH,
                (north - point[1]) / (north - south) * HEIGHT)  # fmt: skip

    def holds(self, point: Sequence[float]) -> bool:
        """Tell whether a place lies on the picture."""
        west, south, east, north = self.box
        return west <= point[0] <= east and south <= point[1] <= north


def png(
    conn: Connection, districts: Sequence[str], warning: shapely.Geometry | None, marks: Marks
) -> bytes:
    """Return the picture as PNG, fine enough to be printed across a page."""
    day: Mapping[str, str] = tokens()["themes"]["day"]
    bounds = _bounds(conn, districts)
    frame = Frame(bounds)
    image = Image.new("RGBA", (WIDTH, HEIGHT), day["ground"])
    draw = ImageDraw.Draw(image)
    _ground(draw, conn, frame, day, districts)
    if warning is not None:
        image.alpha_composite(_area(frame, warning, day["critical"]))
        draw = ImageDraw.Draw(image)
    _names(draw, conn, frame, day)
    _marks(draw, frame, marks, day)
    _scale(draw, frame, day)
    draw.rectangle((0, 0, WIDTH - 1, HEIGHT - 1), outline=day["line"], width=3)
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG", optimize=True)
    return out.getvalue()


def _bounds(conn: Connection, districts: Sequence[str]) -> tuple[float, float, float, float]:
    row = conn.execute(
        text(
            "select st_xmin(b) as w, st_ymin(b) as s, st_xmax(b) as e, st_ymax(b) as n from "
            "(select st_extent(geom)::geometry as b from base.district "
            "where cardinality(cast(:codes as text[])) = 0 or code = any(:codes)) x"
        ),
        {"codes": list(districts)},
    ).one()
    return (row.w, row.s, row.e, row.n) if row.w is not None else (121.2, 31.0, 121.8, 31.4)


def _shapes(
    conn: Connection,
    frame: Frame,
    table: str,
    columns: str = "null::text as kind",
    where: str = "true",
) -> list[Any]:
    """Return what of a table lies on the picture, no finer than a pixel; the largest first."""
    if conn.scalar(text("select to_regclass(:t)"), {"t": table}) is None:
        return []
    rows = conn.execute(
        text(
            f"select {columns}, st_asbinary(st_simplify(geom, :px)) as geom from {table} t, "
            "(select st_makeenvelope(:w, :s, :e, :n, 4326) as b) e "
            f"where geom && e.b and {where} and (st_dimension(geom) < 2 or st_area(geom) > :least) "
            "order by st_length(geom) + st_perimeter(geom) desc limit :most"
        ),
        {**dict(zip("wsen", frame.box, strict=True)), "px": frame.degrees,
         "least": (3 * frame.degrees) ** 2, "most": MOST_SHAPES},
    )  # fmt: skip
    return [(r, shapely.from_wkb(bytes(r.geom))) for r in rows if r.geom is not None]


def _rings(shape: shapely.Geometry) -> Iterable[Any]:
    return (p.exterior.coords for p in shapely.get_parts(shape) if p.geom_type == "Polygon")


def _ground(
    draw: ImageDraw.ImageDraw, conn: Connection, frame: Frame, day: Mapping[str, str],
    districts: Sequence[str],
) -> None:  # fmt: skip
    areas = _shapes(conn, frame, "base.district", "code as kind")
    for row, shape in areas:
        ink = "#ffffff" if not districts or row.kind in districts else day["land"]
        for ring in _rings(shape):
            draw.polygon([frame.at(p) for p in ring], fill=ink)
    for table, ink in (("greening.park", day["green"]), ("forestry.sub_compartment", day["forest"]),
                       ("base.water_body", day["water"])):  # fmt: skip
        for _, shape in _shapes(conn, frame, table):
            for ring in _rings(shape):
                draw.polygon([frame.at(p) for p in ring], fill=ink)
    _roads(draw, conn, frame, day["road_major"])
    for _, shape in areas:
        for ring in _rings(shape):
            draw.line([frame.at(p) for p in ring], fill=day["boundary"], width=3, joint="curve")


def _roads(draw: ImageDraw.ImageDraw, conn: Connection, frame: Frame, ink: str) -> None:
    for row, shape in _shapes(
        conn, frame, "base.road", "class as kind", f"class in {tuple(_ROADS)}"
    ):
        for part in shapely.get_parts(shape):
            if part.geom_type == "LineString":
                line = [frame.at(p) for p in part.coords]
                draw.line(line, fill=ink, width=_ROADS[row.kind], joint="curve")


def _area(frame: Frame, shape: shapely.Geometry, ink: str) -> Image.Image:
    """Return the warned area as a light wash with an edge."""
    layer = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    r, g, b = (int(ink[i : i + 2], 16) for i in (1, 3, 5))
    for ring in _rings(shapely.clip_by_rect(shape, *frame.box)):
        line = [frame.at(p) for p in ring]
        draw.polygon(line, fill=(r, g, b, 34))
        draw.line(line, fill=(r, g, b, 220), width=4)
    return layer


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), size)


def _names(
    draw: ImageDraw.ImageDraw, conn: Connection, frame: Frame, day: Mapping[str, str]
) -> None:
    rows = conn.execute(
        text("select name, st_x(p) as lon, st_y(p) as lat from (select name, st_pointonsurface(geom) as p "
             "from base.district) d")
    )  # fmt: skip
    for row in rows:
        if frame.holds((row.lon, row.lat)):
            x, y = frame.at((row.lon, row.lat))
            # Under the mark that stands on the same place.
            draw.text((x, y + 36), row.name, fill=day["place_minor"], anchor="mm",
                      font=_font(26), stroke_width=3, stroke_fill="#ffffff")  # fmt: skip


def _marks(draw: ImageDraw.ImageDraw, frame: Frame, marks: Marks, day: Mapping[str, str]) -> None:
    for point, level in marks.events:
        _dot(draw, frame.at(point), 7, day[_SEVERITY[level]], "#ffffff")
    for point, level in marks.alarms:
        x, y = frame.at(point)
        ink = day[_SEVERITY[level]]
        draw.polygon([(x, y - 15), (x + 13, y + 9), (x - 13, y + 9)], fill=ink, outline="#ffffff", width=2)  # fmt: skip
    inks = {"ready": day["good"], "called": day["mine"], "planned": "#ffffff"}
    for point, state in marks.resources:
        x, y = frame.at(point)
        edge = day["mine"] if state == "planned" else "#ffffff"
        draw.rectangle((x - 10, y - 10, x + 10, y + 10), fill=inks[state], outline=edge, width=3)
    for point in marks.targets:
        x, y = frame.at(point)
        draw.ellipse((x - 16, y - 16, x + 16, y + 16), outline=day["selected"], width=5)
        draw.line((x - 24, y, x + 24, y), fill=day["selected"], width=3)
        draw.line((x, y - 24, x, y + 24), fill=day["selected"], width=3)


def _dot(draw: ImageDraw.ImageDraw, at: Point, r: float, ink: str, edge: str) -> None:
    x, y = at
    draw.ellipse((x - r, y - r, x + r, y + r), fill=ink, outline=edge, width=2)


def _scale(draw: ImageDraw.ImageDraw, frame: Frame, day: Mapping[str, str]) -> None:
    """Draw a bar of a round length, about a sixth of the picture."""
    metres = frame.degrees * 111_195 * WIDTH / 6
    step = 10 ** math.floor(math.log10(metres))
    length = max(n * step for n in (1, 2, 5) if n * step <= metres)
    px = length / (frame.degrees * 111_195)
    x, y = 34.0, HEIGHT - 34.0
    draw.line((x, y, x + px, y), fill=day["text"], width=5)
    for end in (x, x + px):
        draw.line((end, y - 12, end, y + 2), fill=day["text"], width=5)
    said = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    draw.text((x + px + 14, y - 22), said, fill=day["text"], font=_font(26))
