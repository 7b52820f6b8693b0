"""`twin check` over rules and products: what does not hold names file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin import declarations, products
from ui.terminal.commands import check


def test_what_is_shipped_holds() -> None:
    """Every shipped declaration is checked, rules and maintenance plans included."""
    assert list(check._shipped()) == []
    assert {"alarms", "products", "linkages", "maintenance", "duty"} <= set(check.READERS)


HEAD = "key: t.x\ntitle: {zh: 甲, en: X}\nlevel: 3\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "product: bin_level\nwhen: {range: {property: level_pct, above: 300}}\n",
            "x.yaml:5: when.range: the limit 300 is not within 0 to 100",
        ),
        (
            "product: bin_level\nwhen: {range: {property: colour, above: 3}}\n",
            "x.yaml:5: when.range.property: bin_level declares no property colour",
        ),
        (
            "product: no_such\nwhen: {event: {type: fire}}\n",
            "x.yaml:4: product: no product is called no_such",
        ),
    ],
    ids=["a limit never reached", "a property not there", "a product not there"],
)
def test_a_rule_that_fits_no_product_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    """A rule that would never ring is found before it runs: file, line and key."""
    (tmp_path / "x.yaml").write_text(HEAD + words, encoding="utf-8")
    shipped: Any = declarations.shipped_files
    monkeypatch.setattr(
        declarations, "shipped_files",
        lambda folder: iter([tmp_path / "x.yaml"]) if folder == "alarms" else shipped(folder),
    )  # fmt: skip
    (fault,) = check._rules({one.key: one for one in products.shipped()})
    assert said in fault
