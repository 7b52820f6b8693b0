"""Codec scripts run in a process of their own, which is ended when it does not answer in time."""

from __future__ import annotations

import hashlib
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import structlog

from ingest.codecs.host import LENGTH

ONE_S = 0.5
START_S = 5.0
EACH_S = 0.002
# A script that had to be ended so often is left alone for a while: it must not hold up the others.
STRIKES = 3
REST_S = 60.0
CHUNK = 250
MAX_BYTES = 16 << 20
ROOT = Path(__file__).resolve().parents[2]
log = structlog.get_logger("codecs")
Raw = tuple[bytes, int | None]


class _Overdue(Exception):
    """The host did not answer in time, or is gone."""


class Sandbox:
    """The host process as others use it; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host: subprocess.Popen[bytes] | None = None
        self._known: set[str] = set()
        self._strikes: dict[str, tuple[int, float]] = {}

    def run(self, script: str, raws: Sequence[Raw]) -> list[dict[str, Any]]:
        """Return what a script says of each payload; `errors` where it failed."""
        key = _key(script)
        found: list[dict[str, Any]] = []
        with self._lock:
            for at in range(0, len(raws), CHUNK):
                found += self._chunk(key, script, raws[at : at + CHUNK])
        return found

    def close(self) -> None:
        """End the host."""
        with self._lock:
            self._end()

    def _chunk(self, key: str, script: str, raws: Sequence[Raw]) -> list[dict[str, Any]]:
        if self._rests(key):
            return [{"errors": ["the script ran too long too often and rests for a minute"]}] * len(
                raws
            )
        try:
            return self._ask(key, script, raws, ONE_S + EACH_S * len(raws))
        except _Overdue:
            if len(raws) == 1:
                self._strike(key)
                return [{"errors": ["the script ran too long and was ended"]}]
        # One payload of them is to blame: the others are not refused with it.
        half = len(raws) // 2
        return [*self._chunk(key, script, raws[:half]), *self._chunk(key, script, raws[half:])]

    def _rests(self, key: str) -> bool:
        strikes, since = self._strikes.get(key, (0, 0.0))
        if strikes < STRIKES:
            return False
        if time.monotonic() - since < REST_S:
            return True
        del self._strikes[key]
        return False

    def _strike(self, key: str) -> None:
        strikes = self._strikes.get(key, (0, 0.0))[0] + 1
        self._strikes[key] = (strikes, time.monotonic())
        log.warning("a codec script was ended", script=key, strikes=strikes)

    def _ask(
        self, key: str, script: str, raws: Sequence[Raw], within_s: float
    ) -> list[dict[str, Any]]:
        host, within_s = self._ready(within_s)
        said = {"key": key} if key in self._known else {"key": key, "script": script}
        calls = [(list(payload), 1 if port is None else port) for payload, port in raws]
        raw = orjson.dumps(said) + b"\n" + orjson.dumps(calls)
        deadline = time.monotonic() + within_s
        try:
            assert host.stdin
            host.stdin.write(LENGTH.pack(len(raw)) + raw)
            host.stdin.flush()
            head = self._read(host, LENGTH.size, deadline)
            count = LENGTH.unpack(head)[0]
            if count > MAX_BYTES:
                raise _Overdue
            found: list[dict[str, Any]] = orjson.loads(self._read(host, count, deadline))
        except (OSError, _Overdue) as why:
            self._end()
            raise _Overdue from why
        self._known.add(key)
        return found

    def _ready(self, within_s: float) -> tuple[subprocess.Popen[bytes], float]:
        if self._host is not None and self._host.poll() is None:
            return self._host, within_s
        self._end()
        self._host = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, str(ROOT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, cwd="/", bufsize=0,
        )  # fmt: skip
        # A process that has just been made takes its time to begin.
        return self._host, within_s + START_S

    @staticmethod
    def _read(host: subprocess.Popen[bytes], count: int, deadline: float) -> bytes:
        assert host.stdout
        parts: list[bytes] = []
        while count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([host.stdout], [], [], left)[0]:
                raise _Overdue
            part = host.stdout.read(min(count, 1 << 16))
            if not part:
                raise _Overdue
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _end(self) -> None:
        if self._host is not None:
            self._host.kill()
            self._host.wait()
            for pipe in (self._host.stdin, self._host.stdout):
                if pipe:
                    pipe.close()
        self._host = None
        self._known.clear()


# Without the caller's environment the package is found by its place alone.
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from ingest.codecs.host import main; sys.exit(main())"
)


def _key(script: str) -> str:
    return hashlib.blake2s(script.encode(), digest_size=12).hexdigest()


@lru_cache(maxsize=1)
def sandbox() -> Sandbox:
    """Return this process's sandbox."""
    return Sandbox()
