"""`twin ota`: the keys of updates carried off line, and releases signed with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.ota import service
from twin import db, products
from twin.errors import BadRequest
from twin.ota import rollouts
from twin.ota.repository import Repository
from twin.settings import settings
from ui.terminal.output import finish

app = typer.Typer(help="Updates of devices.", no_args_is_help=True)


@app.command()
def keys(
    offline: Annotated[
        Path | None, typer.Option("--offline", help="folder that the operator takes away")
    ] = None,
) -> None:
    """Tell where the signing keys are, or move those of root and targets into a folder."""
    made = Repository(settings().home)
    made.ensure()
    if offline is not None:
        moved = made.carry(offline)
        said = f"{', '.join(moved)} are in {offline} and nowhere else: keep two copies of it."
        finish({"carried": moved, "folder": str(offline)}, said)
        return
    where = "carried off line" if made.is_carried else f"in {made.keys}"
    finish({"carried": made.is_carried}, f"The keys of root and targets are {where}.")


@app.command()
def release(
    image: Annotated[Path, typer.Argument(help="image to be signed")],
    product: Annotated[str, typer.Option("--product")],
    version: Annotated[str, typer.Option("--version")],
    counter: Annotated[int, typer.Option("--counter", min=1, help="only goes upwards")],
    hardware: Annotated[str, typer.Option("--hardware", help="revisions by comma")] = "any",
    min_from: Annotated[int, typer.Option("--min-from", min=0)] = 0,
    keys: Annotated[Path | None, typer.Option("--keys", help="folder of the carried keys")] = None,
) -> None:
    """Sign an image as a release of a product; the carried keys are read where they are."""
    if not image.is_file():
        raise BadRequest(f"There is no file {image}.")
    made = Repository(settings().home, keys)
    with db.engine("app").begin() as conn:
        products.one(conn, product)
        new = rollouts.release(
            conn, made, image, product=product, version=version, counter=counter,
            hardware=[one.strip() for one in hardware.split(",")], min_from=min_from,
            note={"text": "signed on the machine"}, actor="cli",
        )  # fmt: skip
        service.keep(conn, new, image)
    finish({"id": str(new)}, f"{product} {version} is signed: {new}")


def register(into: typer.Typer) -> None:
    """Add the command."""
    into.add_typer(app, name="ota")
