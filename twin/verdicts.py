"""Quality rules as SQL: for each rule the reason why a row fails it, null where it holds.

Null in a rule means not applicable: only what is known to be wrong fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from twin import filters
from twin.kinds import Kind
from twin.rulebook import Rule
from twin.tables import table

SHOWN = 200
DEFAULT_OVERLAP_M2 = 1.0
_geo = sa.func.public
_THING = sa.table("thing", *(sa.column(c) for c in ("code", "kind", "gone_at")), schema="twin")


class Verdicts:
    """Makes the verdict of each rule over one alias of the table of a kind."""

    def __init__(self, kind: Kind, kinds: Mapping[str, Kind]) -> None:
        """Take the kind, and all running kinds for rules that speak of another one."""
        self.kind, self.kinds = kind, kinds
        self.t = table(kind).alias("t")
        self._made: dict[str, Callable[[Rule], Any]] = {
            "required": self._required, "unique": self._unique, "range": self._range,
            "pattern": self._pattern, "codes": self._codes, "reference": self._reference,
            "valid": self._valid, "inside": self._inside, "no_overlap": self._overlap,
            "fresh": self._fresh, "expression": self._expression,
        }  # fmt: skip

    def of(self, rule: Rule) -> Any:
        """Return the verdict of a rule as a text expression."""
        return self._made[rule.check](rule)

    def _column(self, name: str) -> Any:
        return self.t.c[name]

    def _said(self, rule: Rule) -> Any:
        texts = [_text(self._column(name)) for name in rule.fields if name != "geom"]
        return sa.func.left(sa.func.concat_ws(" / ", *texts), SHOWN)

    def _when(self, failed: Any, rule: Rule) -> Any:
        return sa.case((failed, sa.func.coalesce(self._said(rule), "")))

    def _required(self, rule: Rule) -> Any:
        lacks = []
        for name in rule.fields:
            column = self._column(name)
            lacks.append((_empty(column), sa.literal(name, sa.Text)))
        return sa.case(*lacks)

    def _unique(self, rule: Rule) -> Any:
        own = [self._column(name) for name in rule.fields]
        # The twins are found once for the whole kind, not once a row.
        again = table(self.kind).alias("u")
        columns = [again.c[name] for name in rule.fields]
        twice = (
            sa.select(*columns)
            .where(*(c.is_not(None) for c in columns))
            .group_by(*columns)
            .having(sa.func.count() > 1)
        )
        return self._when(sa.tuple_(*own).in_(twice) if len(own) > 1 else own[0].in_(twice), rule)

    def _range(self, rule: Rule) -> Any:
        column = self._column(rule.fields[0])
        beyond = []
        if rule.min is not None:
            beyond.append(column < sa.literal(rule.min, sa.Double))
        if rule.max is not None:
            beyond.append(column > sa.literal(rule.max, sa.Double))
        return self._when(sa.or_(*beyond), rule)

    def _pattern(self, rule: Rule) -> Any:
        column = self._column(rule.fields[0])
        whole = sa.literal(f"^(?:{rule.pattern})$", sa.Text)
        return self._when(sa.not_(_text(column).bool_op("~")(whole)), rule)

    def _codes(self, rule: Rule) -> Any:
        column = self._column(rule.fields[0])
        known = sa.literal(list(rule.codes), sa.ARRAY(sa.Text))
        if isinstance(column.type, sa.ARRAY):
            return self._when(sa.not_(column.bool_op("<@")(known)), rule)
        return self._when(column != sa.all_(known), rule)

    def _reference(self, rule: Rule) -> Any:
        missing = []
        for name in rule.fields:
            column = self._column(name)
            targets = self.kind.fields[name].targets or rule.of
            there = sa.select(_THING.c.code).where(
                _THING.c.code == column, _THING.c.gone_at.is_(None)
            )
            if targets:
                there = there.where(_THING.c.kind.in_(targets))
            missing.append((sa.and_(column.is_not(None), ~there.exists()), _text(column)))
        return sa.case(*missing)

    def _valid(self, _rule: Rule) -> Any:
        geom = self._column("geom")
        return sa.case((~_geo.ST_IsValid(geom), _geo.ST_IsValidReason(geom)))

    def _inside(self, rule: Rule) -> Any:
        of = rule.of[0] if rule.of else "district"
        if self.kind.geometry == "none":
            return sa.case((self._column("district").is_(None), ""))
        geom = self._column("geom")
        if of in ("district", "street") and not rule.fields:
            # The write path has already asked the map for every shape.
            lost = sa.and_(geom.is_not(None), self._column(of).is_(None))
            return sa.case((lost, sa.literal("")))
        area = table(self.kinds[of]).alias("area")
        point = geom if self.kind.geometry == "point" else _geo.ST_PointOnSurface(geom)
        covered = sa.select(area.c.code).where(
            area.c.geom.bool_op("&&")(point), _geo.ST_Covers(area.c.geom, point)
        )
        asked = geom.is_not(None)
        if rule.fields:
            named = self._column(rule.fields[0])
            covered = covered.where(area.c.code == named)
            asked = sa.and_(asked, named.is_not(None))
        return self._when(sa.and_(asked, ~covered.exists()), rule)

    def _overlap(self, rule: Rule) -> Any:
        geom = self._column("geom")
        other_kind = self.kinds.get(rule.of[0], self.kind) if rule.of else self.kind
        other = table(other_kind).alias("o")
        limit = rule.min if rule.min is not None else DEFAULT_OVERLAP_M2
        shared = sa.cast(_geo.ST_Intersection(geom, other.c.geom), _Geography())
        # What only touches is sorted out by relation first: intersections are dear.
        crossing = sa.select(sa.func.min(other.c.code)).where(
            other.c.geom.bool_op("&&")(geom),
            other.c.num != self._column("num"),
            _geo.ST_IsValid(other.c.geom),
            _geo.ST_Relate(geom, other.c.geom, "2********"),
            _geo.ST_Area(shared) > sa.literal(limit, sa.Double),
        )
        return sa.case((_geo.ST_IsValid(geom), crossing.scalar_subquery()))

    def _fresh(self, rule: Rule) -> Any:
        column = self._column(rule.fields[0] if rule.fields else "updated_at")
        old = sa.cast(column, sa.DateTime(timezone=True)) < sa.func.now() - _span(rule)
        return sa.case((old, _text(column)))

    def _expression(self, rule: Rule) -> Any:
        holds = filters.compile_filter(rule.expr or "true", self.t, self.kind)
        named = sorted(filters.names_in(rule.expr or "true") & set(self.kind.fields))
        shown = [sa.literal(f"{n}=") + sa.func.coalesce(_text(self.t.c[n]), "∅") for n in named]
        said = sa.func.left(sa.func.concat_ws(", ", *shown), SHOWN) if shown else sa.literal("")
        return sa.case((sa.not_(holds), said))


class _Geography(sa.types.UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "geography"


def _span(rule: Rule) -> Any:
    return sa.func.make_interval(0, 0, 0, 0, 0, 0, sa.literal(float(rule.within_s or 0), sa.Double))


def _text(column: Any) -> Any:
    if isinstance(column.type, sa.ARRAY):
        return sa.func.array_to_string(column, "、")
    return sa.cast(column, sa.Text)


def _empty(column: Any) -> Any:
    if isinstance(column.type, sa.Text):
        return sa.func.coalesce(sa.func.btrim(column), "") == ""
    if isinstance(column.type, sa.ARRAY):
        return sa.func.coalesce(sa.func.cardinality(column), 0) == 0
    return column.is_(None)


def whole(rule: Rule, kind: Kind) -> Any:
    """Return the statement of a rule about a kind as a whole: no row, or one with the reason."""
    t = table(kind)
    if rule.check == "fresh":
        newest = sa.func.max(sa.cast(t.c[rule.fields[0]], sa.DateTime(timezone=True)))
        return sa.select(sa.cast(newest, sa.Text)).having(newest < sa.func.now() - _span(rule))
    n = sa.func.count()
    beyond = []
    if rule.min is not None:
        beyond.append(n < int(rule.min))
    if rule.max is not None:
        beyond.append(n > int(rule.max))
    return sa.select(sa.cast(n, sa.Text)).select_from(t).having(sa.or_(*beyond))
