"""`twin verify`: does the journal still say what was sealed?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from twin import bulk, db, kinds, ledger
from twin.errors import Unavailable
from twin.settings import settings
from ui.terminal.output import tell

PUBLIC = "checkpoint-public.pem"


def verify(
    after: Annotated[int, typer.Option("--from", help="Check from this sequence on", min=0)] = 0,
    loads: Annotated[
        bool, typer.Option("--loads", help="Check the rows of bulk loads against their digests too")
    ] = False,
) -> None:
    """Check the journal's hash chain, tree and signatures; name the first bad entry."""
    path = settings().home / "secrets" / PUBLIC
    if not path.exists():
        raise Unavailable(f"The public key {path} is missing; run ./up to set this home up.")
    with db.engine("app").connect() as conn:
        found = ledger.verify(conn, path.read_text(encoding="utf-8"), max(0, after - 1))
        wrong = bulk.broken(conn, kinds.catalogue(conn)) if loads else []
    said = {**asdict(found), "holds": found.holds, "broken_loads": wrong}
    if found.holds and wrong:
        listed = ", ".join(f"{w['load']} ({w['kind']}, entry {w['entry']})" for w in wrong)
        tell(said, f"The journal holds, but rows of these loads are not what it proves: {listed}.")
        raise typer.Exit(2)
    if found.holds:
        tell(said, f"{found.sealed} entries hold, {found.checkpoints} signed checkpoints; "
             f"{found.unsealed} entries are not sealed yet.")  # fmt: skip
        return
    tell(said, f"The journal does not hold at sequence {found.bad_seq} (entry {found.bad_entry}): "
         f"{found.why}.")  # fmt: skip
    raise typer.Exit(2)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)
