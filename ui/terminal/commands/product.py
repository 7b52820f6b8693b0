"""`twin product`: types of devices: list them, add or extend one from a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingest.codecs.explain import wrong_vectors
from twin import db, products
from twin.errors import BadRequest
from twin.products import change
from ui.terminal.output import finish, table

app = typer.Typer(help="Products: types of devices.", no_args_is_help=True)


@app.command("list")
def listed() -> None:
    """List the products that run."""
    with db.engine("app").connect() as conn:
        found = products.running(conn, fresh=True).values()
    heads = ("product", "title", "kind", "properties", "codec", "version")
    rows = [
        (p.key, p.title["zh"], p.kind, len(p.properties), p.codec.type, p.version) for p in found
    ]
    said = [dict(zip(heads, row, strict=True)) for row in rows]
    finish({"products": said}, table(rows, heads))


@app.command()
def add(file: Annotated[Path, typer.Argument(help="declaration of a product")]) -> None:
    """Publish a product, or what was added to one; its codec must meet its golden vectors."""
    product = products.read_file(file)
    wrong = wrong_vectors(product)
    if wrong:
        first = wrong[0]
        raise BadRequest(
            f"{first['payload']} reads {first['error'] or first['got']}, not {first['expected']}."
        )
    with db.engine("app").connect() as conn:
        change.check_kind(conn, product)
    number = change.apply(product, actor="cli")
    with db.engine("app").connect() as conn:
        version = products.running(conn, fresh=True)[product.key].version
    said = {"product": product.key, "version": version, "changed": number is not None}
    finish(said, f"{product.key}: version {version} runs{'' if number else ' already'}")


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="product")
