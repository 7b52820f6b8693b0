"""How long-running processes look for garbage: seldom, and not among what stays for ever."""

from __future__ import annotations

import gc

# By default Python looks for cycles at every 700 new objects, and through everything that lives
# again and again: with 10,000 messages in hand that took four fifths of the doors' time.
NEW_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS = 100_000, 10, 10


def settle() -> None:
    """Take what is loaded now for what stays; call it once, when a process is ready to serve."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS)
