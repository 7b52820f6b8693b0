"""An alarm rule as it is declared (`data/alarms/*.yaml`), checked before it is published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from twin import declarations, rules
from twin.errors import DeclarationError
from twin.products import NotInModel, Product

KIND_OF = "alarm"
# What an expression of a rule may name: values of the thing, the thing itself, the alarm in question.
NAMES = ("v", "t", "a")
# The forms of a condition; a rule has exactly one.
RANGE, EXPR, WINDOW, RATE, SILENCE, EVENT = "range", "expr", "window", "rate", "silence", "event"
ZONE, NEAR, ROUTE, STOP, UNLOAD = "zone", "near", "route", "stop", "unload"
NEIGHBOURS, FENCE = "neighbours", "fence"
FORMS = (
    RANGE, EXPR, WINDOW, RATE, SILENCE, EVENT, ZONE, NEAR, ROUTE, STOP, UNLOAD, NEIGHBOURS,
    FENCE,
)  # fmt: skip
# What a device calls out is over when it has not called for a while: nobody says that it ended.
EVENT_CLEARS_S = 600.0
_SPAN = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d)$")
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Fault = tuple[tuple[Any, ...], str]


def seconds(span: str | float) -> float:
    """Return the seconds of a span such as 30s, 5m, 8h, 2d."""
    if isinstance(span, int | float):
        return float(span)
    found = _SPAN.match(span)
    if not found:
        raise ValueError(f"{span!r} is not a span such as 30s, 5m, 8h or 2d")
    return float(found.group(1)) * _UNIT[found.group(2)]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: which things, which condition, how long, how loud, who hears."""

    key: str
    title: Mapping[str, str]
    form: str
    when: Mapping[str, Any]  # the words of the form
    product: str | None = None
    kind: str | None = None
    level: int = 3
    among: Mapping[str, Any] = field(default_factory=dict)  # fields of the things that are watched
    also: str | None = None  # CEL, asked of candidates only
    levels: tuple[tuple[str, int], ...] = ()  # CEL → level, the first that holds
    hold_s: float = 0.0
    clear_s: float = 0.0
    group: Mapping[str, Any] = field(default_factory=dict)
    escalate: tuple[Mapping[str, Any], ...] = ()
    event: Mapping[str, Any] | None = None  # the event of the city that it opens
    advice: Mapping[str, str] | None = None
    foresee: bool = False  # slow enough that its crossing is predicted
    enabled: bool = True
    version: int = 0
    doc: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def property(self) -> str | None:
        """The property that the condition is about, if it is about one."""
        name = self.when.get("property")
        return str(name) if name is not None else None

    def limit(self, product: Product | None) -> tuple[str, float, float]:
        """Return how a value is compared (above, below, is), with what, and where it clears."""
        for word in ("above", "below", "is"):
            if word in self.when:
                said = self.when[word]
                limit = _number(product, self.property, said)
                clear = self.when.get("clear")
                return word, limit, limit if clear is None else float(clear)
        raise ValueError(f"{self.key} compares with nothing: give above, below or is")


def _number(product: Product | None, name: str | None, said: Any) -> float:
    if product is not None and name is not None and name in product.by_name:
        declared = product.by_name[name]
        if declared.type in ("boolean", "enum"):
            return declared.number(said)
    return float(said)


def from_doc(doc: Mapping[str, Any]) -> Rule:
    """Return the rule of a checked document."""
    form = next(iter(doc["when"]))
    said = doc["when"][form]
    when = {"expr": said} if isinstance(said, str) else dict(said)
    return Rule(
        key=doc["key"],
        title=doc["title"],
        form=form,
        when=when,
        product=doc.get("product"),
        kind=doc.get("kind"),
        level=doc.get("level", 3),
        among=doc.get("among", {}),
        also=doc.get("also"),
        levels=tuple((one["if"], one["level"]) for one in doc.get("levels", ())),
        hold_s=seconds(doc.get("hold", 0)),
        clear_s=seconds(doc.get("clear_after", EVENT_CLEARS_S if form == EVENT else 0)),
        group=doc.get("group", {}),
        escalate=tuple(doc.get("escalate", ())),
        event=doc.get("event"),
        advice=doc.get("advice"),
        foresee=doc.get("foresee", False),
        enabled=doc.get("enabled", True),
        version=doc.get("_version", 0),
        doc={k: v for k, v in doc.items() if k != "_version"},
    )


def running(conn: Connection) -> dict[str, Rule]:
    """Return the rules that run, switched-off ones included."""
    return {key: from_doc(doc) for key, doc in declarations.current(conn, KIND_OF).items()}


def read_file(path: Path) -> dict[str, Any]:
    """Read and check a rule file; DeclarationError names file, line and key."""
    doc, lines = declarations.read(KIND_OF, path)
    return _checked(doc, lines, str(path))


def read_source(source: str, name: str) -> dict[str, Any]:
    """Read and check a rule written as YAML text (or JSON, which is YAML)."""
    doc, lines = declarations.read_source(source, name)
    declarations.check(KIND_OF, doc, lines, name)
    return _checked(doc, lines, name)


def _checked(doc: dict[str, Any], lines: declarations.Lines, name: str) -> dict[str, Any]:
    for where, why in faults(doc):
        line = declarations.line_of(lines, where)
        raise DeclarationError(name, line, ".".join(map(str, where)), why)
    return doc


def shipped() -> list[dict[str, Any]]:
    """Return the shipped rules."""
    return [read_file(path) for path in declarations.shipped_files("alarms")]


def faults(doc: Mapping[str, Any], products: Mapping[str, Product] | None = None) -> list[Fault]:
    """Return what would make a rule fail or never fire: each with the path of the key."""
    found = [*_expressions(doc), *_target(doc), *_spans(doc)]
    if products is not None and not found:
        found += _model(doc, products)
    return found


def _expressions(doc: Mapping[str, Any]) -> list[Fault]:
    asked: list[tuple[tuple[Any, ...], str]] = []
    if "also" in doc:
        asked.append((("also",), doc["also"]))
    if EXPR in doc["when"]:
        asked.append((("when", EXPR), doc["when"][EXPR]))
    asked += [(("levels", i, "if"), one["if"]) for i, one in enumerate(doc.get("levels", ()))]
    found: list[Fault] = []
    for where, expression in asked:
        try:
            rules.compile_guard(expression, NAMES)
        except rules.RuleError as why:
            found.append((where, why.detail))
    return found


def _target(doc: Mapping[str, Any]) -> list[Fault]:
    form = next(iter(doc["when"]))
    if form == FENCE:
        return _fence(doc)
    if form in (ZONE, NEAR, ROUTE, STOP, UNLOAD):
        if "kind" not in doc and "product" not in doc:
            return [(("kind",), "say which kind or product of moving things is watched")]
        return []
    if "product" not in doc:
        return [(("product",), "say of which product the devices are")]
    return []


def _fence(doc: Mapping[str, Any]) -> list[Fault]:
    """A fence says itself what it watches; fields can only be asked of things of one kind."""
    said = doc["when"][FENCE]
    found: list[Fault] = []
    if "kind" in doc or "product" in doc:
        found.append((("kind",), "a fence names the kinds that it watches in when.fence.kinds"))
    if doc.get("among") and len(said["kinds"]) != 1:
        found.append((("among",), "fields can be asked of one kind only"))
    if said["breach"] == "stay" and not doc.get("hold"):
        found.append((("hold",), "say how long a thing may stay"))
    return found


def _spans(doc: Mapping[str, Any]) -> list[Fault]:
    said: list[tuple[tuple[Any, ...], Any]] = [
        (("hold",), doc.get("hold")),
        (("clear_after",), doc.get("clear_after")),
    ]
    form = next(iter(doc["when"]))
    words = doc["when"][form]
    if not isinstance(words, str):
        said += [(("when", form, k), words.get(k)) for k in ("over", "after", "longer")]
    found: list[Fault] = []
    for where, span in said:
        try:
            if span is not None:
                seconds(span)
        except ValueError as why:
            found.append((where, str(why)))
    return found


def _model(doc: Mapping[str, Any], products: Mapping[str, Product]) -> list[Fault]:
    """Say what does not fit the product that the rule is about."""
    key = doc.get("product")
    if key is None:
        return []
    if key not in products:
        return [(("product",), f"no product is called {key}")]
    made = from_doc(doc)
    name = made.property
    if made.form == EVENT:
        known = {event.name for event in products[key].events}
        if made.when["type"] not in known:
            return [(("when", EVENT, "type"), f"{key} declares no event {made.when['type']}")]
        return []
    if name is not None and name not in products[key].by_name:
        return [(("when", made.form, "property"), f"{key} declares no property {name}")]
    if made.form == RANGE:
        try:
            _sane(made, products[key])
        except (NotInModel, ValueError) as why:
            return [(("when", RANGE), str(why))]
    return []


def _sane(made: Rule, product: Product) -> None:
    word, limit, clear = made.limit(product)
    if (word == "above" and clear > limit) or (word == "below" and clear < limit):
        raise ValueError("clear lies on the wrong side of the limit")
    declared = product.by_name[made.property or ""]
    if word != "is" and not declared.holds(limit):
        raise ValueError(
            f"the limit {limit:g} is not within {declared.range_text()}: never reached"
        )
