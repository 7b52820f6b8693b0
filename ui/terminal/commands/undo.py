"""`twin undo`: take back one change of a thing, or a whole load; later changes stand and are named."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import text

from twin import db, undo
from twin.errors import NotFound
from ui.terminal import output

ACTOR = "cli"


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Undo a change or a load.", no_args_is_help=True)
    group.command("change", help="Undo the change that made a version of a thing.")(change)
    group.command("load", help="Undo a load; --dry-run tells what would happen.")(load)
    group.command("list", help="The last loads.")(listed)
    app.add_typer(group, name="undo")


def change(
    code: Annotated[str, typer.Argument(help="code of the thing")],
    version: Annotated[int, typer.Argument(min=1, help="the version that the change made")],
) -> None:
    """Undo one change."""
    with db.engine("app").begin() as conn:
        thing = conn.scalar(text("select id from twin.thing where code = :c"), {"c": code})
        if thing is None:
            raise NotFound(f"No thing has the code {code}.")
        done = undo.change(conn, thing, version, ACTOR)
    output.finish(done.json(), f"{code}: {'removed' if done.removed else 'as it was before'}")


def load(
    number: Annotated[int, typer.Argument(min=1, help="id of the load, see `twin undo list`")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell what would happen")] = False,
) -> None:
    """Undo a load."""
    with db.engine("app").begin() as conn:
        if dry_run:
            asked = text("select * from twin.load where id = :id")
            row = conn.execute(asked, {"id": number}).first()
            if row is None:
                raise NotFound(f"There is no load {number}.")
            said = undo.preview(conn, row)
            output.finish(said, ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in said.items()))
        done = undo.load(conn, number, ACTOR)
    lines = [f"removed {done.removed}, restored {done.restored}, left alone {done.left_alone}"]
    lines += [f"changed since: {code}" for code in done.changed_since]
    output.finish(done.json(), "\n".join(lines), partly=done.left_alone > 0)


def listed(limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20) -> None:
    """List the last loads."""
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text(
                "select id, at, kind, source, file, actor, counts, undone_at from twin.load "
                "order by id desc limit :n"
            ),
            {"n": limit},
        ).all()
    said = [dict(r._mapping) for r in rows]
    heads = ("id", "at", "kind", "source", "inserted", "updated", "undone")
    cells = [
        (r.id, f"{r.at:%Y-%m-%d %H:%M}", r.kind, r.source, r.counts.get("inserted"),
         r.counts.get("updated"), "yes" if r.undone_at else "")
        for r in rows
    ]  # fmt: skip
    output.finish({"loads": said}, output.table(cells, heads))
