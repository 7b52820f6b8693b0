"""A client that acts on cases for ever and writes down each action that was acknowledged to it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from twin import cases, db
from twin.errors import TwinError
from twin.scope import SYSTEM

WAY = (("register", {}), ("dispatch", {"crew": "CREW-1"}), ("recall", {"reason": "改派"}))


def main(ids: list[UUID], told: Path) -> None:
    """Act in turn on each case until killed."""
    engine = db.engine("app")
    with told.open("a", encoding="ascii", buffering=1) as sink:
        while True:
            for case in ids:
                for action, params in WAY:
                    try:
                        with engine.begin() as conn:
                            done = cases.perform(conn, case, action, actor=SYSTEM, params=params)
                    except TwinError:
                        continue
                    except DBAPIError:
                        engine.dispose()
                        time.sleep(0.1)
                        continue
                    sink.write(f"{case} {done['version']} {done['state']}\n")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main([UUID(said) for said in sys.argv[2:]], Path(sys.argv[1]))
