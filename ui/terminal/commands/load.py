"""`twin load`: one file into one kind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ingest.files import LoadResult, load
from twin.errors import BadRequest
from ui.terminal import output


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "load", help="Load a file of things into a kind; running it twice changes nothing."
    )(command)


def command(
    file: Annotated[
        Path, typer.Argument(help="GeoJSON, Shapefile (also zipped), GeoPackage, CSV or XLSX")
    ],
    kind: Annotated[str, typer.Option(help="the kind, see `twin kinds`")],
    crs: Annotated[str, typer.Option(help="EPSG:n, gcj02, bd09, sh2000 or auto")] = "auto",
    encoding: Annotated[str, typer.Option(help="of CSV and DBF, e.g. gbk")] = "auto",
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="SRC=DST, may stand often")
    ] = None,
    key: Annotated[str | None, typer.Option(help="the column that names a row for ever")] = None,
    x: Annotated[str | None, typer.Option(help="column of the longitude or x")] = None,
    y: Annotated[str | None, typer.Option(help="column of the latitude or y")] = None,
    layer: Annotated[str | None, typer.Option(help="layer or sheet")] = None,
    source: Annotated[
        str | None, typer.Option(help="name of the source; the file's name otherwise")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check everything, change nothing")
    ] = False,
) -> None:
    """Load a file and tell what came of each row."""
    mapping = dict(_pair(said) for said in map_) if map_ else None
    done = load(
        file, kind, crs=crs, encoding=encoding, mapping=mapping, key=key, x=x, y=y, layer=layer,
        dry_run=dry_run, source=source, progress=_progress,
    )  # fmt: skip
    output.finish(done.json(), _text(done), partly=done.quarantined > 0)


def _pair(said: str) -> tuple[str, str]:
    column, sign, target = said.rpartition("=")
    if not sign or not column or not target:
        raise BadRequest(f"--map {said}: write it as COLUMN=FIELD.")
    return column, target


def _progress(what: str, share: float) -> None:
    if sys.stderr.isatty():
        bar = "█" * round(share * 24)
        sys.stderr.write(f"\r{bar:<24} {share:4.0%} {what:<10}" + ("\n" if share >= 1 else ""))
        sys.stderr.flush()


def _text(done: LoadResult) -> str:
    lines = [
        f"{done.kind}: read {done.read}, inserted {done.inserted}, updated {done.updated}, "
        f"unchanged {done.unchanged}, repaired {done.repaired}, quarantined {done.quarantined} "
        f"({done.seconds:.1f} s, {done.crs or 'no geometry'})"
        + (" — dry run, nothing changed" if done.dry_run else "")
    ]
    lines += [
        f"  {count} × {why}"
        for why, count in sorted(done.reasons.items(), key=lambda r: -r[1])[:10]
    ]
    if done.quarantine_path:
        lines.append(f"  left out with reasons: {done.quarantine_path}")
    lines += [f"  {note}" for note in done.notes]
    return "\n".join(lines)
