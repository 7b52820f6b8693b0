"""Snapshots of cameras: fetched from the declared address, kept five seconds, marked with who looks and when."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from sqlalchemy import Connection, text

from ingest.city import snapshots as drawn
from services.web import outward
from twin import calendar, catalogue, db, journal
from twin.errors import NotFound
from twin.scope import Actor, scope_sql
from twin.settings import settings

KIND = "camera"
KEPT_S, WITHIN_S, MOST, WIDEST = 5.0, 4.0, 4 << 20, 1280
# Who looks at one camera for an hour is one entry of the audit, not seven hundred.
TOLD_EVERY_S, MANY = 600.0, 2_000
FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")


@dataclass(frozen=True)
class Shot:
    """A picture as it came, and when."""

    raw: bytes
    at: datetime
    until: float


_kept: dict[int, Shot] = {}
_told: dict[tuple[str, int], float] = {}
_locks: dict[int, threading.Lock] = {}
_guard = threading.Lock()


def shown(actor: Actor, code: str) -> tuple[bytes, datetime, str]:
    """Return the picture of a camera that the actor may see, its moment, and its tag."""
    with db.engine("app").connect() as conn:
        camera = _camera(conn, actor, code)
    shot = _shot(camera)
    _audit(actor, camera)
    tag = hashlib.sha256(shot.raw + actor.user.encode()).hexdigest()[:24]
    return _marked(shot, actor.user, camera["name"] or code), shot.at, f'"{tag}"'


def _camera(conn: Connection, actor: Actor, code: str) -> dict[str, Any]:
    kind = catalogue.one(conn, actor, KIND)
    scope, params = scope_sql(actor, "c", kind.level, geom="geom")
    address = "c.snapshot_url" if "snapshot_url" in kind.fields else "null::text"
    row = conn.execute(
        text(
            f"select c.num, c.code, c.name, c.gb_code, c.source, {address} as address "
            f"from {kind.topic}.{KIND} c where c.code = :code and {scope}"
        ),
        {**params, "code": code},
    ).first()
    if row is None:
        raise NotFound("There is no such camera, or it is outside your districts.")
    return dict(row._mapping)


def _address(camera: dict[str, Any]) -> str | None:
    if camera["address"]:
        return str(camera["address"])
    pattern = settings().snapshot_url
    if not pattern or (not camera["gb_code"] and "{gb_code}" in pattern):
        return None
    return pattern.replace("{gb_code}", camera["gb_code"] or "").replace("{code}", camera["code"])


def _shot(camera: dict[str, Any]) -> Shot:
    """Return the picture of a camera; many who look at once are one question to it."""
    num = camera["num"]
    with _guard:
        lock = _locks.setdefault(num, threading.Lock())
    with lock:
        known = _kept.get(num)
        if known is not None and known.until > time.monotonic():
            return known
        began = time.monotonic()
        try:
            raw = _fetched(camera)
        except outward.NoPicture as why:
            _health(num, began, why.detail)
            raise
        _health(num, began, None)
        shot = Shot(raw, datetime.now(UTC), time.monotonic() + KEPT_S)
        if len(_kept) >= MANY:
            _kept.clear()
        _kept[num] = shot
        return shot


def _fetched(camera: dict[str, Any]) -> bytes:
    address = _address(camera)
    if address is not None:
        raw, _ = outward.picture(
            address, most=MOST, within_s=WITHIN_S, networks=settings().camera_nets
        )
        return _whole(raw)
    if camera["source"] == "demo":
        return drawn.picture(camera["code"], datetime.now(calendar.ZONE))
    raise NotFound("No address for pictures is declared for this camera.")


def _whole(raw: bytes) -> bytes:
    """Return the picture written anew, no wider than a screen shows it: nothing else comes through."""
    try:
        with Image.open(io.BytesIO(raw)) as found:
            if found.width * found.height > 40_000_000:
                raise outward.NoPicture("The picture has more than 40 megapixels.")
            made = found.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as why:
        raise outward.NoPicture("The picture is broken.") from why
    made.thumbnail((WIDEST, WIDEST))
    out = io.BytesIO()
    made.save(out, "JPEG", quality=82)
    return out.getvalue()


_HEALTH = text(
    "insert into twin.camera_picture (num, ok_at, failed_at, why, took_ms) values (:n, "
    "case when cast(:why as text) is null then now() end, "
    "case when cast(:why as text) is not null then now() end, :why, :ms) "
    "on conflict (num) do update set ok_at = coalesce(excluded.ok_at, camera_picture.ok_at), "
    "failed_at = coalesce(excluded.failed_at, camera_picture.failed_at), why = excluded.why, "
    "took_ms = excluded.took_ms"
)


def _health(num: int, began: float, why: str | None) -> None:
    ms = (time.monotonic() - began) * 1000
    with db.engine("app").begin() as conn:
        conn.execute(_HEALTH, {"n": num, "why": why, "ms": ms})


def _audit(actor: Actor, camera: dict[str, Any]) -> None:
    key, now = (actor.user, camera["num"]), time.monotonic()
    with _guard:
        if _told.get(key, float("-inf")) > now - TOLD_EVERY_S:
            return
        if len(_told) >= MANY:
            _told.clear()
        _told[key] = now
    with db.engine("app").begin() as conn:
        journal.append(
            conn, cls="security", action="camera.view", actor=actor.user, level=3,
            note={"camera": camera["code"], "name": camera["name"]},
        )  # fmt: skip


def _marked(shot: Shot, user: str, name: str) -> bytes:
    """Write the camera, the moment and who looks over the picture: a copy tells where it came from."""
    with Image.open(io.BytesIO(shot.raw)) as found:
        image = found.convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    size = max(13, image.width // 48)
    font = ImageFont.truetype(str(FONT), size) if FONT.is_file() else ImageFont.load_default(size)
    when = shot.at.astimezone(calendar.ZONE).strftime("%Y-%m-%d %H:%M:%S")
    bar = size * 2
    draw.rectangle((0, image.height - bar, image.width, image.height), fill=(0, 0, 0, 150))
    draw.text(
        (size, image.height - bar * 0.78), f"{name}  {when}", fill=(255, 255, 255, 235), font=font
    )
    wide, tall = image.width // 3, image.height // 3
    for x in range(0, image.width, wide):
        for y in range(size, image.height - bar, tall):
            draw.text(
                (x + (y // tall % 2) * wide // 2, y),
                f"{user} {when[5:16]}",
                fill=(255, 255, 255, 58),
                font=font,
            )
    out = io.BytesIO()
    Image.alpha_composite(image, layer).convert("RGB").save(out, "JPEG", quality=84)
    return out.getvalue()


def forget() -> None:
    """Forget every picture that is kept."""
    with _guard:
        _kept.clear()
        _told.clear()
