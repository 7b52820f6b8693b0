"""`twin cert`: a certificate for this host from an authority of this installation's own."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.settings import settings
from ui.terminal import tls
from ui.terminal.output import finish


def cert(
    name: Annotated[
        list[str] | None, typer.Argument(help="Names and addresses by which browsers reach it")
    ] = None,
) -> None:
    """Make (or renew) the host's certificate; ./up uses it from the next start on."""
    home = settings().home
    path = tls.make(home, name or [])
    authority = path.with_name("authority.pem")
    until = tls.ends_at(path)
    finish(
        {"certificate": path, "authority": authority, "until": until},
        f"{path} until {until:%Y-%m-%d}. Let browsers trust {authority}; the next ./up serves by TLS.",
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(cert)
