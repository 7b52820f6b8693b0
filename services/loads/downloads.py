"""HTTP doors of files to take away: load templates, and exports in the caller's scope."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from sqlalchemy.exc import DataError
from starlette.background import BackgroundTask

from ingest.files import export
from ingest.files import template as templates
from services.web.auth import Person
from services.web.params import Moment, box, moment
from twin import catalogue, db
from twin.errors import FilterError, NotFound
from twin.settings import settings

router = APIRouter(prefix="/api/v1", tags=["loads"])
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TYPES = {
    "gpkg": "application/geopackage+sqlite3", "geojson": "application/geo+json",
    "csv": "text/csv; charset=utf-8", "xlsx": _XLSX, "zip": "application/zip",
    "fgb": "application/flatgeobuf", "parquet": "application/vnd.apache.parquet",
    "kml": "application/vnd.google-earth.kml+xml",
}  # fmt: skip


@router.get("/templates/{kind}.{ending}")
def template(
    kind: str, ending: str, person: Person, lang: Annotated[str, Query(pattern="^(zh|en)$")] = "zh"
) -> Response:
    """Return the load template of a kind as a workbook or CSV."""
    person.need("map.read")
    if ending not in ("xlsx", "csv"):
        raise NotFound("Templates are .xlsx and .csv.")
    with db.engine("app").connect() as conn:
        found = catalogue.one(conn, person, kind)
    name = f"{found.title[lang]}-{'模板' if lang == 'zh' else 'template'}.{ending}"
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    if ending == "xlsx":
        out = io.BytesIO()
        templates.write(found, out, lang)
        return Response(out.getvalue(), media_type=_XLSX, headers=headers)
    with tempfile.TemporaryDirectory() as folder:
        raw = templates.template(found, Path(folder) / "t.csv", lang).read_bytes()
    return Response(raw, media_type=TYPES["csv"], headers=headers)


@router.get("/exports/{kind}.{ending}")
def exported(
    kind: str,
    ending: str,
    person: Person,
    filter: Annotated[str | None, Query(max_length=4000)] = None,
    bbox: Annotated[str | None, Query(max_length=200)] = None,
    datetime: Moment = None,
    crs: Annotated[str, Query(max_length=40)] = "EPSG:4326",
    encoding: Annotated[str, Query(max_length=20)] = "utf-8",
    note: bool = True,
) -> Response:
    """Return the things of a kind that the caller may see, as a file."""
    person.need("export.read")
    if ending not in TYPES:
        raise NotFound(f"Exports are {', '.join(TYPES)} (zip is a Shapefile).")
    root = settings().home / "exports"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="export-", dir=root))
    file = folder / f"{kind[:60]}.{ending}"
    try:
        with db.engine("app").begin() as conn:
            found = catalogue.one(conn, person, kind)
            export.stream(
                conn, found, person, file, filter=filter, bbox=box(bbox), moment=moment(datetime),
                crs=crs, encoding=encoding, note=note,
            )  # fmt: skip
    except DataError as why:
        rmtree(folder, ignore_errors=True)
        raise FilterError("The filter compares values that cannot be compared.") from why
    except BaseException:
        rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        file, media_type=TYPES[ending], filename=file.name,
        background=BackgroundTask(rmtree, folder, ignore_errors=True),
        headers={"Cache-Control": "private, no-store"},
    )  # fmt: skip
