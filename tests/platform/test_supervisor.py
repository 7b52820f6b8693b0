"""The supervisor restarts what dies within its budget, says what stays down, stops in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import free_port, temporary_home
from ui.terminal.broker import Broker
from ui.terminal.cluster import as_user, ensure_secrets
from ui.terminal.report import SetupError
from ui.terminal.supervisor import BUDGET, CappedLog, Part, Supervisor

SLEEPER = [
    *as_user(None),
    sys.executable,
    "-c",
    "import time; print('up', flush=True); time.sleep(60)",
]


def wait_until(question: object, supervisor: Supervisor, seconds: float = 10) -> None:
    supervisor.wait(question, seconds, "it did not come true in time")  # type: ignore[arg-type]


def test_a_killed_part_comes_back(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, os.environ)
    part = Part("sleeper", SLEEPER)
    supervisor.start(part)
    first = part.pid
    assert first
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: part.restarts == 1 and part.pid not in (None, first), supervisor)
    assert part.last_exit == "SIGKILL"
    supervisor.stop()
    assert part.pid is None
    assert '"state": "stopped"' in (tmp_path / "run" / "status.json").read_text()


def test_the_budget_ends_loudly(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, os.environ)
    part = Part("broken", [sys.executable, "-c", "raise SystemExit('ERROR the disk is gone')"])
    supervisor.start(part)
    with pytest.raises(SetupError, match=r"broken stopped 6 times .* ERROR the disk is gone"):
        wait_until(lambda: False, supervisor, 30)
    assert (part.state, part.restarts) == ("gave up", BUDGET)
    supervisor.stop()


def sleeper(home: Path) -> list[str]:
    return SLEEPER


def broker(home: Path) -> list[str]:
    ensure_secrets(home)
    made = Broker(home, free_port())
    made.ensure({})
    return made.command()


@pytest.mark.parametrize("kind", ["sleeper", "broker"])
def test_parts_end_with_a_killed_supervisor(kind: str) -> None:
    """Also those that change their user: no port may stay taken after a crash."""
    with temporary_home() as home:
        code = (
            "import os, time\nfrom pathlib import Path\n"
            "from tests.platform import test_supervisor as here\n"
            f"home = Path({str(home)!r})\n"
            "s = here.Supervisor(home, os.environ)\n"
            f"p = here.Part('child', here.{kind}(home))\n"
            "s.start(p)\ntime.sleep(1.0)\nprint(p.pid, flush=True)\nos.kill(os.getpid(), 9)\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        child = Path(f"/proc/{int(said.stdout)}")
        for _ in range(50):
            if not child.exists():
                return
            time.sleep(0.1)
    pytest.fail("the part outlived its supervisor")


def test_a_log_keeps_its_size(tmp_path: Path) -> None:
    read, write = os.pipe()
    log = tmp_path / "part.log"
    with os.fdopen(write, "wb") as out:
        for _ in range(30):
            out.write(b"x" * 1000 + b"\n")
    CappedLog(log, cap_bytes=10_000).copy(os.fdopen(read, "rb"))
    assert log.stat().st_size <= 66_000
    assert log.read_bytes().endswith(b"x\n")
