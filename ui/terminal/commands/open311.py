"""`twin open311`: partners that get events from us by Open311."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.open311 import handing
from twin import db
from twin.errors import BadRequest, NotFound
from ui.terminal import output

Name = Annotated[str, typer.Argument(help="the declaration, a file of data/outgoing")]


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Hand events on to partners by Open311.", no_args_is_help=True)
    group.command("add", help="Begin to hand events on to a declared partner.")(add)
    group.command("list", help="The partners and how they stand.")(listed)
    group.command("run", help="Send and ask what is due, now.")(run)
    group.command("stop", help="Hand nothing more on; what was handed on stays.")(stop)
    app.add_typer(group, name="open311")


def add(
    name: Name,
    url: Annotated[str, typer.Option(help="its endpoint, like https://city.example/open311/v2")],
    key_file: Annotated[Path | None, typer.Option(help="file with the api_key it gave us")] = None,
) -> None:
    """Keep the address and the key, and begin with what happens from now on."""
    try:
        key = key_file.read_text(encoding="utf-8").strip() if key_file else ""
    except OSError as why:
        raise BadRequest(f"The key cannot be read: {why.strerror}.") from why
    handing.add(name, url, key, actor="cli")
    output.finish({"name": name, "url": url}, f"{name}: {url}")


def listed() -> None:
    """List the partners."""
    with db.engine("app").connect() as conn:
        found = handing.listed(conn)
    heads = (
        "name",
        "url",
        "enabled",
        "sent",
        "waiting",
        "open",
        "closed",
        "refused",
        "behind",
        "last_error",
    )
    cells = [tuple("" if r[h] is None else str(r[h]) for h in heads) for r in found]
    output.finish({"partners": found}, output.table(cells, heads))


def run(name: Name) -> None:
    """Serve one partner now."""
    done = handing.serve(name)
    output.finish({"name": name, "done": done}, f"{done} events handed on or changed")


def stop(name: Name) -> None:
    """Stop a partner."""
    if not handing.stop(name, actor="cli"):
        raise NotFound(f"There is no partner {name} that runs; `twin open311 list` shows them.")
    output.finish({"name": name}, f"{name} is off")
