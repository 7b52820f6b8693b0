"""`twin import events`: a file of reports from another system, through its declared mapping."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ingest import reports
from twin import db, mapped, pushes
from twin.errors import BadRequest
from ui.terminal.output import finish

group = typer.Typer(help="Take files of other systems.", no_args_is_help=True)


@group.command("events")
def events(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or XLSX with headings, or GeoJSON")],
    source: Annotated[str, typer.Option(help="the mapping, a file of data/intake")],
) -> None:
    """Take every row as a report; the same file again changes nothing."""
    begun = time.perf_counter()
    done = reports.load(file, source, progress=_progress)
    took = time.perf_counter() - begun
    said = done.json() | {"seconds": round(took, 1)}
    lines = [
        f"read {done.read}, accepted {done.accepted}, duplicates {done.duplicates}, "
        f"incomplete {done.incomplete}, unsure {done.unsure}, refused {done.refused} ({took:.1f} s)",
        f"verdict on time: as in the file {done.on_time_agree}, otherwise {done.on_time_differ}",
        *(f"  {n} × {why}" for why, n in sorted(done.reasons.items(), key=lambda r: -r[1])[:10]),
    ]
    finish(said, "\n".join(lines), partly=done.refused > 0)


@group.command("secret")
def secret(
    source: Annotated[
        str, typer.Argument(help="the mapping, a file of data/intake with door: signed")
    ],
) -> None:
    """Give a platform that pushes a new secret; the one before opens nothing from now on."""
    with db.engine("app").begin() as conn:
        made = mapped.source(conn, source)
        if made.doc.get("door") != "signed":
            raise BadRequest(f"{source} does not take signed pushes (door: signed).")
        said = pushes.renew(conn, source, actor="cli")
    finish({"source": source, "secret": said}, said)


def _progress(read: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{read} rows")
        sys.stderr.flush()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.add_typer(group, name="import")
