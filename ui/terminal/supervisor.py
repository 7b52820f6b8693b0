"""A small supervisor: starts the parts, restarts what dies within a budget, stops in order.

Standard library only, one thread that acts and one per part that copies its output into a log
with a size cap. Parts end with the supervisor even when it is killed (see `cluster.as_user`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ui.terminal.paths import ROOT, log_dir, run_dir
from ui.terminal.report import SetupError, complain, last_words

BUDGET = 5
BUDGET_S = 60.0
LOG_BYTES = 10_000_000
PORTS = ("TWIN_PORT", "TWIN_DB_PORT", "TWIN_MQTT_PORT", "TWIN_NORTH_MQTT_PORT", "TWIN_COAP_PORT")


class Stopped(Exception):
    """Somebody asked the installation to stop."""


class CappedLog:
    """A log file that is turned over at a size, keeping one older file."""

    def __init__(self, path: Path, cap_bytes: int = LOG_BYTES) -> None:
        self.path = path
        self.cap_bytes = cap_bytes

    def copy(self, source: IO[bytes]) -> None:
        """Copy everything a part says until it ends."""
        file = self.path.open("ab")
        with source:
            while chunk := os.read(source.fileno(), 65536):
                if file.tell() + len(chunk) > self.cap_bytes:
                    file.close()
                    self.path.replace(self.path.with_suffix(".log.1"))
                    file = self.path.open("ab")
                file.write(chunk)
                file.flush()
        file.close()


@dataclass
class Part:
    """One process under supervision."""

    name: str
    command: Sequence[str]
    stop_signal: int = signal.SIGTERM
    stop_wait_s: float = 10.0
    state: str = "waiting"  # waiting | up | restarting | gave up | stopped
    restarts: int = 0
    since: float = 0.0
    last_exit: str | None = None
    process: subprocess.Popen[bytes] | None = None
    deaths: deque[float] = field(default_factory=deque)
    again_at: float = 0.0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self.process.pid if self.process and self.process.poll() is None else None


class Supervisor:
    """Runs the parts of one home and writes `run/status.json` at every change."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self.home = home
        self.env = dict(env)
        self.parts: list[Part] = []
        self.state = "starting"
        self.stop_asked = threading.Event()
        self.began = time.time()

    def listen(self, *, keep_on_hangup: bool) -> None:
        """Turn signals into an orderly stop; a detached supervisor survives its terminal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop_asked.set())
        hangup = signal.SIG_IGN if keep_on_hangup else (lambda *_: self.stop_asked.set())
        signal.signal(signal.SIGHUP, hangup)

    def start(self, part: Part) -> None:
        """Start a part and keep it up from now on."""
        self.parts.append(part)
        self._spawn(part)

    def wait(self, question: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Keep the parts up until the answer is yes."""
        end = time.monotonic() + seconds
        while not question():
            self.tick()
            for part in self.parts:
                if part.state == "gave up":
                    raise SetupError(self._lost(part))
            if time.monotonic() > end:
                raise SetupError(otherwise)
            time.sleep(0.1)

    def run_once(self, command: Sequence[str], failed: str) -> None:
        """Run a set-up command to its end while the parts are kept up."""
        child = subprocess.Popen(list(command), env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL)
        try:
            while child.poll() is None:
                self.tick()
                time.sleep(0.05)
        except BaseException:
            # Ctrl-C too must not leave the child behind; nothing is swallowed.
            child.terminate()
            child.wait(10)
            raise
        if child.returncode:
            raise SetupError(failed)

    def forever(self) -> None:
        """Keep the parts up until somebody asks to stop."""
        while True:
            self.tick()
            time.sleep(0.2)

    def tick(self) -> None:
        """Look at every part once; restart what died, within its budget."""
        if self.stop_asked.is_set():
            raise Stopped
        for part in self.parts:
            if part.state == "up" and part.pid is None:
                self._died(part)
            elif part.state == "restarting" and time.monotonic() >= part.again_at:
                part.restarts += 1
                self._spawn(part)

    def stop(self) -> None:
        """Stop the parts in reverse order of their start: doors first, the database last."""
        self.state = "stopping"
        self.write_status()
        for part in reversed(self.parts):
            part.state = "stopped"
            if part.process and part.process.poll() is None:
                part.process.send_signal(part.stop_signal)
                try:
                    part.process.wait(part.stop_wait_s)
                except subprocess.TimeoutExpired:
                    part.process.kill()
                    part.process.wait(10)
            self.write_status()
        self.state = "stopped"
        self.write_status()

    def write_status(self) -> None:
        """Write the state of every part where `./up --status` reads it."""
        said = {
            "pid": os.getpid(),
            "state": self.state,
            "since": self.began,
            "url": self.env.get("TWIN_URL"),
            "ports": {name: self.env[name] for name in PORTS if name in self.env},
            "parts": {
                p.name: {
                    "state": p.state,
                    "pid": p.pid,
                    "restarts": p.restarts,
                    "since": p.since,
                    "last_exit": p.last_exit,
                }
                for p in self.parts
            },
        }
        path = run_dir(self.home) / "status.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(said, indent=1), encoding="utf-8")
        fresh.replace(path)

    def _spawn(self, part: Part) -> None:
        log = CappedLog(log_dir(self.home) / f"{part.name}.log")
        part.process = subprocess.Popen(
            list(part.command),
            env=self.env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops in order
        )
        assert part.process.stdout is not None
        threading.Thread(target=log.copy, args=(part.process.stdout,), daemon=True).start()
        part.state, part.since = "up", time.time()
        self.write_status()

    def _died(self, part: Part) -> None:
        assert part.process is not None
        code = part.process.returncode
        part.last_exit = signal.Signals(-code).name if code < 0 else f"exit {code}"
        now = time.monotonic()
        part.deaths.append(now)
        while part.deaths and part.deaths[0] < now - BUDGET_S:
            part.deaths.popleft()
        if len(part.deaths) > BUDGET:
            part.state = "gave up"
            complain(self._lost(part))
        else:
            part.state = "restarting"
            part.again_at = now + 0.2 * 2 ** (len(part.deaths) - 1)
        self.write_status()

    def _lost(self, part: Part) -> str:
        log = log_dir(self.home) / f"{part.name}.log"
        return (
            f"The part {part.name} stopped {BUDGET + 1} times within {BUDGET_S:.0f} s "
            f"and stays down: {last_words(log)} (all of it in {log})"
        )
