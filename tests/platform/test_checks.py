"""What stops a start is one sentence that names the next step."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import environment, free_port, temporary_home
from twin.settings import settings
from ui.terminal import checks
from ui.terminal.paths import ROOT
from ui.terminal.report import SetupError


def start(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    ports = {name: str(free_port()) for name in ("TWIN_PORT", "TWIN_DB_PORT", "TWIN_MQTT_PORT")}
    return subprocess.run(
        [sys.executable, "-m", "ui.terminal.start", *words],
        env={**os.environ, "TWIN_HOME": str(home), **ports, **env},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"TWIN_PORT": "80x"}, "TWIN_PORT='80x' is not a port; give a number from 1 to 65535."),
        ({"TWIN_DEMO": "huge"}, "TWIN_DEMO='huge' is not known; use none, small or city."),
        ({"TWIN_HOST": "0.0.0.0"}, "TWIN_HOST=0.0.0.0 would serve without encryption;"),
    ],
)
def test_a_wrong_setting_is_one_sentence(env: dict[str, str], sentence: str) -> None:
    with temporary_home() as home:
        done = start(home, **env)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_a_taken_port_names_its_variable() -> None:
    with socket.socket() as other, temporary_home() as home:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = start(home, TWIN_MQTT_PORT=str(port))
    assert done.returncode == 2
    assert (
        f"Port {port} is taken by another program; stop it, or choose another port with "
        in done.stderr
    )
    assert "TWIN_MQTT_PORT=<number>" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_full_disk_is_said_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(
        SetupError, match=r"GiB free and .* GiB are needed; free some, or point TWIN_HOME"
    ):
        checks.free_space(tmp_path / "not" / "yet", 10**18)


def test_two_starts_of_one_home_do_not_meet() -> None:
    with temporary_home() as home:
        lock = checks.hold(home)
        assert lock is not None
        done = start(home)
        os.close(lock)
    assert done.returncode == 2
    assert done.stderr.startswith("Another ./up is starting or stopping")


def test_nothing_running_is_no_error_to_stop() -> None:
    with temporary_home() as home:
        assert start(home, "--stop").returncode == 0
        assert start(home, "--status").returncode == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets folders closed to user postgres")
def test_a_closed_parent_moves_the_data_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with temporary_home() as outer, temporary_home() as shared:
        monkeypatch.setattr(checks, "SHARED_HOMES", shared)
        shut = outer / "shut"
        shut.mkdir(mode=0o700)
        real = checks.usable_home(shut / "var")
        assert real.parent == shared.resolve()
        assert "closed to the database's user" in capsys.readouterr().out
        assert checks.usable_home(shut / "var") == real  # and again the same


def test_tls_or_consent_opens_a_public_host() -> None:
    with environment(TWIN_HOST="0.0.0.0", TWIN_INSECURE="1"):
        checks.public_host(settings())
