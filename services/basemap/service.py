"""Tiles of Tianditu through a cache on disk: asked once, kept for a month, bounded in place and bytes."""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path
from urllib.parse import quote

import structlog

from services.web import outward
from twin import basemaps
from twin.errors import NotFound
from twin.settings import CITY_BOUNDS, settings

log = structlog.get_logger("basemap")
KEPT_S = 30 * 86_400.0
MOST, WITHIN_S = 1 << 20, 6.0
# How much is kept on disk; past it the tiles that were asked for longest ago go.
MOST_KEPT, CLEAN_EVERY = 512 << 20, 500
# Far out a tile of the city is also its neighbours; near by only what lies round the city is asked for.
EVERYWHERE_TO, ROUND_DEG = 8, 0.5
_upstream = threading.BoundedSemaphore(8)
_lock = threading.Lock()
_locks: dict[str, threading.Lock] = {}
_written = 0


def tile(provider: str, layer: str, z: int, x: int, y: int) -> tuple[bytes, str]:
    """Return a tile and its media type; what is kept is given also while the provider is away."""
    key = settings().tianditu_key
    if provider != basemaps.PROVIDER or layer not in basemaps.LAYERS or key is None:
        raise NotFound("No such base map is offered here.")
    _bounded(z, x, y)
    path = settings().home / "cache" / "basemap" / layer / str(z) / str(x) / str(y)
    with _one_at_a_time(str(path)):
        kept = _read(path, KEPT_S)
        if kept is not None:
            return kept, _kind(kept)
        try:
            raw, kind = _asked(layer, z, x, y, key)
        except outward.NoPicture:
            old = _read(path, math.inf)
            if old is None:
                raise
            return old, _kind(old)
        _keep(path, raw)
        return raw, kind


def _asked(layer: str, z: int, x: int, y: int, key: str) -> tuple[bytes, str]:
    address = (
        f"{settings().tianditu_url}/{layer}_w/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0"
        f"&LAYER={layer}&STYLE=default&TILEMATRIXSET=w&FORMAT=tiles&TILEMATRIX={z}&TILEROW={y}"
        f"&TILECOL={x}&tk={quote(key, safe='')}"
    )
    if not _upstream.acquire(timeout=WITHIN_S):
        raise outward.NoPicture("Too many tiles are being fetched; ask again.")
    try:
        return outward.picture(address, most=MOST, within_s=WITHIN_S, networks=None)
    finally:
        _upstream.release()


def _bounded(z: int, x: int, y: int) -> None:
    if not (1 <= z <= basemaps.MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise NotFound("There is no such tile.")
    if z <= EVERYWHERE_TO:
        return
    west, south, east, north = CITY_BOUNDS
    lon, lat = _corner(z, x, y)
    lon2, lat2 = _corner(z, x + 1, y + 1)
    if (lon > east + ROUND_DEG or lon2 < west - ROUND_DEG
            or lat < south - ROUND_DEG or lat2 > north + ROUND_DEG):  # fmt: skip
        raise NotFound("This tile lies outside the city.")


def _corner(z: int, x: int, y: int) -> tuple[float, float]:
    n = 1 << z
    return x / n * 360 - 180, math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / n))))


def _one_at_a_time(key: str) -> threading.Lock:
    with _lock:
        if len(_locks) > 10_000:
            for name in [n for n, one in _locks.items() if not one.locked()]:
                del _locks[name]
        return _locks.setdefault(key, threading.Lock())


def _read(path: Path, age_s: float) -> bytes | None:
    try:
        if time.time() - path.stat().st_mtime > age_s:
            return None
        return path.read_bytes()
    except OSError:
        return None


def _kind(raw: bytes) -> str:
    return next((k for sign, k in outward.KINDS.items() if raw.startswith(sign)), "image/png")


def _keep(path: Path, raw: bytes) -> None:
    """Keep a tile whole or not at all; a full disk costs the cache, not the map."""
    global _written
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{threading.get_ident()}.new")
        new.write_bytes(raw)
        os.replace(new, path)
    except OSError as why:
        log.warning("a tile is not kept", why=why.strerror)
        return
    with _lock:
        _written += 1
        due = _written % CLEAN_EVERY == 0
    if due:
        clean(MOST_KEPT)


def clean(most: int) -> int:
    """Let the oldest tiles go until the rest fits; return how many went."""
    folder = settings().home / "cache" / "basemap"
    found = sorted(
        (said.st_mtime, said.st_size, path)
        for path in folder.rglob("*")
        if path.is_file() and (said := path.stat())
    )
    total, gone = sum(size for _, size, _ in found), 0
    for _, size, path in found:
        if total <= most:
            break
        path.unlink(missing_ok=True)
        total -= size
        gone += 1
    return gone
