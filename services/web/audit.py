"""Refusals in the journal: each caller's refusal at each door once a minute, with how often since."""

from __future__ import annotations

import time
from threading import Lock

import structlog
from sqlalchemy.exc import SQLAlchemyError

from twin import db, journal
from twin.scope import Actor

log = structlog.get_logger("audit")
# Who tries a thousand doors a second must not fill the journal.
EVERY_S = 60.0
_MANY = 5_000
_told: dict[tuple[str, str, str], tuple[float, int]] = {}
_lock = Lock()


def refused(actor: Actor, door: str, code: str) -> None:
    """Note that a known caller was refused at a door."""
    key = (actor.user, door, code)
    now = time.monotonic()
    with _lock:
        at, more = _told.get(key, (0.0, 0))
        if at and now - at < EVERY_S:
            _told[key] = (at, more + 1)
            return
        if len(_told) > _MANY:
            _told.clear()
        _told[key] = (now, 0)
    note = {"door": door, "code": code, "since_last": more}
    try:
        with db.engine("app").begin() as conn:
            journal.append(
                conn, cls="security", action="refused", actor=actor.user, note=note, level=3
            )
    except SQLAlchemyError as why:
        # The refusal itself stands whether or not it can be written down just now.
        log.warning("a refusal could not be journalled", why=str(why).splitlines()[0])
