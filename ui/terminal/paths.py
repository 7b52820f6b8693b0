"""Where the pieces of a clone and of an installation lie; standard library only."""

from __future__ import annotations

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
WEB = ROOT / "ui" / "web"


def use_default_home() -> None:
    """Let every command of this clone find `./var`, whatever folder it is called from."""
    os.environ.setdefault("TWIN_HOME", str(ROOT / "var"))


def use_running_ports() -> None:
    """Let a command find the running installation of its home without being told its ports."""
    try:
        said = json.loads((Path(os.environ["TWIN_HOME"]) / "run" / "status.json").read_text())
    except (OSError, ValueError, KeyError):
        return
    for name, value in said.get("ports", {}).items():
        os.environ.setdefault(name, value)


def log_dir(home: Path) -> Path:
    """Return the folder of the logs, made when missing."""
    path = home / "log"
    path.mkdir(parents=True, exist_ok=True)
    return path


def run_dir(home: Path) -> Path:
    """Return the folder of status and process files, made when missing."""
    path = home / "run"
    path.mkdir(parents=True, exist_ok=True)
    return path
