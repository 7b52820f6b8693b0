"""`twin device`: what may report by MQTT, each with a user name and a password of its own."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection, text

from twin import db, devices
from twin.errors import BadRequest, NotFound
from ui.terminal.output import finish, table, tell

ACTOR = "system:terminal"
app = typer.Typer(help="Devices that report by MQTT: add, list, revoke.", no_args_is_help=True)
Product = Annotated[str, typer.Option("--product", help="What it is: vehicle, crew, sensor, …")]
Name = Annotated[str, typer.Option("--name", help="Its name; for a thing that is there, its code")]


@app.command()
def add(
    product: Product,
    name: Name,
    thing: Annotated[str, typer.Option("--thing", help="Code of its thing, if not the name")] = "",
) -> None:
    """Give a device its account; the password is shown once."""
    if any(sign in product + name for sign in "/+#: ") or not product or not name:
        raise BadRequest("Product and name have no blanks and none of the signs / + # :")
    with db.engine("app").begin() as conn:
        password = devices.give(conn, product, name, _num(conn, thing or name), actor=ACTOR)
    user = f"{product}/{name}"
    said = {"product": product, "device": name, "username": user, "password": password}
    finish(said, f"username {user}\npassword {password}\ntopics   twin/v1/{user}/#")


@app.command("list")
def show() -> None:
    """Show the devices that have an account."""
    with db.engine("app").connect() as conn:
        found = devices.listed(conn)
    heads = ("product", "device", "kind", "code", "state", "enabled", "online")
    rows = [tuple(one[head] for head in heads) for one in found]
    finish({"devices": found}, table(rows, heads))


@app.command()
def revoke(product: Product, name: Name) -> None:
    """Close the account of a device at once."""
    with db.engine("app").begin() as conn:
        devices.revoke(conn, product, name, actor=ACTOR)
    tell({"product": product, "device": name, "revoked": True}, f"{product}/{name} is revoked.")


def _num(conn: Connection, code: str) -> int:
    num = conn.scalar(
        text("select num from twin.thing where code = :c and gone_at is null"), {"c": code}
    )
    if num is None:
        raise NotFound(f"There is no thing {code}; give the code of its thing with --thing.")
    return int(num)


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="device")
