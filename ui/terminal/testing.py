"""`./test`: install what the tests need, then hand over to pytest."""

from __future__ import annotations

import sys

from twin.errors import TwinError
from ui.terminal.bootstrap import hand_over, install
from ui.terminal.paths import use_default_home
from ui.terminal.report import complain


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
    return hand_over(["-m", "pytest", "-q", *marks, *chosen])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
