"""GeoJSON and KML, written as they are read from the database."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import orjson
import shapely

from ingest.files.writers.plan import Job, Plan, text
from twin.errors import BadRequest


def write_geojson(job: Job) -> None:
    """Write a FeatureCollection; another CRS than WGS-84 is named as GeoJSON 2008 does."""
    plan = job.plan
    head: dict[str, Any] = {
        "type": "FeatureCollection",
        "name": plan.kind,
        "description": plan.line,
    }
    if plan.crs.startswith("EPSG:") and plan.crs != "EPSG:4326":
        name = f"urn:ogc:def:crs:EPSG::{plan.crs[5:]}"
        head["crs"] = {"type": "name", "properties": {"name": name}}
    elif plan.crs != "EPSG:4326":
        head["coordinates"] = plan.crs
    with job.path.open("wb") as out:
        out.write(orjson.dumps(head)[:-1] + b',"features":[')
        first = True
        for batch in job.batches:
            shapes = _geojson(batch.shapes, batch.rows)
            names = list(plan.types)
            for i, row in enumerate(zip(*(batch.columns[n] for n in names), strict=True)):
                properties = orjson.dumps(dict(zip(names, map(_value, row), strict=True)))
                out.write(b"\n" if first else b",\n")
                out.write(b'{"type":"Feature","properties":' + properties + b',"geometry":')
                out.write(shapes[i] + b"}")
                first = False
        out.write(b"\n]}\n")


def _value(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _geojson(shapes: np.ndarray | None, rows: int) -> list[bytes]:
    if shapes is None:
        return [b"null"] * rows
    return [b"null" if s is None else s.encode() for s in shapely.to_geojson(shapes)]


def write_kml(job: Job) -> None:
    """Write KML; its coordinates are WGS-84 and nothing else."""
    plan = job.plan
    if plan.crs != "EPSG:4326":
        raise BadRequest("KML is always in WGS-84; leave --crs out, or export another format.")
    with job.path.open("w", encoding="utf-8") as out:
        out.write(_kml_head(plan))
        for batch in job.batches:
            names = list(plan.types)
            shapes = batch.shapes if batch.shapes is not None else [None] * batch.rows
            for shape, row in zip(
                shapes, zip(*(batch.columns[n] for n in names), strict=True), strict=True
            ):
                out.write(_placemark(plan, dict(zip(names, row, strict=True)), shape))
        out.write("</Folder></Document></kml>\n")


def _kml_head(plan: Plan) -> str:
    fields = "".join(
        f'<SimpleField name="{n}" type="{_KML.get(t, "string")}"/>'
        for n, t in plan.types.items()
        if n != "name"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">'
        f"<Document><name>{escape(plan.title)}</name><description>{escape(plan.line)}</description>"
        f'<Schema name="{plan.kind}" id="{plan.kind}">{fields}</Schema>'
        f"<Folder><name>{plan.kind}</name>\n"
    )


_KML = {"integer": "int", "number": "double", "boolean": "bool"}


def _placemark(plan: Plan, row: dict[str, Any], shape: Any) -> str:
    said = "".join(
        f"<SimpleData name={quoteattr(n)}>{escape(_said(v))}</SimpleData>"
        for n, v in row.items()
        if v is not None and n != "name"
    )
    name = escape(str(row.get("name") or ""))
    place = "" if shape is None else _kml_shape(shape)
    return (
        f'<Placemark><name>{name}</name><ExtendedData><SchemaData schemaUrl="#{plan.kind}">{said}'
        f"</SchemaData></ExtendedData>{place}</Placemark>\n"
    )


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    said = str(text(value))
    # XML has no place for most control characters.
    return "".join(c for c in said if c >= " " or c in "\t\n\r")


def _points(shape: Any) -> str:
    return " ".join(f"{x!r},{y!r}" for x, y in shapely.get_coordinates(shape).tolist())


def _kml_shape(shape: Any) -> str:
    if shape.geom_type == "Point":
        return f"<Point><coordinates>{_points(shape)}</coordinates></Point>"
    parts = [_kml_part(p) for p in shapely.get_parts(shape)]
    return f"<MultiGeometry>{''.join(parts)}</MultiGeometry>"


def _kml_part(part: Any) -> str:
    if part.geom_type == "LineString":
        return f"<LineString><coordinates>{_points(part)}</coordinates></LineString>"
    if part.geom_type == "Point":
        return f"<Point><coordinates>{_points(part)}</coordinates></Point>"
    inner = "".join(f"<innerBoundaryIs>{_ring(ring)}</innerBoundaryIs>" for ring in part.interiors)
    return f"<Polygon><outerBoundaryIs>{_ring(part.exterior)}</outerBoundaryIs>{inner}</Polygon>"


def _ring(ring: Any) -> str:
    return f"<LinearRing><coordinates>{_points(ring)}</coordinates></LinearRing>"
