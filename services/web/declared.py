"""A declaration in the body of a request: YAML, or JSON, which is YAML as well."""

from __future__ import annotations

from fastapi import Request

from twin.errors import BadRequest


async def read_source(request: Request, most: int) -> str:
    """Return the text of a declaration; BadRequest above `most` bytes or when it is not UTF-8."""
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > most:
            raise BadRequest(f"A declaration has at most {most} bytes.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as why:
        raise BadRequest("The declaration is not UTF-8 text.") from why
