"""What the frames of the foreign protocols share: a frame is whole and right, or refused with a reason."""

from __future__ import annotations


class Broken(ValueError):
    """A frame that cannot be trusted; the text says why."""


def bcd(raw: bytes) -> str:
    """Return binary-coded decimal digits; Broken where a half byte is none."""
    said = raw.hex()
    if not said.isdecimal():
        raise Broken(f"{said} is not binary-coded decimal")
    return said
