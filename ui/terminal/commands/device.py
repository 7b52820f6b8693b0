"""`twin device`: what may report by MQTT, each with a user name and a password of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection, text

from services.devices.service import add as placed
from twin import db, devices
from twin.errors import BadRequest, Conflict, NotFound
from twin.scope import SYSTEM
from twin.settings import settings
from ui.terminal import sheets, tls
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
    at: Annotated[str, typer.Option("--at", help="LON,LAT: make its thing there")] = "",
) -> None:
    """Give a device its account, and a thing at a place if asked; the password is shown once."""
    if any(sign in product + name for sign in "/+#: ") or not product or not name:
        raise BadRequest("Product and name have no blanks and none of the signs / + # :")
    with db.engine("app").begin() as conn:
        if at:
            lon, lat = _place(at)
            made = placed(conn, SYSTEM, {"product": product, "device": name, "name": "",
                                         "lon": lon, "lat": lat})  # fmt: skip
            password = made["password"]
        else:
            password = devices.give(conn, product, name, _num(conn, thing or name), actor=ACTOR)
    user = f"{product}/{name}"
    said = {"product": product, "device": name, "username": user, "password": password}
    finish(said, f"username {user}\npassword {password}\ntopics   twin/v1/{user}/#")


@app.command("import")
def bring(
    file: Annotated[Path, typer.Argument(help="XLSX with the columns name and thing (its code)")],
    product: Product,
    out: Annotated[Path, typer.Option("--out", help="XLSX for names and secrets; new")],
) -> None:
    """Give many devices their accounts at once; their secrets are written once, into a new file."""
    if out.exists():
        raise Conflict(f"{out} is there already; secrets are written into a new file.")
    listed = sheets.read(file)
    with db.engine("app").begin() as conn:
        nums = devices.numbers(conn, [code for _, code in listed])
        missing = [code for _, code in listed if code not in nums]
        if missing:
            raise NotFound(f"There is no thing {missing[0]} ({len(missing)} codes are unknown).")
        done = devices.many(
            conn, product, [(name, nums[code]) for name, code in listed], actor=ACTOR
        )
    sheets.write(out, done)
    finish({"devices": len(done), "file": str(out)}, f"{len(done)} devices, secrets in {out}")


@app.command("secret")
def shared(
    product: Product,
    anyone: Annotated[
        bool, typer.Option("--anyone", help="Also names without a secret may ask for a token")
    ] = False,
    close: Annotated[bool, typer.Option("--close", help="Close dynamic registration")] = False,
) -> None:
    """Open dynamic registration of a product: its secret, by which devices get their own once."""
    with db.engine("app").begin() as conn:
        if close:
            devices.close_registration(conn, product, actor=ACTOR)
            finish({"product": product, "open": False}, f"registration of {product} is closed")
            return
        secret = devices.product_secret(conn, product, listed=not anyone, actor=ACTOR)
    finish({"product": product, "secret": secret}, f"product {product}\nsecret  {secret}")


@app.command("certificate")
def certificate(product: Product, name: Name, out: Annotated[Path, typer.Option("--out")]) -> None:
    """Make a client certificate for a device (PEM with its key) and let it in by it."""
    pem, der = tls.device_certificate(settings().home, product, name)
    with db.engine("app").begin() as conn:
        devices.bind_certificate(conn, product, name, der, actor=ACTOR)
    out.touch(mode=0o600)
    out.write_bytes(pem)
    finish({"product": product, "device": name, "file": str(out)}, f"certificate and key in {out}")


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


def _place(said: str) -> tuple[float, float]:
    lon, _, lat = said.partition(",")
    try:
        place = float(lon), float(lat)
    except ValueError:
        raise BadRequest("--at is LON,LAT in degrees, as 121.47,31.23.") from None
    if not (-180 <= place[0] <= 180 and -90 <= place[1] <= 90):
        raise BadRequest("--at is LON,LAT in degrees, as 121.47,31.23.")
    return place


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
