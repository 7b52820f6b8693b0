"""`twin export`: the things of a kind into a file, as the chosen person may see them."""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import geopandas
import numpy as np
import openpyxl
import pandas as pd
import shapely
import sqlalchemy as sa
import typer
from sqlalchemy import Connection

from gis import crs as reference
from twin import db, history, identity, kinds
from twin.catalogue import fields
from twin.errors import BadRequest, Forbidden, NotFound, Unavailable
from twin.kinds import Kind
from twin.scope import SYSTEM, Actor, visible
from ui.terminal.output import finish

DRIVERS = {
    ".geojson": "GeoJSON", ".json": "GeoJSON", ".gpkg": "GPKG", ".shp": "ESRI Shapefile",
    ".fgb": "FlatGeobuf", ".csv": "CSV", ".xlsx": "XLSX",
}  # fmt: skip
_HEAD = ("code", "name", "district", "street", "state")
_TAIL = ("source", "version", "valid_from", "updated_at")
_XLSX_ROWS = 1_048_575


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "export", help="Write the things of a kind to a file; the ending names the format."
    )(command)


def command(
    kind: Annotated[str, typer.Argument(help="the kind, see `twin kinds`")],
    file: Annotated[Path, typer.Argument(help=f"to write: {' '.join(DRIVERS)}")],
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees")] = None,
    at: Annotated[str | None, typer.Option("--datetime", help="as it stood then, RFC 3339")] = None,
    crs: Annotated[str, typer.Option(help="EPSG:n, gcj02, bd09 or sh2000")] = "EPSG:4326",
    user: Annotated[
        str | None, typer.Option(help="what this person may see; all otherwise")
    ] = None,
) -> None:
    """Export and tell how many things were written."""
    driver = DRIVERS.get(file.suffix.lower())
    if driver is None:
        raise BadRequest(f"{file.name}: the ending names no format; use {', '.join(DRIVERS)}.")
    frame, notes = read(kind, bbox=bbox, at=at, crs=crs, user=user)
    _write(frame, file, driver, kind)
    if driver == "ESRI Shapefile" and any(len(c) > 10 for c in frame.columns):
        notes.append("a shapefile keeps ten letters of a column's name; GPKG keeps them whole")
    said = {"kind": kind, "written": len(frame), "file": str(file), "crs": crs, "notes": notes}
    finish(said, "\n".join([f"{kind}: {len(frame)} written to {file} ({crs})", *notes]))


def read(
    kind: str, *, bbox: str | None, at: str | None, crs: str, user: str | None
) -> tuple[geopandas.GeoDataFrame, list[str]]:
    """Return the things of a kind in a CRS, as a person may see them, and notes on them."""
    try:
        wanted = reference.name_of(crs)
    except ValueError as why:
        raise BadRequest(str(why)) from why
    if wanted == "auto":
        raise BadRequest("--crs auto fits only reading; name the CRS to write.")
    box, moment = _box(bbox), _moment(at)
    with db.engine("app").connect() as conn:
        actor = _actor(conn, user)
        declared = kinds.one(conn, kind)
        if declared.level > actor.clearance:
            raise Forbidden(f"{user} is not cleared for {kind}.")
        rows = conn.execute(_query(declared, actor, box, moment)).mappings().all()
    return _frame(declared, rows, wanted)


def _actor(conn: Connection, user: str | None) -> Actor:
    if user is None:
        return SYSTEM
    for row in identity.accounts(conn):
        if row.user == user:
            return identity.actor_of(row)
    raise NotFound(f"There is no account {user}.")


def _box(said: str | None) -> tuple[float, ...] | None:
    if said is None:
        return None
    try:
        box = tuple(float(part) for part in said.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not np.isfinite(box).all() or box[0] > box[2] or box[1] > box[3]:
        raise BadRequest(f"--bbox {said}: write west,south,east,north in degrees.")
    return box


def _moment(said: str | None) -> datetime | None:
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as why:
        raise BadRequest(f"--datetime {said}: write it like 2026-11-20T08:00:00+08:00.") from why
    if moment.tzinfo is None:
        raise BadRequest(f"--datetime {said}: the offset is missing, e.g. +08:00.")
    return moment


def _query(
    kind: Kind, actor: Actor, box: tuple[float, ...] | None, moment: datetime | None
) -> sa.Select[Any]:
    source = history.as_of(kind, moment)
    names = [*_HEAD, *fields(kind, actor), *_TAIL]
    picked = [source.c[n] for n in names]
    query = sa.select(*picked).where(visible(actor, source.c, kind)).order_by(source.c.code)
    if kind.geometry != "none":
        query = query.add_columns(sa.func.st_asbinary(source.c.geom).label("shape"))
        if box:
            query = query.where(
                sa.func.st_intersects(source.c.geom, sa.func.st_makeenvelope(*box, 4326))
            )
    return query


def _frame(kind: Kind, rows: Any, crs: str) -> tuple[geopandas.GeoDataFrame, list[str]]:
    notes: list[str] = []
    data = pd.DataFrame([{k: _plain(v) for k, v in r.items() if k != "shape"} for r in rows])
    if kind.geometry == "none":
        return geopandas.GeoDataFrame(data, geometry=[None] * len(data)), notes
    blobs = [None if r["shape"] is None else bytes(r["shape"]) for r in rows]
    shapes = np.asarray(shapely.from_wkb(np.array(blobs, dtype=object)))
    known = crs.startswith("EPSG:")
    if crs != "EPSG:4326":
        shapes = reference.shapes_from_wgs84(shapes, crs)
    if not known:
        notes.append(
            f"the coordinates are {crs}, which the file itself cannot say: tell who reads it"
        )
    return geopandas.GeoDataFrame(data, geometry=shapes, crs=crs if known else None), notes


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return "、".join(map(str, value))
    if isinstance(value, dict):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _write(frame: geopandas.GeoDataFrame, file: Path, driver: str, kind: str) -> None:
    try:
        if driver == "XLSX":
            _write_xlsx(_flat(frame), file, kind)
        elif driver == "CSV":
            # Excel opens UTF-8 as such only with the mark in front.
            _safe(_flat(frame)).to_csv(file, index=False, encoding="utf-8-sig")
        else:
            more = {"encoding": "UTF-8"} if driver == "ESRI Shapefile" else {}
            with warnings.catch_warnings():
                # A shapefile keeps ten letters of a column's name; the command says so itself.
                warnings.simplefilter("ignore")
                frame.to_file(file, driver=driver, engine="pyogrio", **more)
    except (OSError, RuntimeError) as why:
        raise Unavailable(f"{file} cannot be written ({why}).") from why


def _flat(frame: geopandas.GeoDataFrame) -> pd.DataFrame:
    """Return a table: points as two columns, other shapes as WKT."""
    table = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    shapes = frame.geometry
    if shapes.isna().all():
        return table
    if (shapes.geom_type.dropna() == "Point").all():
        return table.assign(lon=shapes.x, lat=shapes.y)
    return table.assign(wkt=shapes.to_wkt())


def _safe(table: pd.DataFrame) -> pd.DataFrame:
    """Keep spreadsheets from running what citizens wrote: no cell begins like a formula."""

    def quoted(value: Any) -> Any:
        return (
            f"'{value}"
            if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t")
            else value
        )

    return table.map(quoted)


def _write_xlsx(table: pd.DataFrame, file: Path, kind: str) -> None:
    if len(table) > _XLSX_ROWS:
        raise BadRequest(f"{len(table)} rows are more than a sheet holds; export GPKG or CSV.")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = kind
    sheet.append(list(table.columns))
    for row in table.itertuples(index=False):
        sheet.append([None if value is None or value != value else value for value in row])
    for row in sheet.iter_rows():
        for cell in row:
            if cell.data_type == "f":
                cell.data_type = "s"
    book.save(file)
