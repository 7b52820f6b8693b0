"""Units read as people write them, in both languages."""

from __future__ import annotations

import pytest

from twin import units


@pytest.mark.parametrize(
    ("unit", "zh", "en"),
    [
        ("m2", "m²", "m²"), ("m3/hm2", "m³/hm²", "m³/hm²"), ("a", "年", "yr"), ("t/d", "t/天", "t/d"),
        ("CNY/m2", "元/m²", "CNY/m²"), ("Cel", "°C", "°C"), ("ug/m3", "µg/m³", "µg/m³"),
        ("%", "%", "%"), ("mm", "mm", "mm"), ("km2", "km²", "km²"),
    ],
)  # fmt: skip
def test_units_read_like_this(unit: str, zh: str, en: str) -> None:
    assert units.shown(unit) == {"zh": zh, "en": en}


def test_no_unit() -> None:
    assert units.shown(None) is None
