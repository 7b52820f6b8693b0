"""Products: declarations hold, values are checked against them, only additions are published."""

from __future__ import annotations

import math
from typing import Any

import pytest

from twin import declarations, products
from twin.errors import DeclarationError

MINIMAL: dict[str, Any] = {
    "key": "probe",
    "title": {"zh": "探头", "en": "Probe"},
    "kind": "sensor",
    "category": "environment",
    "properties": {
        "level": {"title": {"zh": "高", "en": "Level"}, "low": 0, "high": 10, "unit": "m"},
        "count": {"title": {"zh": "数", "en": "Count"}, "type": "integer", "low": 0},
        "on": {"title": {"zh": "开", "en": "On"}, "type": "boolean"},
        "mode": {
            "title": {"zh": "式", "en": "Mode"},
            "type": "enum",
            "codes": {"a": {"zh": "甲", "en": "A"}, "b": {"zh": "乙", "en": "B"}},
        },
        "note": {"title": {"zh": "注", "en": "Note"}, "type": "text"},
    },
}


def read(doc: dict[str, Any]) -> products.Product:
    """Check a document as a request would be."""
    declarations.check("product", doc, {}, "test")
    return products.from_lines(doc, {}, "test")


def with_property(**said: Any) -> dict[str, Any]:
    """Return the minimal product with one more property."""
    title = {"zh": "新", "en": "New"}
    return {**MINIMAL, "properties": {**MINIMAL["properties"], "new": {"title": title, **said}}}


def test_at_least_fifteen_products_come_out_of_the_box() -> None:
    """Each has titles, a property that stands for it, and golden vectors of its bytes."""
    shipped = products.shipped()
    assert len(shipped) >= 15
    for one in shipped:
        assert one.shown is not None and one.codec.vectors, one.key


@pytest.mark.parametrize(
    ("name", "said", "stored"),
    [
        ("level", 0, 0.0),
        ("level", 10, 10.0),
        ("count", 3.0, 3.0),
        ("on", True, 1.0),
        ("on", 0, 0.0),
        ("mode", "b", 1.0),
    ],
)
def test_values_become_numbers(name: str, said: Any, stored: float) -> None:
    """What is in the model is stored as one number, and read back as what it means."""
    prop = read(MINIMAL)[name]
    assert prop.number(said) == stored
    assert prop.value(stored) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("level", -0.1),
        ("level", 10.1),
        ("level", math.nan),
        ("level", math.inf),
        ("level", "3"),
        ("level", True),
        ("count", 1.5),
        ("on", "yes"),
        ("on", 2),
        ("mode", "c"),
        ("mode", None),
    ],
)
def test_what_is_not_in_the_model_is_refused(name: str, said: Any) -> None:
    """The reason names the property."""
    with pytest.raises(products.NotInModel, match=name):
        read(MINIMAL)[name].number(said)


@pytest.mark.parametrize(
    ("doc", "why"),
    [
        (with_property(type="enum"), "needs its codes"),
        (with_property(low=3, high=3), "is not below"),
        (with_property(unknown=1), "unknown"),
        ({**MINIMAL, "main": "note"}, "main"),
        ({**MINIMAL, "key": "Bad-Key"}, "key"),
        ({**MINIMAL, "properties": {"ts": {"title": {"zh": "时", "en": "T"}}}}, "column"),
        ({**MINIMAL, "codec": {"type": "layout"}}, "layout"),
        ({**MINIMAL, "codec": {"type": "javascript"}}, "script"),
        ({**MINIMAL, "retention": {"raw_days": 900}}, "coarser"),
    ],
)
def test_a_wrong_declaration_names_the_key(doc: dict[str, Any], why: str) -> None:
    """Nothing half right is published."""
    with pytest.raises(DeclarationError, match=why):
        read(doc)


def test_changes_only_add() -> None:
    """A property gone, a type narrowed, a code moved: each is refused with its reason."""
    old = read(MINIMAL)
    assert list(products.narrowed(old, read(with_property()))) == []
    gone = {**MINIMAL, "properties": {k: v for k, v in MINIMAL["properties"].items() if k != "on"}}
    assert "on is gone" in next(products.narrowed(old, read(gone)))
    mode = {
        **MINIMAL["properties"]["mode"],
        "codes": {"b": {"zh": "乙", "en": "B"}, "a": {"zh": "甲", "en": "A"}},
    }
    moved = {**MINIMAL, "properties": {**MINIMAL["properties"], "mode": mode}}
    assert "never moved" in next(products.narrowed(old, read(moved)))
    wider = {**MINIMAL["properties"]["count"], "type": "number"}
    assert not list(
        products.narrowed(
            old, read({**MINIMAL, "properties": {**MINIMAL["properties"], "count": wider}})
        )
    )
