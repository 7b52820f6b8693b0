"""A linkage as it is declared (`data/linkages/*.yaml`): checked before it is published, loops refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from twin import cases, contacts, declarations, policies, products, rules
from twin.alarms import rule as alarm_rule
from twin.errors import BadRequest
from twin.policies import Doc, Fault
from twin.products import NotInModel, Product
from twin.shadow import commands

KIND_OF = "linkage"
# What a condition may name: the thing's values, the thing, the alarm.
NAMES = ("v", "t", "a")
ALARM, VALUE, AT, MANUAL = "alarm", "value", "at", "manual"
EVERY_RULE = "*"
QUIET_S = 600.0
MOST_PER_HOUR = 200
WORDS = ("above", "below", "is")
_PLACED = ("same", "near_m", "district")


@dataclass(frozen=True, kw_only=True)
class Linkage:
    """One linkage that runs."""

    key: str
    title: Mapping[str, str]
    form: str
    trigger: Mapping[str, Any]
    actions: tuple[tuple[str, Mapping[str, Any]], ...]
    when: str | None = None
    quiet_s: float = QUIET_S
    most_per_hour: int = MOST_PER_HOUR
    enabled: bool = True
    version: int = 0
    doc: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def compares(self, product: Product | None) -> tuple[str, float, float]:
        """Return how a value is compared, with what, and from where on it is back."""
        word = next(one for one in WORDS if one in self.trigger)
        prop = product.by_name.get(str(self.trigger["property"])) if product else None
        said = self.trigger[word]
        limit = prop.number(said) if prop and prop.type in ("boolean", "enum") else float(said)
        return word, limit, float(self.trigger.get("clear", limit))


def from_doc(doc: Mapping[str, Any]) -> Linkage:
    """Return the linkage of a checked document."""
    form = next(iter(doc["trigger"]))
    said = doc["trigger"][form]
    return Linkage(
        key=doc["key"], title=doc["title"], form=form,
        trigger=said if isinstance(said, Mapping) else {},
        actions=tuple(next(iter(one.items())) for one in doc["actions"]),
        when=doc.get("when"), quiet_s=alarm_rule.seconds(doc.get("quiet", QUIET_S)),
        most_per_hour=doc.get("most_per_hour", MOST_PER_HOUR),
        enabled=doc.get("enabled", True), version=doc.get("_version", 0), doc=policies.clean(doc),
    )  # fmt: skip


def running(conn: Connection) -> dict[str, Linkage]:
    """Return the linkages that run, switched-off ones included."""
    return {key: from_doc(doc) for key, doc in declarations.current(conn, KIND_OF).items()}


def faults(doc: Doc) -> list[Fault]:
    """Return what is wrong with a linkage by itself."""
    found: list[Fault] = []
    form = next(iter(doc["trigger"]))
    if form == VALUE and sum(word in doc["trigger"][VALUE] for word in WORDS) != 1:
        found.append((("trigger", VALUE), f"compare with exactly one of {', '.join(WORDS)}"))
    if doc.get("when"):
        try:
            rules.compile_guard(doc["when"], NAMES)
        except rules.RuleError as wrong:
            found.append((("when",), wrong.detail))
    for i, one in enumerate(doc["actions"]):
        to = one.get("command", {}).get("to", {})
        if form in (AT, MANUAL) and any(word in to for word in _PLACED):
            why = "this trigger has no thing: name districts, codes or all"
            found.append((("actions", i, "command", "to"), why))
    return found


def known(conn: Connection, doc: Doc) -> list[Fault]:
    """Return what a linkage names and the installation does not have, and the loop that it would close."""
    there = products.running(conn)
    found = _known_trigger(conn, doc, there)
    for i, one in enumerate(doc["actions"]):
        found += [
            (("actions", i, *where), why)
            for where, why in _known_action(conn, one, there)
        ]  # fmt: skip
    return found or _loop(conn, doc)


def _known_trigger(conn: Connection, doc: Doc, there: Mapping[str, Product]) -> list[Fault]:
    form, said = next(iter(doc["trigger"].items()))
    if form == ALARM and said["rule"] not in (EVERY_RULE, *alarm_rule.running(conn)):
        return [(("trigger", ALARM, "rule"), f"no alarm rule is called {said['rule']}")]
    if form != VALUE:
        return []
    product = there.get(said["product"])
    if product is None:
        return [(("trigger", VALUE, "product"), f"no product is called {said['product']}")]
    prop = product.by_name.get(said["property"])
    if prop is None or not prop.is_numeric:
        why = f"{product.key} declares no property {said['property']} that is a number"
        return [(("trigger", VALUE, "property"), why)]
    try:
        from_doc(doc).compares(product)
    except (NotInModel, ValueError) as why:
        return [(("trigger", VALUE), str(why))]
    return []


def _known_action(
    conn: Connection, one: Mapping[str, Any], there: Mapping[str, Product]
) -> list[Fault]:
    name, said = next(iter(one.items()))
    if name == "command":
        if said["product"] not in there:
            return [(("command", "product"), f"no product is called {said['product']}")]
        try:
            commands.known(there[said["product"]], said["name"], said.get("args", {}))
        except BadRequest as why:
            return [(("command", "name"), why.detail)]
        strange = [p for p in said.get("changes", ()) if p not in there[said["product"]].by_name]
        return [(("command", "changes"), f"{said['product']} declares no {p}") for p in strange]
    if name == "notice":
        missing = [g for g in said.get("groups", ()) if g not in contacts.groups(conn)]
        return [(("notice", "groups"), f"no group is called {g}") for g in missing]
    if name == "case":
        categories = cases.current(conn, cases.CITY)["categories"]
        if said["category"] not in categories:
            return [(("case", "category"), f"no category is called {said['category']}")]
    return []


def _loop(conn: Connection, doc: Doc) -> list[Fault]:
    """Refuse what could set itself off: a command changes what its product measures, and that is a trigger."""
    every = {k: one for k, one in running(conn).items() if one.enabled} | {
        doc["key"]: from_doc(doc)
    }
    of_rule = alarm_rule.running(conn)
    next_ones = {
        key: sorted(k for k, other in every.items() if _stirs(one, other, of_rule))
        for key, one in every.items()
    }
    path = _way_back(doc["key"], next_ones)
    if path is None:
        return []
    why = f"this closes a loop: {' → '.join(path)}; say which properties a command changes (changes: [])"
    return [(("actions",), why)]


def _stirs(one: Linkage, other: Linkage, of_rule: Mapping[str, Any]) -> bool:
    """Tell whether what one commands may be what another waits for.

    A command that does not say what it changes may change everything that its product measures.
    """
    waits = _waits(other, of_rule)
    if waits is None:
        return False
    return any(
        waits == (None, None) or (said["product"] == waits[0] and _touches(said, waits[1]))
        for name, said in one.actions
        if name == "command" and said.get("changes") != []
    )


def _touches(said: Mapping[str, Any], prop: str | None) -> bool:
    return "changes" not in said or prop is None or prop in said["changes"]


def _waits(one: Linkage, of_rule: Mapping[str, Any]) -> tuple[str | None, str | None] | None:
    """Return product and property that a linkage waits for; None where no device sets it off."""
    if one.form == VALUE:
        return one.trigger["product"], one.trigger["property"]
    if one.form != ALARM:
        return None
    if one.trigger["rule"] == EVERY_RULE:
        return None, None
    known = of_rule.get(one.trigger["rule"])
    return (known.product, known.property) if known and known.product else None


def _way_back(start: str, next_ones: Mapping[str, list[str]]) -> list[str] | None:
    ahead: list[list[str]] = [[start]]
    seen: set[str] = set()
    while ahead:
        path = ahead.pop()
        for key in next_ones.get(path[-1], ()):
            if key == start:
                return [*path, key]
            if key not in seen:
                seen.add(key)
                ahead.append([*path, key])
    return None
