"""`twin token`: a bearer token for the API, made on the machine itself."""

from __future__ import annotations

from typing import Annotated

import typer

from twin import db, identity
from ui.terminal.output import finish

ACTOR = "system:terminal"


def token(
    user: Annotated[str, typer.Option("--user", help="Whose rights the token has")],
    hours: Annotated[float, typer.Option("--hours", help="How long it is valid")] = 24.0,
    act: Annotated[
        list[str] | None, typer.Option("--act", help="Only this act; may be given again")
    ] = None,
) -> None:
    """Make a bearer token for the API."""
    with db.engine("app").begin() as conn:
        made = identity.issue_token(conn, user, hours, ACTOR, acts=act or None)
    finish({"user": user, "token": made, "hours": hours}, made)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(token)
