"""Warnings taken in, whatever door they come by: kept once, plans suggested; a refused one says why."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from twin import journal
from twin.plans import cap, response, warnings


def take(conn: Connection, raw: bytes, actor: str) -> dict[str, Any]:
    """Keep a message and suggest the plans that it is meant for; BadRequest says what is wrong."""
    said, new = warnings.keep(conn, cap.parse(raw), actor)
    made = response.suggest(conn, said) if new and said["kind"] != "cancel" else []
    return {
        "identifier": said["identifier"], "new": new, "kind": said["kind"], "level": said["level"],
        "color": said["color"], "suggested": [case["code"] for case in made],
    }  # fmt: skip


def refused(conn: Connection, name: str, why: str, actor: str) -> None:
    """Keep in the journal that a file was refused, and why."""
    journal.append(
        conn, cls="warning", action="refuse", actor=actor, kind="warning", level=1,
        note={"file": name[:200], "why": why[:500]},
    )  # fmt: skip
