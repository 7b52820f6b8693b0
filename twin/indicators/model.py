"""An indicator as it is declared: what it counts, how, in which window, against which target."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twin import rules

UP, DOWN = "up", "down"
Title = Mapping[str, str]
_REFERENCE = re.compile(r"\b([a-z][a-z_]*)\.([a-z][a-z0-9_]*)\b")


@dataclass(frozen=True, kw_only=True)
class Window:
    """Rows whose `field` lies within the last `days` days, today included; None `days`: this year."""

    field: str
    days: int | None


@dataclass(frozen=True, kw_only=True)
class Indicator:
    """One declared number. Either `of` (rows that are measured) or `formula` over other indicators.

    `measure` is one of count, sum, mean, share, ratio; each gives a numerator and a denominator, so
    that streets add up to districts and days to weeks.
    """

    key: str  # set.name
    topic: str
    group: str
    title: Title
    unit: Title
    of: Mapping[str, str]
    where: str | None
    measure: str
    field: str | None
    share: str | None  # CQL2: which of the rows count
    over: str | None  # ratio: the field of the denominator
    scale: float
    window: Window | None
    formula: str | None
    target: float | None
    warn: float | None
    better: str | None
    decimals: int
    document: str | None  # where the number was asked for
    verified: bool
    doc: Mapping[str, Any]

    @property
    def divided(self) -> bool:
        """True when the value is numerator by denominator."""
        return self.measure in ("mean", "share", "ratio")

    def needs(self) -> tuple[str, ...]:
        """Return the keys of the indicators that the formula names."""
        return references(self.formula or "")

    def value(self, numerator: float | None, denominator: float | None) -> float | None:
        """Return the number of its parts; None when there is nothing to divide by."""
        if numerator is None:
            return None
        if not self.divided:
            return numerator * self.scale
        if not denominator:
            return None
        return numerator / denominator * (100.0 if self.measure == "share" else self.scale)

    def level(self, value: float | None) -> str:
        """Return good, warn or bad against target and threshold; none where there is no target."""
        if value is None or self.target is None or self.better is None:
            return "none"
        sign = 1.0 if self.better == UP else -1.0
        if value * sign >= self.target * sign:
            return "good"
        return "warn" if self.warn is None or value * sign >= self.warn * sign else "bad"


def references(expression: str) -> tuple[str, ...]:
    """Return the keys (set.name) that an expression names, each once."""
    return tuple(dict.fromkeys(".".join(pair) for pair in _REFERENCE.findall(expression)))


def of_set(doc: Mapping[str, Any]) -> Iterator[Indicator]:
    """Return the indicators of a declared set that the schema has accepted."""
    for name, said in doc["indicators"].items():
        yield _indicator(doc, name, said)


def _indicator(doc: Mapping[str, Any], name: str, said: Mapping[str, Any]) -> Indicator:
    window = said.get("window")
    measure, field, share, over = _measure(said.get("measure", "count"))
    unit = said.get("unit") or (
        {"zh": "%", "en": "%"} if measure == "share" else {"zh": "", "en": ""}
    )
    return Indicator(
        key=f"{doc['key']}.{name}",
        topic=doc.get("topic", doc["key"]),
        group=said["group"],
        title=said["title"],
        unit=unit,
        of=said.get("of", {}),
        where=said.get("where"),
        measure="formula" if "formula" in said else measure,
        field=field,
        share=share,
        over=over,
        scale=float(said.get("scale", 1.0)),
        window=Window(field=window["field"], days=window.get("days")) if window else None,
        formula=said.get("formula"),
        target=said.get("target"),
        warn=said.get("warn"),
        better=said.get("better"),
        decimals=said.get("decimals", 1 if measure in ("mean", "share", "ratio") else 0),
        document=said.get("document"),
        verified=said.get("verified", True),
        doc=said,
    )


def _measure(said: Any) -> tuple[str, str | None, str | None, str | None]:
    """Return measure, field, predicate, second field of `count` or `{sum: area_m2}` and the like."""
    if isinstance(said, str):
        return said, None, None, None
    ((name, what),) = said.items()
    if name == "share":
        return name, None, what, None
    if name == "ratio":
        return name, what["of"], None, what["to"]
    return name, what, None, None


def formula_fault(said: str, sets: Mapping[str, Any]) -> str | None:
    """Return why a formula cannot be, or None."""
    names = tuple(sorted({one for one, _ in _REFERENCE.findall(said)}))
    if not names:
        return "a formula names indicators as set.name"
    for one, name in _REFERENCE.findall(said):
        if one in sets and name not in sets[one]:
            return f"no indicator is called {one}.{name}"
    try:
        rules.compile_rule(said, names)
    except rules.RuleError as why:
        return why.detail
    return None


def evaluate(formula: str, values: Mapping[str, float | None]) -> float | None:
    """Return the value of a formula; None where a part is missing or nothing is divided by."""
    if any(value is None for value in values.values()):
        return None
    nested: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        one, _, name = key.partition(".")
        nested.setdefault(one, {})[name] = float(value or 0.0)
    made = rules.value(formula, nested, tuple(sorted(nested)))
    number = float(made)
    return number if number - number == 0.0 else None
