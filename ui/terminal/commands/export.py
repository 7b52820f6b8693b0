"""`twin export`: the things of a kind into a file, as the chosen person may see them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sqlalchemy import Connection

from ingest.files import export
from twin import db, identity, kinds
from twin.errors import BadRequest, NotFound
from twin.scope import SYSTEM, Actor
from ui.terminal.output import finish


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "export", help="Write the things of a kind to a file; the ending names the format."
    )(command)


def command(
    kind: Annotated[str, typer.Argument(help="the kind, see `twin kinds`")],
    file: Annotated[Path, typer.Argument(help=f"to write: {' '.join(export.ENDINGS)} (.zip: Shapefile)")],
    filter_: Annotated[str | None, typer.Option("--filter", help="CQL2 text: grade = '1' AND seats_f > 4")] = None,
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees")] = None,
    at: Annotated[str | None, typer.Option("--datetime", help="as it stood then, RFC 3339")] = None,
    crs: Annotated[str, typer.Option(help="EPSG:n, gcj02, bd09 or sh2000")] = "EPSG:4326",
    encoding: Annotated[str, typer.Option(help="of CSV and Shapefile: utf-8, gbk or gb18030")] = "utf-8",
    note: Annotated[bool, typer.Option(help="CSV: say the source in a line on top")] = True,
    user: Annotated[
        str | None, typer.Option(help="what this person may see; all otherwise")
    ] = None,
) -> None:  # fmt: skip
    """Export and tell how many things were written."""
    box, moment = _box(bbox), _moment(at)
    with db.engine("app").begin() as conn:
        done = export.stream(
            conn, kinds.one(conn, kind), _actor(conn, user), file, filter=filter_, bbox=box,
            moment=moment, crs=crs, encoding=encoding, note=note,
        )  # fmt: skip
    said = asdict(done) | {"file": str(file)}
    finish(said, "\n".join([f"{kind}: {done.written} written to {file} ({crs})", *done.notes]))


def _actor(conn: Connection, user: str | None) -> Actor:
    if user is None:
        return SYSTEM
    for row in identity.accounts(conn):
        if row.user == user:
            return identity.actor_of(conn, row)
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
