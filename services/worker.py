"""The worker: fires due deadlines; run as `python -m services.worker`."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

import structlog
from sqlalchemy.exc import DBAPIError

from twin import cases, db
from twin.log import start_logging

log = structlog.get_logger("worker")
SWEEP_EVERY_S = 5.0
_stop = threading.Event()


def _end(_signal: int, _frame: FrameType | None) -> None:
    _stop.set()


def sweep() -> int:
    """Escalate what is due, a bounded batch at a time; return how many."""
    total = 0
    while not _stop.is_set():
        with db.engine("app").begin() as conn:
            done = len(cases.escalate_due(conn))
        total += done
        if done == 0:
            break
    return total


def main() -> int:
    """Sweep until SIGTERM."""
    start_logging()
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    log.info("ready")
    while not _stop.wait(SWEEP_EVERY_S):
        try:
            done = sweep()
            if done:
                log.info("escalated", cases=done)
        except DBAPIError as why:
            log.warning("database away, trying again", why=str(why).splitlines()[0])
            db.engine("app").dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
