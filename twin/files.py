"""Evidence files: their bytes lie by content hash, their type is judged by content."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from sqlalchemy import Connection, text

from twin import journal
from twin.errors import BadRequest, Unavailable
from twin.settings import settings

MAX_BYTES = 12 * 1024 * 1024
MAX_PIXELS = 60_000_000
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


def path_of(digest: str) -> Path:
    """Return the path of a file by the digest of its bytes (hexadecimal)."""
    return settings().home / "files" / digest[:2] / digest


def type_of(raw: bytes) -> str:
    """Return the type that the content itself shows; BadRequest when it is no whole picture."""
    try:
        with Image.open(io.BytesIO(raw)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadRequest("This picture has more than 60 megapixels; send a smaller one.")
            kind = TYPES.get(picture.format or "")
            picture.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as why:
        raise BadRequest("This is not a whole JPEG, PNG or WebP picture.") from why
    if kind is None:
        raise BadRequest("Only JPEG, PNG and WebP pictures are taken.")
    return kind


def keep(conn: Connection, raw: bytes, owner: str) -> dict[str, Any]:
    """Keep a picture and return its address; the same picture again is the same file."""
    kind = type_of(raw)
    digest = hashlib.sha256(raw).hexdigest()
    _write(path_of(digest), raw)
    new = conn.execute(
        text(
            "insert into twin.file (hash, bytes, type, owner) values (:h, :b, :t, :o) "
            "on conflict do nothing"
        ),
        {"h": digest, "b": len(raw), "t": kind, "o": owner},
    ).rowcount
    if new:
        note = {"hash": digest, "bytes": len(raw), "type": kind}
        journal.append(conn, cls="file", action="upload", actor=owner, note=note, level=2)
    return {"url": f"/api/v1/files/{digest}", "hash": digest, "bytes": len(raw), "type": kind}


def _write(path: Path, raw: bytes) -> None:
    if path.exists():
        return
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as why:
        part.unlink(missing_ok=True)
        raise Unavailable("The file could not be stored; the disk may be full. Try later.") from why
