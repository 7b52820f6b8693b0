"""`twin feed`: the exchange between the city and its districts, seen from this side."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import text

from ingest.feed import run
from ingest.feed.peer import secret_name
from twin import db, journal
from twin.errors import BadRequest
from twin.settings import settings
from ui.terminal import output

_NAME = re.compile(r"^[a-z][a-z0-9-]{0,40}$")


def register(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(help="Exchange changes with another installation.", no_args_is_help=True)
    group.command("add", help="Take part in a feed of another installation.")(add)
    group.command("list", help="The feeds and how they stand.")(listed)
    group.command("run", help="Fetch and send what is new, now.")(now)
    group.command("check", help="Compare both sides, name what differs.")(check)
    group.command("stop", help="Leave a feed; what was exchanged stays.")(stop)
    app.add_typer(group, name="feed")


def add(
    name: Annotated[str, typer.Argument(help="what this side calls the other, like city")],
    url: Annotated[str, typer.Option(help="its address, like https://twin.example")],
    token_file: Annotated[Path, typer.Option(help="file with the bearer token it gave us")],
    side: Annotated[str, typer.Option(help="where it stands: city or district")] = "city",
    kinds: Annotated[str, typer.Option(help="kinds, with commas; all when left out")] = "",
    push: Annotated[bool, typer.Option(help="also send our changes there")] = True,
) -> None:
    """Keep the token as a secret, ask the peer who we are there, and begin."""
    if not _NAME.match(name) or side not in ("city", "district"):
        raise BadRequest("A feed has a name of small letters, and its side is city or district.")
    if not url.startswith(("https://", "http://")):
        raise BadRequest("The address of a feed begins with https:// (or http:// on one machine).")
    path = settings().home / "secrets" / secret_name(name)
    try:
        token = token_file.read_text(encoding="utf-8").strip()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(token)
    except OSError as why:
        raise BadRequest(f"The token cannot be read or kept: {why.strerror}.") from why
    feed = run.join(name, url, side=side, kinds=[k for k in kinds.split(",") if k], push=push)
    said = {
        "name": feed.name,
        "url": feed.url,
        "districts": feed.districts,
        "clearance": feed.clearance,
    }
    output.finish(said, f"{name}: {url}, districts {', '.join(feed.districts or ['all'])}")


def listed() -> None:
    """List the feeds."""
    with db.engine("app").connect() as conn:
        rows = conn.execute(text("select * from twin.feed order by name")).all()
        refused = conn.execute(text("select count(*) from twin.feed_refused")).scalar_one()
    cells = [
        (r.name, r.side, r.url, "on" if r.enabled else "off", r.pulled, r.pushed,
         f"{r.at:%Y-%m-%d %H:%M:%S}" if r.at else "", r.error or "")
        for r in rows
    ]  # fmt: skip
    heads = ("name", "side", "url", "state", "pulled", "pushed", "at", "error")
    said = {"feeds": [dict(r._mapping) for r in rows], "refused": refused}
    output.finish(said, output.table(cells, heads))


def now(name: Annotated[str, typer.Argument(help="name of the feed")]) -> None:
    """Run a feed until there is nothing new."""
    total = 0
    while True:
        with db.engine("app").connect() as conn:
            feed = run.get(conn, name)
        done = run.run(feed)
        total += done
        if not done:
            break
    output.finish({"changes": total}, f"{total} changes went either way")


def check(name: Annotated[str, typer.Argument(help="name of the feed")]) -> None:
    """Compare both sides; exit 1 when they differ."""
    rows = run.compare(name)
    unequal = [r for r in rows if not r["equal"]]
    lines = [f"{len(rows)} groups compared, {len(unequal)} differ"]
    for row in unequal:
        lines.append(f"{row['kind']} {row['district']}: {row['ours']} here, {row['theirs']} there")
        lines += [f"  {one['id']} {one['what']}" for one in row["differences"][:20]]
    output.finish({"groups": rows, "unequal": len(unequal)}, "\n".join(lines), partly=bool(unequal))


def stop(name: Annotated[str, typer.Argument(help="name of the feed")]) -> None:
    """Switch a feed off and forget its token."""
    with db.engine("app").begin() as conn:
        run.get(conn, name)
        conn.execute(text("update twin.feed set enabled = false where name = :n"), {"n": name})
        note = {"peer": name}
        journal.append(conn, cls="security", action="feed.stop", actor="cli", note=note, level=3)
    (settings().home / "secrets" / secret_name(name)).unlink(missing_ok=True)
    output.finish({"name": name}, f"{name} is off")
