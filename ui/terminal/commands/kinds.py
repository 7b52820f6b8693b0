"""`twin kinds`: the catalogue; show one; add one from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin import alter, db, jobs, pastnames
from twin import kinds as catalogue
from twin.errors import DeclarationError
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


def add(
    file: Annotated[Path, typer.Argument(help="declaration of a kind")],
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="carry out steps that lose data")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only show the plan")] = False,
) -> None:
    """Publish a kind or a change of one; the plan says what every step would lose."""
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise DeclarationError(str(file), None, "-", f"cannot be read ({why})") from why
    with db.engine("owner").connect() as conn:
        running = catalogue.catalogue(conn)
        new = alter.read(source, str(file), running)
        plan = alter.plan(conn, running.get(new.kind), new)
    if dry_run or (plan.risky and not allow_loss):
        refused = plan.risky and not dry_run
        said = {"refused": refused, **plan.json()}
        first = "Nothing was changed: say --allow-loss to lose these values.\n" if refused else ""
        output.finish(said, first + _shown(plan), partly=refused)
    done = alter.apply(new, actor="cli", allow_loss=allow_loss)
    rewritten = _follow()
    with db.engine("owner").connect() as conn:
        version = catalogue.one(conn, new.kind).version
    said = {**done.json(), "version": version, "versions_rewritten": rewritten}
    output.finish(said, f"{_shown(done)}\n{new.kind}: version {version} runs")


def _follow() -> int:
    """Bring past versions along here and now, so that the command ends when all is done."""
    changed = 0
    while job := jobs.run_next(task=pastnames.TASK):
        changed += job.result.get("versions", 0) if job.result else 0
    return changed


def _shown(plan: alter.Plan) -> str:
    if not plan.steps:
        return "No table changes."
    rows = [
        (s.action, s.says["zh"], s.loses or "", s.rewrites or "", s.lacking or "")
        for s in plan.steps
    ]
    return output.table(rows, ("step", "what", "loses", "rewrites", "lacking"))
