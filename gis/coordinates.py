"""Coordinates as people write them: degrees, minutes and seconds, letters, metres, GCJ-02."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gis import crs

# What people write before or behind a pair to say in which system it is.
_SYSTEMS = {
    "gcj02": "gcj02", "gcj-02": "gcj02", "火星": "gcj02", "高德": "gcj02", "腾讯": "gcj02",
    "bd09": "bd09", "bd-09": "bd09", "百度": "bd09", "wgs84": "EPSG:4326", "wgs-84": "EPSG:4326",
    "cgcs2000": "EPSG:4326", "sh2000": "sh2000", "上海2000": "sh2000", "上海城建": "sh2000",
}  # fmt: skip
_WORD = re.compile("|".join(sorted(map(re.escape, _SYSTEMS), key=len, reverse=True)), re.IGNORECASE)
_LETTERS = str.maketrans({
    "北": "N", "南": "S", "东": "E", "西": "W", "纬": " ", "经": " ", "度": "°", "分": "′", "秒": "″", "d": "°",
    "D": "°", "º": "°", "'": "′", "’": "′", '"': "″", "”": "″", "，": ",", "；": ",", ";": ",", "/": ",",
    **dict.fromkeys("（）()：:", " "),
})  # fmt: skip
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_PARTS = (
    rf"(?P<d>{_NUMBER})\s*°?\s*(?:(?P<m>\d+(?:\.\d+)?)\s*[′m]\s*)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)\s*(?:″|′′|s)\s*)?"
)
# A letter stands before both numbers or behind both: between two numbers it could be either's.
_BEFORE = re.compile(rf"(?P<letter>[NSEWnsew])\s*{_PARTS}")
_BEHIND = re.compile(rf"{_PARTS}(?P<letter>[NSEWnsew])?")
_NAMES = re.compile(r"\b(?:lon|lng|long|longitude|lat|latitude|x|y)\b\s*[=]?", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A place in EPSG:4326 and the system in which it was written."""

    lon: float
    lat: float
    system: str


def parse(said: str) -> list[Place]:
    """Return the places that a text may mean, the likeliest first; nothing when it is no pair.

    Two numbers of degrees without a word are taken as WGS-84 first and as GCJ-02 second, since both are
    in daily use here and differ by half a kilometre. Six-digit numbers are metres in EPSG:4549
    or 4550, small ones with `sh2000` in 上海2000.
    """
    if len(said) > 100:
        return []
    word = _WORD.search(said)
    system = _SYSTEMS[word[0].lower()] if word else None
    rest = _NAMES.sub(" ", _WORD.sub(" ", said)).translate(_LETTERS).strip(" ,")
    pair = _angles(rest)
    if pair is None:
        return []
    return list(_meant(*pair, system))


def _angles(said: str) -> tuple[float, float, bool] | None:
    """Return first and second number in degrees (or metres), and whether letters gave the order."""
    found, at = [], 0
    style = _BEFORE if said[:1].upper() in tuple("NSEW") else _BEHIND
    for match in style.finditer(said):
        if said[at : match.start()].strip(" ,\t"):
            return None
        found.append(match)
        at = match.end()
    if len(found) != 2 or said[at:].strip(" ,"):
        return None
    values, letters = [], []
    for one in found:
        value = abs(float(one["d"])) + float(one["m"] or 0) / 60 + float(one["s"] or 0) / 3600
        letter = (one["letter"] or "").upper()
        if float(one["m"] or 0) >= 60 or float(one["s"] or 0) >= 60:
            return None
        negative = one["d"].startswith("-") or letter in ("S", "W")
        values.append(-value if negative else value)
        letters.append(letter)
    if bool(letters[0]) != bool(letters[1]):
        return None
    if letters[0]:
        if (letters[0] in "NS") == (letters[1] in "NS"):
            return None
        north_first = letters[0] in "NS"
        return (values[1], values[0], True) if north_first else (values[0], values[1], True)
    return values[0], values[1], False


def _meant(a: float, b: float, sure: bool, system: str | None) -> Iterator[Place]:
    if system == "sh2000":
        yield from _metres(a, b, "sh2000")
        return
    if max(abs(a), abs(b)) > 180:
        for name in ("EPSG:4549", "EPSG:4550"):
            yield from _metres(a, b, name)
        return
    # Here longitude is 120 and latitude 30: whichever is larger is the longitude unless letters say.
    lon, lat = (a, b) if sure or abs(a) >= abs(b) else (b, a)
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        return
    for name in [system] if system else ["EPSG:4326", "gcj02"]:
        yield from _place(lon, lat, name)


def _metres(a: float, b: float, name: str) -> Iterator[Place]:
    """Try both orders of easting and northing; what lands in or near the city counts."""
    for east, north in ((a, b), (b, a)):
        for one in _place(east, north, name):
            if 119 < one.lon < 124 and 29 < one.lat < 33:
                yield one
                return


def _place(x: float, y: float, name: str) -> Iterator[Place]:
    if name in crs.SHIFTED and not crs.in_china(np.array([x]), np.array([y]))[0]:
        return
    try:
        lon, lat = crs.to_wgs84(np.array([x]), np.array([y]), name)
    except ValueError:
        return
    if np.isfinite(lon[0]) and np.isfinite(lat[0]):
        yield Place(round(float(lon[0]), 7), round(float(lat[0]), 7), name)
