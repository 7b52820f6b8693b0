"""`twin device`: what may report by MQTT, each with a user name and a password of its own."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any

import typer
from sqlalchemy import Connection, text

from twin import db, journal
from twin.errors import BadRequest, Conflict, NotFound
from twin.settings import settings
from ui.terminal.broker import Broker, broker_address, digest
from ui.terminal.output import finish, table, tell
from ui.terminal.paths import run_dir
from ui.terminal.prepare import device_accounts

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
    password = secrets.token_urlsafe(18)
    with db.engine("app").begin() as conn:
        _give(conn, product, name, _num(conn, thing or name), digest(password))
        _note(conn, "device.add", product, name)
    _tell_broker()
    user = f"{product}/{name}"
    said = {"product": product, "device": name, "username": user, "password": password}
    finish(said, f"username {user}\npassword {password}\ntopics   twin/v1/{user}/#")


@app.command("list")
def show() -> None:
    """Show the devices that have an account."""
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text(
                "select d.product, d.device, t.kind, t.code, d.enabled from twin.device d "
                "join twin.thing t on t.num = d.num order by 1, 2"
            )
        ).all()
    devices = [dict(row._mapping) for row in rows]
    heads = ("product", "device", "kind", "thing", "enabled")
    finish({"devices": devices}, table([tuple(row) for row in rows], heads))


@app.command()
def revoke(product: Product, name: Name) -> None:
    """Close the account of a device at once."""
    with db.engine("app").begin() as conn:
        done = conn.execute(
            text(
                "update twin.device set enabled = false, secret = null "
                "where product = :p and device = :d"
            ),
            {"p": product, "d": name},
        )
        if not done.rowcount:
            raise NotFound(f"There is no device {product}/{name}; `twin device list` shows them.")
        _note(conn, "device.revoke", product, name)
    _tell_broker()
    tell({"product": product, "device": name, "revoked": True}, f"{product}/{name} is revoked.")


def _num(conn: Connection, code: str) -> int:
    num = conn.scalar(
        text("select num from twin.thing where code = :c and gone_at is null"), {"c": code}
    )
    if num is None:
        raise NotFound(f"There is no thing {code}; give the code of its thing with --thing.")
    return int(num)


def _give(conn: Connection, product: str, name: str, num: int, secret: str) -> None:
    """A thing has one device: another one takes the place of what it had."""
    taken = conn.scalar(
        text("select num from twin.device where product = :p and device = :d and num <> :n"),
        {"p": product, "d": name, "n": num},
    )
    if taken is not None:
        raise Conflict(
            f"The device {product}/{name} belongs to another thing; choose another name."
        )
    conn.execute(
        text(
            "insert into twin.device (product, device, num, secret) values (:p, :d, :n, :s) "
            "on conflict (num) do update set product = excluded.product, device = excluded.device, "
            "secret = excluded.secret, enabled = true"
        ),
        {"p": product, "d": name, "n": num, "s": secret},
    )


def _note(conn: Connection, action: str, product: str, name: str) -> None:
    note = {"product": product, "device": name}
    journal.append(conn, cls="security", action=action, actor=ACTOR, note=note, level=3)


def _tell_broker() -> None:
    """Write the accounts, and let a running broker read them; it learns them at its start anyway."""
    config = settings()
    broker = Broker(config.home, config.mqtt_port, broker_address(config))
    broker.write_accounts(device_accounts())
    try:
        said: dict[str, Any] = json.loads((run_dir(config.home) / "status.json").read_text())
        broker.reload(int(said["parts"]["mosquitto"]["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="device")
