"""The quality rules of a kind: what it declares under `quality`, and what its fields say anyway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twin import filters
from twin.errors import FilterError
from twin.kinds import Field, Kind
from twin.tables import table

SEVERITIES = ("error", "warn", "info")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: what is checked, on which fields, how bad a failure is and how it reads.

    `whole` rules speak of the kind as a whole, not of each thing.
    """

    id: str
    check: str
    severity: str
    title: Mapping[str, str]
    fields: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    within_s: int | None = None
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    codes: tuple[str, ...] = ()
    expr: str | None = None
    whole: bool = False


def rules(kind: Kind) -> list[Rule]:
    """Return the declared rules, then those that the fields imply and no declared rule says."""
    declared = [_declared(kind, said) for said in kind.quality]
    said = {(r.check, name) for r in declared for name in r.fields or ("",)}
    implied = [
        r for r in _implied(kind) if all((r.check, n) not in said for n in r.fields or ("",))
    ]
    return declared + implied


def seconds(span: str | None) -> int | None:
    """Return the seconds of a span such as 35d."""
    return int(span[:-1]) * _UNITS[span[-1]] if span else None


def _declared(kind: Kind, said: Mapping[str, Any]) -> Rule:
    names = tuple(said.get("fields", ())) or ((said["field"],) if said.get("field") else ())
    # Records do not age one by one: their kind is fresh while new ones come in.
    ages = said["check"] == "fresh" and not names
    if ages:
        names = (kind.happened or "updated_at",)
    field = kind.fields.get(names[0]) if len(names) == 1 else None
    of = (said["of"],) if said.get("of") else field.targets if field else ()
    rule = Rule(
        id=said["id"],
        check=said["check"],
        severity=said.get("severity", "warn"),
        title={},
        fields=names,
        of=of,
        within_s=seconds(said.get("within")),
        min=said.get("min", field.min if field else None),
        max=said.get("max", field.max if field else None),
        pattern=said.get("pattern") or (field.pattern if field else None),
        codes=tuple(field.codes or ()) if field else (),
        expr=said.get("expr"),
        whole=said["check"] == "count" or (ages and kind.is_record),
    )
    return _titled(kind, rule, said.get("title"))


def _implied(kind: Kind) -> Iterator[Rule]:
    for field in kind.fields.values():
        yield from (_titled(kind, rule, None) for rule in _of_field(field))
    if kind.doc.get("states"):
        yield _titled(kind, Rule(id="codes.state", check="codes", severity="error", title={},
                                 fields=("state",), codes=tuple(kind.states)), None)  # fmt: skip
    if kind.geometry != "none":
        yield _titled(kind, Rule(id="valid.geom", check="valid", severity="error", title={}), None)


def _of_field(field: Field) -> Iterator[Rule]:
    name = field.name

    def made(check: str, severity: str = "error", **more: Any) -> Rule:
        return Rule(id=f"{check}.{name}", check=check, severity=severity, title={},
                    fields=(name,), **more)  # fmt: skip

    if field.required:
        yield made("required")
    if field.min is not None or field.max is not None:
        yield made("range", min=field.min, max=field.max)
    if field.pattern:
        yield made("pattern", pattern=field.pattern)
    if field.codes and field.type != "list":
        yield made("codes", codes=tuple(field.codes))
    if field.is_ref:
        yield made("reference", "warn", of=field.targets)


_SAYS: dict[str, tuple[str, str]] = {
    "required": ("{0}必须填写", "{0} must be given"),
    "unique": ("{0}不得重复", "{0} must be unique"),
    "range": ("{0}应在 {1} 之间", "{0} lies between {1}"),
    "range.low": ("{0}不应小于 {1}", "{0} is at least {1}"),
    "range.high": ("{0}不应大于 {1}", "{0} is at most {1}"),
    "pattern": ("{0}的写法不合规定", "{0} is written as prescribed"),
    "codes": ("{0}应取自代码表", "{0} is taken from its code list"),
    "reference": ("{0}应指向已有对象", "{0} names a thing that exists"),
    "valid": ("图形应有效", "The shape is valid"),
    "inside": ("位置应在{0}之内", "It lies inside {0}"),
    "no_overlap": ("同类图形不应重叠", "Shapes of this kind do not overlap"),
    "fresh": ("数据应在 {1} 天内更新", "Updated within {1} days"),
    "expression": ("应满足 {1}", "{1} holds"),
    "count": ("数量应符合预期（{1}）", "As many as expected ({1})"),
}
HEAD = {
    "name": ("名称", "Name"), "code": ("编码", "Code"), "district": ("区", "District"),
    "street": ("街镇", "Street"), "state": ("状态", "State"), "geom": ("图形", "Shape"),
    "source": ("来源", "Source"), "updated_at": ("更新时间", "Updated"),
    "valid_from": ("生效时间", "Valid from"),
}  # fmt: skip
_PLACES = {"district": ("行政区", "a district"), "street": ("街镇", "a street or town")}


def _titled(kind: Kind, rule: Rule, title: Mapping[str, str] | None) -> Rule:
    """Return the rule with a sentence that a data officer reads without knowing the check."""
    if title is None:
        said = _SAYS[_form(rule)]
        title = {lang: said[i].format(_names(kind, rule, i), _bounds(rule))
                 for i, lang in enumerate(("zh", "en"))}  # fmt: skip
    return Rule(**{**rule.__dict__, "title": dict(title)})


def _names(kind: Kind, rule: Rule, lang: int) -> str:
    if rule.check == "inside":
        of = rule.of[0] if rule.of else "district"
        return _PLACES.get(of, (of, of))[lang]
    said = []
    for name in rule.fields:
        field = kind.fields.get(name)
        said.append(
            field.title[("zh", "en")[lang]] if field else HEAD.get(name, (name, name))[lang]
        )
    return ("、", ", ")[lang].join(said) or ("图形", "Shape")[lang]


def _form(rule: Rule) -> str:
    if rule.check != "range" or (rule.min is not None and rule.max is not None):
        return rule.check
    return "range.high" if rule.min is None else "range.low"


def _bounds(rule: Rule) -> str:
    if rule.expr:
        return rule.expr
    if rule.within_s is not None:
        return f"{rule.within_s / 86400:g}"
    return "–".join(f"{end:.10g}" for end in (rule.min, rule.max) if end is not None)


def faults(kind: Kind) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield what keeps a declared rule from running: where it stands, and why."""
    for i, said in enumerate(kind.quality):
        why = _lacks(kind, said)
        if why:
            yield ("quality", i), why
        if said.get("expr"):
            try:
                filters.compile_filter(said["expr"], table(kind), kind)
            except FilterError as wrong:
                yield ("quality", i, "expr"), wrong.detail


_NEEDS = {"required": ("field", "fields"), "unique": ("field", "fields"), "range": ("field",),
          "pattern": ("field",), "codes": ("field",), "reference": ("field", "fields"),
          "fresh": ("within",), "expression": ("expr",), "count": ("min", "max")}  # fmt: skip


def _lacks(kind: Kind, said: Mapping[str, Any]) -> str | None:
    check = said["check"]
    needs = _NEEDS.get(check, ())
    if needs and not any(said.get(n) is not None for n in needs):
        return f"the check {check} needs {' or '.join(needs)}"
    if check in ("valid", "no_overlap") and kind.geometry == "none":
        return f"the check {check} needs a kind with a shape"
    if check == "no_overlap" and kind.geometry != "polygon":
        return "only polygons can overlap"
    rule = _declared(kind, said)
    if check == "range" and rule.min is None and rule.max is None:
        return "the check range needs min or max, here or at its field"
    if check == "pattern" and not rule.pattern:
        return "the check pattern needs a pattern, here or at its field"
    if check == "codes" and not rule.codes:
        return "the check codes needs a field with codes"
    return None
