"""How units read: declarations carry UCUM-like short forms, people read m² and 年."""

from __future__ import annotations

import re

_PLAIN = {"Cel": "°C", "deg": "°", "ug": "µg", "MOhm": "MΩ"}
_SPOKEN = {
    "a": {"zh": "年", "en": "yr"},
    "d": {"zh": "天", "en": "d"},
    "h": {"zh": "小时", "en": "h"},
    "min": {"zh": "分钟", "en": "min"},
    "CNY": {"zh": "元", "en": "CNY"},
    "mu": {"zh": "亩", "en": "mu"},
}
_POWERS = str.maketrans("23", "²³")
_POWER = re.compile(r"^([a-z]*m)([23])$")


def shown(unit: str | None) -> dict[str, str] | None:
    """Return a unit as text in both languages; None for none."""
    if not unit:
        return None
    return {lang: "/".join(_part(p, lang) for p in unit.split("/")) for lang in ("zh", "en")}


def _part(part: str, lang: str) -> str:
    if part in _SPOKEN:
        return _SPOKEN[part][lang]
    power = _POWER.match(part)
    if power:
        return power[1] + power[2].translate(_POWERS)
    return _PLAIN.get(part, part)
