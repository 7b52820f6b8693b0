"""Official warnings as files: taken once each, out of a folder that is watched; broken ones are kept aside."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

from twin import db
from twin.errors import TwinError, Unreadable
from twin.plans import cap, intake
from twin.settings import settings

log = structlog.get_logger("warnings")
# Whoever writes into the folder without renaming is given so long to finish.
SETTLED_S = 1.0
ONE_PASS = 200
DONE, REFUSED = "done", "refused"


def folder() -> Path:
    """Return the folder that is watched, with the two that files go to from there."""
    inbox = settings().home / "inbox" / "cap"
    for one in (inbox / DONE, inbox / REFUSED):
        one.mkdir(parents=True, exist_ok=True)
    return inbox


def load(paths: Iterable[Path], actor: str) -> list[dict[str, Any]]:
    """Take files in, each in its own transaction; return what became of each."""
    return [_one(path, actor) for path in paths]


def _one(path: Path, actor: str) -> dict[str, Any]:
    try:
        raw = _read(path)
        with db.engine("app").begin() as conn:
            return {"file": path.name} | intake.take(conn, raw, actor)
    except TwinError as why:
        with db.engine("app").begin() as conn:
            intake.refused(conn, path.name, why.detail, actor)
        return {"file": path.name, "refused": why.detail}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(cap.MAX_BYTES + 1)
    except OSError as why:
        raise Unreadable(f"{path.name} cannot be opened: {why.strerror}.") from why


def watch() -> int:
    """Take what lies in the folder, oldest first; return how many files were taken or refused."""
    inbox = folder()
    found = sorted(
        (one.stat().st_mtime, one.path)
        for one in os.scandir(inbox)
        if one.is_file(follow_symlinks=False) and one.name.lower().endswith(".xml")
    )
    ready = [Path(path) for at, path in found if time.time() - at >= SETTLED_S][:ONE_PASS]
    for path in ready:
        said = _whatever(path)
        # Taken first, moved then: killed in between, the file is taken again and changes nothing.
        _aside(path, inbox / (REFUSED if "refused" in said else DONE), said.get("refused"))
        log.info("warning", **{k: v for k, v in said.items() if k != "new"})
    return len(ready)


def _whatever(path: Path) -> dict[str, Any]:
    """Take a file; one that stumbles over a fault of ours is kept aside too, or none would follow."""
    try:
        return _one(path, "inbox")
    except DBAPIError:
        raise
    except Exception as why:  # one file must never stop the folder
        log.exception("a warning file failed", file=path.name)
        said = f"an internal fault: {type(why).__name__}"
        with db.engine("app").begin() as conn:
            intake.refused(conn, path.name, said, "inbox")
        return {"file": path.name, "refused": said}


def _aside(path: Path, to: Path, why: str | None) -> None:
    there = to / path.name
    if there.exists():
        there = to / f"{path.stem}-{time.time_ns()}{path.suffix}"
    os.replace(path, there)
    if why is not None:
        there.with_suffix(".txt").write_text(f"{why}\n", encoding="utf-8")
