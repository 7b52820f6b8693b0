"""QR codes of things: what a phone reads is the address of the public page."""

from __future__ import annotations

import io

import segno

from twin.settings import settings


def address(code: str) -> str:
    """Return what the QR code of a thing says."""
    return f"{settings().public_url}/c/{code}"


def draw(code: str, form: str, scale: int) -> bytes:
    """Return the QR code as SVG or PNG; `scale` is pixels a module. Error correction M (15 %)."""
    out = io.BytesIO()
    made = segno.make(address(code), error="m", micro=False)
    if form == "svg":
        made.save(out, kind="svg", scale=scale, border=4, svgclass=None, lineclass=None, title=code)
    else:
        made.save(out, kind="png", scale=scale, border=4)
    return out.getvalue()
