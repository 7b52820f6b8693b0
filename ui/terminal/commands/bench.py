"""`twin bench NAME`: figures with the machine's own limit, measured in the same run.

A benchmark is a module `ui/terminal/benchmarks/NAME.py` with `run(options) -> list[Figure]`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated

import typer

from twin.errors import NotFound
from ui.terminal import benchmarks
from ui.terminal.benchmarks import Figure
from ui.terminal.output import finish, table


def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark; `list` shows them")],
    size: Annotated[
        int, typer.Option("--size", min=0, help="Work of the benchmark; 0: its own")
    ] = 0,
) -> None:
    """Measure one part of this installation against the limit of this machine."""
    known = sorted(
        found.name
        for found in pkgutil.iter_modules(benchmarks.__path__)
        if found.name not in benchmarks.TOOLS
    )
    if name == "list":
        finish({"benchmarks": known}, "\n".join(known))
    if name not in known:
        raise NotFound(f"There is no benchmark {name!r}; known are {', '.join(known)}.")
    figures: list[Figure] = importlib.import_module(f"{benchmarks.__name__}.{name}").run(size)
    rows = [(f["name"], f["figure"], f["unit"], f["limit"], f["ratio"]) for f in figures]
    finish(list(figures), table(rows, ("name", "figure", "unit", "limit", "ratio")))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)
