"""`twin kinds`: the catalogue; show one; add one from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin import db, declarations, schema
from twin import kinds as catalogue
from twin.errors import BadRequest
from ui.terminal import output


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="The catalogue of feature kinds.", invoke_without_command=True)
    group.callback()(listed)
    group.command("show", help="Show the declaration of a kind.")(show)
    group.command("add", help="Publish a kind from a YAML file: table, API, tiles at once.")(add)
    app.add_typer(group, name="kinds")


def listed(context: typer.Context) -> None:
    """List the kinds that run."""
    if context.invoked_subcommand:
        return
    with db.engine("app").connect() as conn:
        found = catalogue.catalogue(conn).values()
    rows = [(k.kind, k.topic, k.title["zh"], k.geometry, f"L{k.level}", k.version) for k in found]
    heads = ("kind", "topic", "title", "geometry", "level", "version")
    said = [dict(zip(heads, row, strict=True)) for row in rows]
    output.finish({"kinds": said}, output.table(rows, heads))


def show(kind: Annotated[str, typer.Argument()]) -> None:
    """Show a kind's fields."""
    with db.engine("app").connect() as conn:
        found = catalogue.one(conn, kind)
    rows = [
        (f.name, f.type, f.title["zh"], f.unit or "", "yes" if f.required else "")
        for f in found.fields.values()
    ]
    text = output.table(rows, ("field", "type", "title", "unit", "required"))
    output.finish(dict(found.doc), f"{found.kind} {found.title['zh']} ({found.geometry})\n{text}")


def add(file: Annotated[Path, typer.Argument(help="declaration of a kind")]) -> None:
    """Publish a kind; a field that a running version has may not vanish or change its type here."""
    kind = catalogue.read_file(file)
    with db.engine("owner").begin() as conn:
        running = catalogue.catalogue(conn)
        _check(kind, running)
        added = schema.ensure_table(conn, kind)
        version = declarations.publish(
            conn, "kind", kind.kind, dict(kind.doc), origin="local", actor="cli"
        )
    said = {"kind": kind.kind, "version": version, "columns_added": added}
    text = f"{kind.kind}: version {version}" if version else f"{kind.kind}: runs already as it is"
    output.finish(said, text)


def _check(kind: catalogue.Kind, running: dict[str, catalogue.Kind]) -> None:
    for other in running.values():
        if other.code == kind.code and other.kind != kind.kind:
            raise BadRequest(
                f"The class letters {kind.code} belong to {other.kind}; choose others."
            )
    old = running.get(kind.kind)
    if old is None:
        return
    if (old.topic, old.geometry) != (kind.topic, kind.geometry):
        raise BadRequest(
            f"{kind.kind} runs as {old.topic}/{old.geometry}; these two cannot change."
        )
    for name, field in old.fields.items():
        new = kind.fields.get(name)
        if new is None or new.type != field.type:
            raise BadRequest(
                f"The field {name} of {kind.kind} would be lost or change its type; keep it."
            )
