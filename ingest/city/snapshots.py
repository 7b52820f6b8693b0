"""Pictures of the invented cameras of the demo city: drawn, the same street for the same camera, and saying so."""

from __future__ import annotations

import hashlib
import io
import math
import random
from datetime import datetime
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 960, 540
_HORIZON = 210
_FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
SAYS, SAYS_PLAIN = "演示画面 · 程序生成", "DEMO - GENERATED"
Ink = tuple[int, int, int]


def picture(code: str, at: datetime) -> bytes:
    """Return what a camera shows at a local moment, as JPEG; nothing in it is real."""
    seed = random.Random(hashlib.sha256(code.encode()).digest())
    light = _light(at.hour + at.minute / 60)
    image = Image.new("RGB", (WIDTH, HEIGHT), _mix((18, 24, 38), (176, 196, 212), light))
    draw = ImageDraw.Draw(image)
    _houses(draw, seed, light)
    _street(draw, light)
    _trees(draw, seed, light)
    _cars(draw, seed, light, at.timestamp())
    _say(draw)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82)
    return out.getvalue()


def _say(draw: ImageDraw.ImageDraw) -> None:
    """Nobody may take the picture for a real one, wherever it turns up."""
    draw.rectangle((14, 12, 214, 42), fill=(0, 0, 0))
    if _FONT.is_file():
        draw.text((24, 16), SAYS, fill=(255, 255, 255), font=ImageFont.truetype(str(_FONT), 19))
    else:
        draw.text((24, 20), SAYS_PLAIN, fill=(255, 255, 255))


def _light(hour: float) -> float:
    """Return how bright it is, 0 to 1."""
    return min(1.0, max(0.12, 0.5 + 0.9 * math.sin((hour - 6.3) / 24 * math.tau)))


def _mix(dark: Ink, bright: Ink, share: float) -> Ink:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(dark, bright, strict=True))
    return red, green, blue


def _houses(draw: ImageDraw.ImageDraw, seed: random.Random, light: float) -> None:
    x = -20
    while x < WIDTH:
        width, height = seed.randint(50, 130), seed.randint(60, 190)
        shade = seed.randint(0, 26)
        wall = _mix((24 + shade // 2,) * 3, (150 + shade, 152 + shade, 150 + shade), light)
        draw.rectangle((x, _HORIZON - height, x + width, _HORIZON + 8), fill=wall)
        for wx in range(x + 8, x + width - 10, 16):
            for wy in range(_HORIZON - height + 10, _HORIZON - 8, 20):
                lit = seed.random() < 0.35
                glass = _mix((232, 204, 130) if lit else (20, 26, 34), (112, 128, 140), light)
                draw.rectangle((wx, wy, wx + 8, wy + 11), fill=glass)
        x += width + seed.randint(-6, 18)


def _street(draw: ImageDraw.ImageDraw, light: float) -> None:
    draw.rectangle((0, _HORIZON, WIDTH, HEIGHT), fill=_mix((26, 32, 26), (132, 140, 120), light))
    road = [(430, _HORIZON), (530, _HORIZON), (1010, HEIGHT), (-50, HEIGHT)]
    draw.polygon(road, fill=_mix((30, 32, 35), (96, 99, 102), light))
    for i in range(9):
        near, far = 1 - i / 9, 1 - (i + 0.5) / 9
        (xa, ya, wa), (xb, yb, wb) = _at(0.0, near**2), _at(0.0, far**2)
        lane = [(xb - wb, yb), (xb + wb, yb), (xa + wa, ya), (xa - wa, ya)]
        draw.polygon(lane, fill=_mix((120, 118, 104), (226, 224, 212), light))


def _at(side: float, near: float) -> tuple[float, float, float]:
    """Return place and half width of something at a side of the road (-1 to 1), 1 is nearest."""
    y = _HORIZON + near * (HEIGHT - _HORIZON)
    half = 50 + near * 480
    return 480 + side * half, y, 1 + near * 7


def _trees(draw: ImageDraw.ImageDraw, seed: random.Random, light: float) -> None:
    for i in range(6, 0, -1):
        near = (1 - i / 7) ** 1.6
        for side in (-1.18, 1.18):
            x, y, _ = _at(side, near)
            size = 14 + near * 120
            draw.rectangle(
                (x - size / 14, y - size, x + size / 14, y),
                fill=_mix((22, 18, 14), (92, 74, 58), light),
            )
            for _ in range(9):
                dx, dy = seed.uniform(-0.42, 0.42) * size, seed.uniform(-1.7, -0.8) * size
                r = seed.uniform(0.26, 0.42) * size
                green = _mix((16, 28, 20), (88 + seed.randint(0, 30), 128, 84), light)
                draw.ellipse((x + dx - r, y + dy - r, x + dx + r, y + dy + r), fill=green)  # fmt: skip


def _cars(draw: ImageDraw.ImageDraw, seed: random.Random, light: float, second: float) -> None:
    inks = ((196, 60, 52), (230, 230, 226), (60, 92, 140), (70, 74, 78), (214, 168, 60))
    cars = [(seed.random(), seed.choice((-0.42, 0.42)), seed.choice(inks)) for _ in range(5)]
    placed = [
        ((begin + second / 40 * (1 if side > 0 else -1)) % 1.0, side, ink)
        for begin, side, ink in cars
    ]
    for near, side, ink in sorted(placed):
        x, y, _ = _at(side, near**2)
        w = 8 + near**2 * 92
        paint = _mix((ink[0] // 4, ink[1] // 4, ink[2] // 4), ink, light)
        draw.rounded_rectangle((x - w / 2, y - w * 0.62, x + w / 2, y), w / 9, fill=paint)
        glass = _mix((14, 18, 22), (70, 84, 94), light)
        draw.rectangle((x - w * 0.36, y - w * 0.54, x + w * 0.36, y - w * 0.34), fill=glass)
        lamp: Ink = (250, 238, 190) if side < 0 else (206, 44, 36)
        for end in (-0.38, 0.3):
            draw.rectangle((x + end * w, y - w * 0.26, x + (end + 0.1) * w, y - w * 0.16), fill=lamp)  # fmt: skip
