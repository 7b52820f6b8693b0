"""Which format a caller wants, by `f` or by Accept; the formats that are files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from shutil import rmtree

import psycopg
from fastapi import Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.exc import DataError
from starlette.background import BackgroundTask

from ingest.files import export
from services.features import repository
from services.features.asked import Asked
from services.features.links import GEOJSON, HTML
from twin import db
from twin.errors import BadRequest, FilterError, Forbidden, NotAcceptable
from twin.settings import settings

FILES = {
    "csv": "text/csv", "fgb": "application/flatgeobuf", "gpkg": "application/geopackage+sqlite3",
}  # fmt: skip
OTHERS = {"html": HTML, **FILES}
OF_ITEMS = {"json": GEOJSON, **OTHERS}
OF_ITEM = {"json": GEOJSON, "html": HTML}
OF_DOCUMENT = {"json": "application/json", "html": HTML}
_ANY = (
    "*/*",
    "application/*",
    "application/json",
    "application/geo+json",
    "application/vnd.geo+json",
)


def wanted(request: Request, offered: dict[str, str]) -> str:
    """Return the name of the format asked for; `f` goes before Accept."""
    said = request.query_params.get("f")
    if said is not None:
        if said not in offered:
            raise BadRequest(f"f is one of {', '.join(offered)} here.", parameter="f")
        return said
    accepts = request.headers.get("accept")
    if not accepts or accepts in _ANY:
        return "json"
    return _negotiated(accepts[:1000], offered)


def _negotiated(accepts: str, offered: dict[str, str]) -> str:
    media = {kind: name for name, kind in offered.items()}
    media |= dict.fromkeys((*_ANY, "application/schema+json", "*"), "json") | {"text/*": "html"}
    best: tuple[float, str] | None = None
    for part in accepts.split(","):
        kind, *parameters = (p.strip() for p in part.split(";"))
        weight = _weight(parameters)
        name = media.get(kind.lower())
        if name and weight > 0 and (best is None or weight > best[0]):
            best = (weight, name)
    if best is None:
        raise NotAcceptable(f"This is given as {', '.join(offered.values())}.")
    return best[1]


def _weight(parameters: list[str]) -> float:
    said = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return float(said)
    except ValueError:
        return 0.0


def file(asked: Asked, form: str, said: dict[str, str]) -> Response:
    """Return all that a request matches (or the page that `limit` asks for) as a file.

    It is written batch by batch, never held in memory, and journalled as an export.
    """
    if asked.whole:
        _may_take_all(asked)
    root = settings().home / "exports"
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="items-", dir=root))
    path = folder / f"{asked.kind.kind[:60]}.{form}"
    try:
        with db.engine("app").begin() as conn:
            export.matched(conn, asked.kind, asked.actor, path, _rows(asked), said=said)
    except (DataError, psycopg.DataError) as why:
        rmtree(folder, ignore_errors=True)
        raise FilterError("The filter compares values that cannot be compared.") from why
    except BaseException:
        rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path, media_type=FILES[form], filename=path.name,
        background=BackgroundTask(rmtree, folder, ignore_errors=True),
        headers={"Cache-Control": "private, no-store"},
    )  # fmt: skip


def _may_take_all(asked: Asked) -> None:
    if not asked.actor.may("export.read"):
        raise Forbidden(
            "All of a collection in one file is an export, which your roles do not include; "
            "give a limit to take a page of it.",
            act="export.read",
        )


def _rows(asked: Asked) -> export.Rows:
    if not asked.names:
        raise BadRequest("A file needs a property at least.", parameter="properties")
    query, values = repository.everything(asked)
    return export.Rows(
        query=query, values=values, names=asked.names, geometry=asked.geometry, crs=asked.crs.name,
        moment=asked.moment, filter=asked.filter.said if asked.filter else None,
    )  # fmt: skip
