"""The first half of `./up` and `./test`: install what is missing, then hand over to `.venv`.

Runs on Debian's own Python before any library is there, so it imports the standard library only.
"""

from __future__ import annotations

import os
import sys
import time

from twin.errors import TwinError
from twin.settings import settings
from ui.terminal import checks, packages
from ui.terminal.paths import ROOT, VENV, log_dir, use_default_home
from ui.terminal.report import SetupError, complain, say

KNOWN = {"--detach", "--stop", "--status", "--json", "--help", "-h"}
USAGE = """usage: ./up [--detach | --stop | --status [--json]]
  installs what is missing, starts everything, prints the address; Ctrl-C stops it all.
  --detach  the same in the background     --stop  stop it     --status  state of every part"""
LOCK_WAIT_S = 900


def main(arguments: list[str]) -> int:
    """Prepare the machine for `./up` and run it."""
    unknown = [word for word in arguments if word not in KNOWN]
    if unknown or {"--help", "-h"} & set(arguments):
        say(USAGE)
        return 2 if unknown else 0
    use_default_home()
    try:
        if not {"--stop", "--status"} & set(arguments):
            install()
    except TwinError as why:
        complain(why.detail)
        return 2
    except KeyboardInterrupt:
        complain("Interrupted; run ./up again, it goes on where it stopped.")
        return 2
    return hand_over(["-m", "ui.terminal.start", *arguments])


def install(*, tests: bool = False) -> None:
    """Install Debian packages, libraries and bundle; each is skipped when it is there already."""
    config = settings()
    checks.own_certificate(config.home)
    checks.public_host(config)
    checks.debian_warning()
    known = (VENV / "project.stamp").exists()
    need = checks.LATER_START_BYTES if known else checks.FIRST_START_BYTES
    checks.free_space(ROOT, need)
    home = ROOT / "var" if tests else config.home
    wanted = dict(packages.RUN_PACKAGES)
    if config.database_url and not tests:
        wanted = {k: v for k, v in wanted.items() if not k.startswith("postgresql")}
    if not tests:
        checks.free_space(config.home, need)
    lock = _one_at_a_time()
    try:
        # postgres must exist before the home is judged, so packages come first
        extra = packages.TEST_PACKAGES if tests else {}
        names = "PostGIS, Mosquitto, Chromium, GDAL" if tests else "PostGIS, Mosquitto"
        packages.debian({**wanted, **extra}, f"Debian packages ({names})")
        log = log_dir(checks.usable_home(home)) / "setup.log"
        packages.libraries(log, tests=tests)
        packages.bundle(log)
    except OSError as why:
        raise SetupError(
            f"{why.filename or ROOT}: {why.strerror}; repair that and run this again."
        ) from why
    finally:
        os.close(lock)


def _one_at_a_time() -> int:
    """Lock this clone: a second ./up waits until the first has installed."""
    told = False
    for _ in range(LOCK_WAIT_S):
        lock = checks.hold(ROOT)
        if lock is not None:
            return lock
        if not told:
            say("· Another ./up installs in this clone; waiting for it …")
            told = True
        time.sleep(1)
    raise SetupError("Another ./up has been installing for 15 minutes; end it and run this again.")


def hand_over(arguments: list[str]) -> int:
    """Replace this process by the Python of `.venv`."""
    python = VENV / "bin" / "python"
    if not python.exists():
        complain("This clone is not set up yet; run ./up first.")
        return 2
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(python, [str(python), *arguments])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
