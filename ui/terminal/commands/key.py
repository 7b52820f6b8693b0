"""`twin key`: keys of partner systems."""

from __future__ import annotations

from typing import Annotated

import typer

from twin import db, keys
from ui.terminal.output import finish, table, tell

ACTOR = "system:terminal"
app = typer.Typer(help="Keys of partner systems: add, list, revoke.", no_args_is_help=True)
Many = list[str] | None


@app.command("list")
def show() -> None:
    """Show all keys and how much they are used."""
    with db.engine("app").connect() as conn:
        found = keys.listed(conn)
    lines = [
        (k["id"], k["name"], ",".join(k["kinds"] or ["*"])[:40], ",".join(k["districts"] or ["*"]),
         f"{k['rate_per_s']:g}/s", f"{k['today']}/{k['daily_quota']}", f"{k['expires_at']:%Y-%m-%d}",
         "revoked" if k["revoked_at"] else "")
        for k in found
    ]  # fmt: skip
    head = ("id", "name", "kinds", "districts", "rate", "today", "until", "")
    finish({"keys": found}, table(lines, head))


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The partner system that calls")],
    kind: Annotated[Many, typer.Option("--kind", help="Only this kind; may be given again")] = None,
    district: Annotated[Many, typer.Option("--district", help="Only this district")] = None,
    field: Annotated[Many, typer.Option("--field", help="Only this field: kind.field")] = None,
    act: Annotated[
        Many, typer.Option("--act", help="Also this act: event.read, data.write …")
    ] = None,
    address: Annotated[Many, typer.Option("--address", help="Only from this network")] = None,
    clearance: Annotated[int, typer.Option("--clearance", min=1, max=4)] = 1,
    rate: Annotated[float, typer.Option("--rate", help="Calls a second")] = 10.0,
    burst: Annotated[int, typer.Option("--burst", help="Calls at once")] = 50,
    quota: Annotated[int, typer.Option("--quota", help="Calls a day")] = 100_000,
    days: Annotated[int, typer.Option("--days", help="How long it opens")] = 365,
) -> None:
    """Make a key; its token is shown this once."""
    fields: dict[str, list[str]] = {}
    for said in field or ():
        kind_name, _, field_name = said.partition(".")
        fields.setdefault(kind_name, []).append(field_name)
    wanted = keys.Wanted(
        name=name, kinds=kind or None, districts=district or None, fields=fields or None,
        acts=("map.read", *(act or ())), clearance=clearance, rate_per_s=rate, burst=burst,
        daily_quota=quota, days=days, addresses=address or None,
    )  # fmt: skip
    with db.engine("app").begin() as conn:
        key_id, token = keys.issue(conn, wanted, ACTOR)
    finish({"id": key_id, "token": token}, f"{key_id} {token}")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `twin key list` shows")],
) -> None:
    """End a key at once."""
    with db.engine("app").begin() as conn:
        keys.revoke(conn, key_id, ACTOR)
    tell({"id": key_id, "revoked": True}, f"{key_id} opens nothing any more.")


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="key")
