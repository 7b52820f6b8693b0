"""The worker: deadlines, jobs of the queue, quality of what changed, levels of detail; `python -m services.worker`."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType

import structlog
from sqlalchemy.exc import DBAPIError

from ingest import warnings as cap_files
from ingest.feed import run as feeds
from ingest.files import uploads
from services.devices import exports
from services.dispatch.rolling import Rolling
from services.open311 import handing
from services.subscriptions.delivery import Delivery
from twin import (
    alter,
    cases,
    catalogue,
    counts,
    db,
    inspection,
    jobs,
    levels,
    memory,
    rollups,
    searchkeys,
)
from twin.alarms.engine import Engine
from twin.indicators import recount
from twin.indicators.cells import Follower
from twin.linkages import engine as linkages
from twin.log import start_logging
from twin.ota import rollouts
from twin.ota.repository import repository
from twin.plans import response
from twin.predictions.outlook import Outlook
from twin.products import change
from twin.settings import settings
from twin.shadow import commands

log = structlog.get_logger("worker")
SWEEP_EVERY_S = 5.0
# Jobs change kinds and check quality: the modules that offer tasks are named here.
TASKS = (alter, change, exports, inspection, recount, uploads)
WORK_EVERY_S = 1.0
DRAW_EVERY_S = 0.25
PLAN_EVERY_S = 600.0
FEED_EVERY_S = 2.0
ROLL_EVERY_S = 5.0
RETIRE_EVERY_S = 3_600.0
ALARM_EVERY_S = 0.2
NORTH_EVERY_S = 0.5
DISPATCH_EVERY_S = 1.0
OUTLOOK_EVERY_S = 10.0
HAND_ON_EVERY_S = 1.0
DEVICES_EVERY_S = 5.0
COUNT_EVERY_S = 5.0
INBOX_EVERY_S = 2.0
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
    with db.engine("app").begin() as conn:
        return total + response.sweep(conn)


class Work:
    """Jobs of the queue and the journal's news, one after the other, apart from the deadlines."""

    def __init__(self) -> None:
        self._planned = 0.0

    def once(self) -> int:
        """Do what is due now; return how much was done."""
        if time.monotonic() >= self._planned:
            inspection.plan_tonight(datetime.now(UTC))
            self._planned = time.monotonic() + PLAN_EVERY_S
        done = 0
        while not _stop.is_set():
            job = jobs.run_next()
            if job is None:
                break
            log.info("job", task=job.task, id=job.id, done=job.result is not None)
            done += 1
        with db.engine("app").begin() as conn:
            done += len(counts.follow(conn, catalogue.all_kinds(conn)))
        return done + inspection.follow()


def draw() -> int:
    """Bring the levels of detail up to the journal; return how much was done."""
    with db.engine("app").begin() as conn:
        return levels.follow(conn, catalogue.all_kinds(conn))


def _devices() -> int:
    """End commands that nobody took, lead rollouts on, sign the timestamp of updates anew."""
    repository(settings().home).renew()
    with db.engine("app").begin() as conn:
        return commands.expire(conn) + rollouts.advance(conn, datetime.now(UTC))


def _find() -> int:
    """Keep what things are found by up to the journal."""
    with db.engine("app").connect() as conn:
        known = catalogue.all_kinds(conn)
    return searchkeys.follow(known)


def _retire() -> int:
    """Let go what is older than its product keeps it."""
    return sum(rollups.retire().values())


def _repeat(what: Callable[[], int], every_s: float) -> None:
    """Do something again and again until the end; a database that is away is waited for."""
    while not _stop.wait(every_s):
        try:
            done = what()
            if done:
                log.info("worked", what=what.__qualname__, n=done)
        except DBAPIError as why:
            log.warning("database away, trying again", why=str(why).splitlines()[0])
            db.engine("app").dispose()


def main() -> int:
    """Work until SIGTERM."""
    start_logging()
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    memory.settle()
    log.info("ready", tasks=len(TASKS))
    # A peer that does not answer keeps its own thread waiting, never deadlines or jobs; nor may the
    # words of a city that was just loaded, which take minutes.
    sides = [
        threading.Thread(target=_repeat, args=(Work().once, WORK_EVERY_S)),
        threading.Thread(target=_repeat, args=(feeds.once, FEED_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(_find, WORK_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(rollups.once, ROLL_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(_retire, RETIRE_EVERY_S), daemon=True),
        # A pass of alarms is one transaction: what it had taken stands there again.
        threading.Thread(target=_repeat, args=(Engine().once, ALARM_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(linkages.once, ALARM_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(Follower().once, COUNT_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(_devices, DEVICES_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(Outlook().once, OUTLOOK_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(Delivery().once, NORTH_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(handing.once, HAND_ON_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(cap_files.watch, INBOX_EVERY_S), daemon=True),
        threading.Thread(target=_repeat, args=(Rolling().once, DISPATCH_EVERY_S), daemon=True),
        # A level half made is undone with its transaction.
        threading.Thread(target=_repeat, args=(draw, DRAW_EVERY_S), daemon=True),
    ]
    for side in sides:
        side.start()
    _repeat(sweep, SWEEP_EVERY_S)
    sides[0].join(20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
