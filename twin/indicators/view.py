"""An indicator as screens read it: the figure with its unit, target, level, change and trend."""

from __future__ import annotations

from typing import Any

from twin.indicators.model import Indicator
from twin.indicators.values import Figure

_YESTERDAY = {"zh": "较昨日", "en": "vs. yesterday"}
_BEFORE = {"zh": "较上期", "en": "vs. the period before"}


def card(one: Indicator, figure: Figure) -> dict[str, Any]:
    """Return an indicator with its figure."""
    delta = None
    if figure.value is not None and figure.was is not None:
        delta = rounded(one, figure.value - figure.was)
    return {
        "key": one.key,
        "title": one.title,
        "group": f"{one.key.partition('.')[0]}.{one.group}",
        "unit": one.unit,
        "value": rounded(one, figure.value),
        "decimals": one.decimals,
        "target": one.target,
        "warn": one.warn,
        "better": one.better,
        "level": one.level(figure.value),
        "delta": delta,
        "delta_base": _YESTERDAY if one.window is None else _BEFORE,
        "trend": [[day, rounded(one, value)] for day, value in figure.trend],
        "at": figure.at,
        "document": one.document,
        "verified": one.verified,
        "things": None if one.formula else f"/api/v1/indicators/{one.key}/things",
    }


def rounded(one: Indicator, value: float | None) -> float | None:
    """Return a value with as many decimals as are declared."""
    return None if value is None else round(value, one.decimals)
