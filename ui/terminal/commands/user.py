"""`twin user`: people and their passwords."""

from __future__ import annotations

from typing import Annotated

import typer

from twin import accounts, db, identity, passwords
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
    organisation: Annotated[
        str | None, typer.Option("--organisation", help="Place in the tree; decides what is seen")
    ] = None,
) -> None:
    """Add a person; the password is made here and shown once."""
    password = passwords.made()
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
            organisation=organisation,
            must_change=True,
            actor=ACTOR,
        )
    finish({"user": user, "password": password}, f"{user} {password}")


@app.command()
def password(user: User) -> None:
    """Give a person a new password, shown once; open sessions end."""
    made = passwords.made()
    with db.engine("app").begin() as conn:
        identity.set_password(conn, user, made, ACTOR, must_change=True)
    finish({"user": user, "password": made}, made)


@app.command()
def disable(user: User) -> None:
    """Close an account."""
    with db.engine("app").begin() as conn:
        identity.disable(conn, user, ACTOR)
    tell({"user": user, "disabled": True}, f"{user} is disabled.")


@app.command()
def unlock(user: User) -> None:
    """Let a person who was locked out try again at once."""
    with db.engine("app").begin() as conn:
        identity.unlock(conn, user, ACTOR)
    tell({"user": user, "locked": False}, f"{user} may try again.")


@app.command()
def totp(user: User) -> None:
    """Take away the second factor of a person (a lost phone)."""
    with db.engine("app").begin() as conn:
        identity.remove_totp(conn, user, ACTOR)
    tell({"user": user, "second_factor": False}, f"{user} logs in with the password alone.")


@app.command()
def reseal() -> None:
    """Accept all grants as they stand in the database, and seal them anew (after a restore)."""
    with db.engine("app").begin() as conn:
        done = accounts.seal_all(conn, ACTOR, anew=True)
    tell({"sealed": done}, f"{done} accounts sealed as they stand.")


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="user")
