"""`twin quality`: check what is stored against the rules of its kind; list what fails."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import text

from twin import db, inspection, kinds
from ui.terminal import output


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Quality rules: run them, list what fails.")
    group.command("run", help="Check one kind or all; opens and closes the cases of defects.")(run)
    group.command("list", help="List what fails now.")(listed)
    app.add_typer(group, name="quality")


def run(
    kind: Annotated[str | None, typer.Argument(help="one kind; all without it")] = None,
) -> None:
    """Check now."""
    with db.engine("app").connect() as conn:
        chosen = [kinds.one(conn, kind)] if kind else list(kinds.catalogue(conn).values())
    done = [inspection.inspect(one, why="asked") for one in chosen]
    rows = [(c.kind, c.things, c.rules, c.failures, c.seconds) for c in done]
    said = {"kinds": [c.json() for c in done], "failures": sum(c.failures for c in done)}
    output.finish(said, output.table(rows, ("kind", "things", "rules", "failures", "seconds")))


def listed(
    kind: Annotated[str | None, typer.Argument(help="one kind; all without it")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 200,
) -> None:
    """List failures: kind, rule, severity, code, detail."""
    with db.engine("app").connect() as conn:
        found = conn.execute(
            text(
                "select r.kind, r.rule, r.severity, g.code, r.owner, r.detail "
                "from twin.quality_result r left join twin.thing g on g.num = r.num "
                "where cast(:k as text) is null or r.kind = :k order by 1, 2, r.num limit :n"
            ),
            {"k": kind, "n": limit},
        ).all()
    heads = ("kind", "rule", "severity", "code", "owner", "detail")
    rows = [tuple(r) for r in found]
    said = [dict(zip(heads, row, strict=True)) for row in rows]
    output.finish({"failures": said}, output.table(rows, heads))
