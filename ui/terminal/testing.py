"""`./test`: install what the tests need, then hand over to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from twin.errors import TwinError
from ui.terminal.bootstrap import hand_over, install
from ui.terminal.paths import ROOT, VENV, use_default_home
from ui.terminal.report import complain, say

# These share one running city; all others have servers of their own, so both lanes run side by side.
WITH_A_CITY = ("tests/browser", "tests/platform")
# What pytest answers when a lane holds no test that was asked for.
_NO_TESTS = 5


def main(arguments: list[str]) -> int:
    """Run all tests, or those of the given pytest arguments; `--long` takes the long ones too."""
    use_default_home()
    try:
        install(tests=True)
    except TwinError as why:
        complain(why.detail)
        return 2
    if "--install-only" in arguments:
        return 0
    chosen = [word for word in arguments if word != "--long"]
    marks = [] if "--long" in arguments else ["-m", "not long"]
    if chosen or (os.cpu_count() or 1) < 2:
        return hand_over(["-m", "pytest", "-q", *marks, *chosen])
    return _side_by_side(marks)


def _side_by_side(marks: list[str]) -> int:
    """Run both lanes at once: one is seen as it goes, the other is shown when both have ended."""
    others = [f"--ignore={folder}" for folder in WITH_A_CITY]
    with tempfile.TemporaryFile() as kept:
        city = _lane("city", [*marks, *WITH_A_CITY], kept)
        own = _lane("own", [*marks, *others], None)
        try:
            codes = [own.wait(), city.wait()]
        finally:
            for lane in (own, city):
                lane.terminate()
                lane.wait()
        say(f"== {' '.join(WITH_A_CITY)}")
        kept.seek(0)
        sys.stdout.buffer.write(kept.read())
        sys.stdout.flush()
    return next((code for code in codes if code not in (0, _NO_TESTS)), 0)


def _lane(name: str, words: list[str], out: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start pytest with a cache of its own."""
    cache = Path(".pytest_cache", name)
    python = VENV / "bin" / "python"
    command = [str(python), "-m", "pytest", "-q", "-o", f"cache_dir={cache}", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=out, stderr=out and subprocess.STDOUT
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
