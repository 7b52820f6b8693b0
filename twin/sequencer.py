"""The one sequencer: numbers committed journal entries within 100 ms and signs checkpoints.

Run as `python -m twin.sequencer`. An advisory lock makes sure that there is one.
"""

from __future__ import annotations

import signal
import sys
import time
from types import FrameType
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from twin import db, ledger, trace
from twin.log import start_logging
from twin.settings import settings

LOCK = 7010
WAIT_S = 0.1
CHECKPOINT_EVERY_S = 10.0
log = structlog.get_logger("sequencer")


class Sequencer:
    """Seals in a loop until told to stop; survives a restarting database."""

    def __init__(self) -> None:
        self.stopping = False
        self.signed_at = 0.0

    def stop(self, _signal: int, _frame: FrameType | None) -> None:
        """End after the batch in hand."""
        self.stopping = True

    def run(self) -> None:
        """Connect, seal, reconnect with patience when the database goes away."""
        while not self.stopping:
            try:
                self._session()
            except (DBAPIError, psycopg.Error) as why:
                log.warning("database away, trying again", why=str(why).splitlines()[0])
                db.engine("app").dispose()
                time.sleep(1.0)

    def _session(self) -> None:
        with db.engine("app").connect() as conn:
            while not self.stopping:
                held = conn.execute(text("select pg_try_advisory_lock(:k)"), {"k": LOCK}).scalar()
                conn.commit()
                if held:
                    break
                log.info("another sequencer is at work, waiting")
                time.sleep(2.0)
            raw: Any = conn.connection.driver_connection
            conn.execute(text("listen twin_journal"))
            conn.commit()
            end = ledger.tree(conn)
            conn.commit()
            log.info("ready", size=end.size)
            while not self.stopping:
                self._step(conn, end)
                # The bell only shortens the wait; what is unsealed is the truth.
                for _ in raw.notifies(timeout=WAIT_S, stop_after=1):
                    pass

    def _step(self, conn: Connection, end: ledger.Tree) -> None:
        before = end.size
        while ledger.seal(conn, end):
            conn.commit()
        if end.size != before:
            trace.pushed(conn)
        conn.commit()
        if time.monotonic() - self.signed_at >= CHECKPOINT_EVERY_S:
            ledger.checkpoint(conn, end, settings().secret(ledger.KEY))
            conn.commit()
            self.signed_at = time.monotonic()


def main() -> int:
    """Run until SIGTERM."""
    start_logging()
    sequencer = Sequencer()
    signal.signal(signal.SIGTERM, sequencer.stop)
    signal.signal(signal.SIGINT, sequencer.stop)
    sequencer.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
