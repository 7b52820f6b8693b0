"""`twin import`: reports of another system through their declared mapping, the address book, official warnings."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from gis import terrain
from ingest import people, reports, warnings
from twin import db, mapped, pushes
from twin import terrain as ground
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


@group.command("terrain")
def heights(
    file: Annotated[Path, typer.Argument(help="GeoTIFF with an EPSG code, or SRTM .hgt")],
) -> None:
    """Show the ground's heights of a file: shade and relief, instead of those before."""
    try:
        grid = terrain.read(file)
    except ValueError as why:
        raise BadRequest(f"{file.name} cannot be taken: {why}.") from why
    with db.engine("app").begin() as conn:
        made = ground.take(conn, file.name, grid, "cli")
    finish(
        made.json(),
        f"{made.name}: {made.lowest_m:.0f} to {made.highest_m:.0f} m, a height every "
        f"{made.step_m:.0f} m, tiles to zoom {made.finest}",
    )


@group.command("no-terrain")
def flat() -> None:
    """Show no heights any more."""
    with db.engine("app").begin() as conn:
        before = ground.withdraw(conn, "cli")
    finish(before.json() if before else {}, "the ground is flat again" if before else "it was flat")


@group.command("contacts")
def contacts(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX: 姓名 职务 单位 电话 行政区 账号")],
) -> None:
    """Take people into the address book; the same file again changes nothing."""
    done = people.load(file, "terminal")
    lines = [
        f"read {done['read']}, written {done['written']}, unchanged {done['unchanged']}, "
        f"refused {len(done['refused'])}",
        *(f"  line {one['line']}: {one['why']}" for one in done["refused"][:10]),
    ]
    finish(done, "\n".join(lines), partly=bool(done["refused"]))


@group.command("warnings")
def warnings_(
    files: Annotated[list[Path], typer.Argument(help="CAP 1.2, or XML of a declared sender")],
) -> None:
    """Take official warnings in; plans that they are meant for are suggested."""
    done = warnings.load(files, "terminal")
    refused = [one for one in done if "refused" in one]
    lines = [
        f"{one['file']}: refused: {one['refused']}"
        if "refused" in one
        else f"{one['file']}: {one['kind']} {one['color']}, "
        f"{'new' if one['new'] else 'known already'}, suggested {', '.join(one['suggested']) or '-'}"
        for one in done
    ]
    finish({"files": done, "refused": len(refused)}, "\n".join(lines), partly=bool(refused))


def _progress(read: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{read} rows")
        sys.stderr.flush()


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.add_typer(group, name="import")
