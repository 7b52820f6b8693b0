"""Vector tiles as pictures, for clients that know no vector tiles: plain fills, lines and dots."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

EXTENT = 4096
# Drawn larger and shrunk: edges come out smooth.
_FINER = 2
Colour = tuple[int, int, int, int]
Point = tuple[int, int]


@dataclass
class Feature:
    """A feature of a vector tile: its parts in tile units, and what it says."""

    type: int
    parts: list[list[Point]]
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ink:
    """How a feature is painted: fill, edge (or line, or dot), and its width in pixels."""

    fill: Colour | None = None
    edge: Colour | None = None
    width: float = 1.0


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message: their number, and a number or bytes."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(raw, at)
            yield key >> 3, value
        elif wire == 2:
            size, at = _varint(raw, at)
            yield key >> 3, raw[at : at + size]
            at += size
        else:
            size = 8 if wire == 1 else 4
            yield key >> 3, raw[at : at + size]
            at += size


def _numbers(raw: bytes) -> list[int]:
    """Return all unsigned numbers of a packed field."""
    every = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(every < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    values = np.zeros(len(ends), np.int64)
    for i in range(int((ends - starts).max(initial=-1)) + 1):
        has = ends - starts >= i
        values[has] |= (every[starts[has] + i].astype(np.int64) & 0x7F) << (7 * i)
    found: list[int] = values.tolist()
    return found


def layers(raw: bytes) -> dict[str, list[Feature]]:
    """Return the features of each layer of a vector tile."""
    found: dict[str, list[Feature]] = {}
    for number, body in _fields(raw):
        if number == 3:
            name, features = _layer(body)
            found.setdefault(name, []).extend(features)
    return found


def _layer(raw: bytes) -> tuple[str, list[Feature]]:
    name, keys, values, features = "", [], [], []
    for number, body in _fields(raw):
        if number == 1:
            name = body.decode()
        elif number == 2:
            features.append(body)
        elif number == 3:
            keys.append(body.decode())
        elif number == 4:
            values.append(next((_value(n, v) for n, v in _fields(body)), None))
    return name, [_feature(body, keys, values) for body in features]


def _value(number: int, value: Any) -> Any:
    # Texts and whole numbers are all that a picture is coloured by.
    return value.decode() if number == 1 else value


def _feature(raw: bytes, keys: Sequence[str], values: Sequence[Any]) -> Feature:
    made = Feature(0, [])
    for number, body in _fields(raw):
        if number == 2:
            tags = _numbers(body)
            made.said = {keys[k]: values[v] for k, v in zip(tags[::2], tags[1::2], strict=True)}
        elif number == 3:
            made.type = body
        elif number == 4:
            made.parts = _parts(_numbers(body))
    return made


def _parts(numbers: Sequence[int]) -> list[list[Point]]:
    parts: list[list[Point]] = []
    x = y = at = 0
    while at < len(numbers):
        command, count = numbers[at] & 7, numbers[at] >> 3
        at += 1
        if command == 7:
            parts[-1].append(parts[-1][0])
            continue
        for _ in range(count):
            dx, dy = numbers[at], numbers[at + 1]
            x, y = x + ((dx >> 1) ^ -(dx & 1)), y + ((dy >> 1) ^ -(dy & 1))
            at += 2
            if command == 1:
                parts.append([])
            parts[-1].append((x, y))
    return parts


def picture(
    width: int,
    height: int,
    drawn: Sequence[tuple[Sequence[Feature], Any]],
    *,
    ground: Colour = (0, 0, 0, 0),
) -> bytes:
    """Return a PNG of features, each group with the ink that `(feature) -> Ink` gives it."""
    size = (width * _FINER, height * _FINER)
    image = Image.new("RGBA", size, ground)
    scale = (size[0] / EXTENT, size[1] / EXTENT)
    for features, ink in drawn:
        # Each group is a sheet of its own: see-through fills lie upon what is below.
        sheet = Image.new("RGBA", size, (0, 0, 0, 0))
        draw = ImageDraw.Draw(sheet)
        # A hole is cut out of its sheet: what lies in it comes after.
        for feature in sorted(features, key=lambda f: -len(f.parts)):
            _draw(draw, feature, ink(feature), scale)
        image.alpha_composite(sheet)
    out = io.BytesIO()
    image.resize((width, height), Image.Resampling.BOX).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _draw(draw: Any, feature: Feature, ink: Ink, scale: tuple[float, float]) -> None:
    wide = max(1, round(ink.width * _FINER))
    for part in feature.parts:
        points = [(x * scale[0], y * scale[1]) for x, y in part]
        if feature.type == 1:
            radius = ink.width * _FINER
            for x, y in points:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink.edge)
        elif feature.type == 3 and ink.fill and len(points) > 3:
            hole = _area(part) < 0
            draw.polygon(points, fill=(0, 0, 0, 0) if hole else ink.fill)
        if feature.type != 1 and ink.edge and len(points) > 1:
            draw.line(points, fill=ink.edge, width=wide, joint="curve")


def _area(ring: Sequence[Point]) -> int:
    """Return twice the area of a ring, positive for an outer one (clockwise on the screen)."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:], strict=False))


def said(colour: str, alpha: float = 1.0) -> Colour:
    """Return a colour like #7bc47f with its opacity."""
    text = colour.lstrip("#")[:6]
    red, green, blue = (int(text[i : i + 2], 16) for i in (0, 2, 4))
    return red, green, blue, round(255 * alpha)
