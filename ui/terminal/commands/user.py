"""`twin user`: people and their passwords."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from twin import db, identity
from ui.terminal.output import finish, table, tell

ACTOR = "system:terminal"
app = typer.Typer(help="People: add, list, give a new password, disable.", no_args_is_help=True)
User = Annotated[str, typer.Argument(help="The log-in name")]


@app.command("list")
def show() -> None:
    """Show all people."""
    with db.engine("app").connect() as conn:
        rows = identity.accounts(conn)
    people = [dict(row._mapping) for row in rows]
    lines = [
        (p["user"], p["name"].get("zh", ""),
         ",".join(p["roles"]), ",".join(p["districts"] or ["*"]),
         f"L{p['clearance']}", "disabled" if p["disabled"] else "")
        for p in people
    ]  # fmt: skip
    finish({"users": people}, table(lines, ("user", "name", "roles", "districts", "clearance", "")))


@app.command()
def add(
    user: User,
    role: Annotated[list[str], typer.Option("--role", help="A role; may be given again")],
    name: Annotated[str, typer.Option("--name", help="How the screens call this person")] = "",
    district: Annotated[
        list[str] | None, typer.Option("--district", help="Only this district; may be given again")
    ] = None,
    clearance: Annotated[int, typer.Option("--clearance", min=1, max=4)] = 2,
    crew: Annotated[str | None, typer.Option("--crew", help="Code of the person's crew")] = None,
) -> None:
    """Add a person; the password is made here and shown once."""
    password = secrets.token_urlsafe(9)
    title = name or user
    with db.engine("app").begin() as conn:
        identity.add_account(
            conn,
            user=user,
            name={"zh": title, "en": title},
            password=password,
            roles=role,
            districts=district or None,
            clearance=clearance,
            crew=crew,
            actor=ACTOR,
        )
    finish({"user": user, "password": password}, f"{user} {password}")


@app.command()
def password(user: User) -> None:
    """Give a person a new password, shown once; open sessions end."""
    made = secrets.token_urlsafe(9)
    with db.engine("app").begin() as conn:
        identity.set_password(conn, user, made, ACTOR)
    finish({"user": user, "password": made}, made)


@app.command()
def disable(user: User) -> None:
    """Close an account."""
    with db.engine("app").begin() as conn:
        identity.disable(conn, user, ACTOR)
    tell({"user": user, "disabled": True}, f"{user} is disabled.")


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="user")
