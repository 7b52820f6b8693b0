"""What set-up says to the person who waits: one line a step, one sentence a failure."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from twin.errors import TwinError

# Rubs out what stood on the line behind the cursor; only ever written to a terminal.
_CLEAR = "\x1b[K"


class SetupError(TwinError):
    """The installation cannot be set up or started."""

    code = "setup"


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


def complain(sentence: str) -> None:
    """Print one sentence on standard error."""
    print(sentence, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Show a long step with its elapsed time: live on a terminal, once at the end elsewhere.

    What is yielded takes how far the step is; a terminal shows it beside the time.
    """
    began = time.monotonic()
    over = threading.Event()
    told = [""]
    sys.stdout.write(f"· {title} …")
    sys.stdout.flush()
    ticker = threading.Thread(target=_tick, args=(title, began, over, told), daemon=True)
    if sys.stdout.isatty():
        ticker.start()
    try:
        yield lambda said: told.__setitem__(0, said)
    except BaseException:
        # Ctrl-C too must end the ticking line before the sentence is told; nothing is swallowed.
        over.set()
        sys.stdout.write(" stopped\n")
        raise
    else:
        over.set()
        sys.stdout.write(
            f"{_head(title)} {time.monotonic() - began:.1f} s{_CLEAR if sys.stdout.isatty() else ''}\n"
        )
    finally:
        sys.stdout.flush()


def _head(title: str) -> str:
    return f"\r· {title} …" if sys.stdout.isatty() else ""


def _tick(title: str, began: float, over: threading.Event, told: list[str]) -> None:
    while not over.wait(1):
        more = f", {told[0]}{_CLEAR}" if told[0] else ""
        sys.stdout.write(f"{_head(title)} {time.monotonic() - began:.0f} s{more}")
        sys.stdout.flush()


def run_quietly(
    command: Sequence[str | Path], log: Path, *, failed: Callable[[str], str], **options: object
) -> None:
    """Run a tool with its output in a log; `failed` makes the sentence from its last words."""
    with log.open("ab") as sink:
        sink.write(f"\n$ {' '.join(map(str, command))}\n".encode())
        sink.flush()
        done = subprocess.run(  # type: ignore[call-overload]
            list(map(str, command)),
            stdout=sink,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
            **options,
        )
    if done.returncode:
        raise SetupError(f"{failed(last_words(log))} (details in {log})")


def last_words(
    log: Path, *, marks: tuple[str, ...] = ("E:", "ERROR", "FATAL", "error", "Error")
) -> str:
    """Return the line of a log that most likely says what went wrong."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-60:]
    except OSError:
        return "it left no log"
    lines = [line.strip() for line in lines if line.strip()]
    told = [line for line in lines if any(mark in line for mark in marks)]
    return (told or lines or ["it said nothing"])[-1][:300]
