"""The one statement of an indicator: its rows in scope and window, measured by place or listed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from twin import calendar, catalogue, filters, products
from twin.errors import DeclarationError
from twin.indicators import sources
from twin.indicators.model import Indicator
from twin.indicators.sources import Source
from twin.predicates import Property
from twin.scope import Actor, readable

_ZONE = str(calendar.ZONE)


def source(conn: Connection, said: Mapping[str, str], moment: datetime | None = None) -> Source:
    """Return what an indicator counts; DeclarationError when there is no such kind or product."""
    ((form, name),) = said.items()
    if form == "kind":
        kind = catalogue.all_kinds(conn).get(name)
        if kind is not None:
            return sources.of_kind(kind)
    elif form == "product":
        product = products.running(conn).get(name)
        if product is not None:
            return sources.of_product(product)
    elif form == "records" and name in sources.OWN:
        return sources.own(name, moment)
    raise DeclarationError("indicators", None, f"of.{form}", f"nothing is called {name}")


def may_see(conn: Connection, indicator: Indicator, actor: Actor) -> bool:
    """Tell whether the actor may see any of what an indicator counts, its filters' fields included."""
    found = source(conn, indicator.of)
    if found.kind is None:
        return found.level <= actor.clearance and actor.kinds is None
    if not readable(actor, found.kind):
        return False
    allowed = {*catalogue.fields(found.kind, actor)}
    named = {n for n in (indicator.field, indicator.over) if n}
    for said in (indicator.where, indicator.share):
        named |= filters.names_in(said) if said else set()
    return all(n in allowed for n in named & set(found.kind.fields))


class Statement:
    """The rows of an indicator for an actor on a day, ready to be grouped or listed."""

    def __init__(
        self, conn: Connection, indicator: Indicator, actor: Actor, moment: datetime | None = None
    ) -> None:
        """Compile filters and scope, over what is or over what was at a moment."""
        self.indicator = indicator
        self.source = source(conn, indicator.of, moment)
        self.where = [self.source.scope(actor)]
        if indicator.where:
            self.where.append(self._filter(indicator.where))

    def _filter(self, said: str) -> ColumnElement[bool]:
        now = sa.cast(sa.func.timezone(_ZONE, sa.func.now()), sa.Date)
        known = {**self.source.properties, "today": Property(now, "date")}
        return filters.compile_over(said, known, of=self.source.name)

    def day(self) -> Any:
        """Return the local day of a row's event; None for what just is."""
        window = self.indicator.window
        if window is None:
            return None
        known = self.source.properties[window.field]
        if known.type == "date":
            return known.column
        return sa.cast(sa.func.timezone(_ZONE, known.column), sa.Date)

    def within(self, first: date, last: date) -> list[ColumnElement[bool]]:
        """Return the predicates of a span of days; bounds on the column itself, so an index serves."""
        window = self.indicator.window
        if window is None:
            return []
        known = self.source.properties[window.field]
        if known.type == "date":
            return [known.column >= first, known.column <= last]
        start, end = calendar.midnight(first), calendar.midnight(last + timedelta(days=1))
        return [known.column >= start, known.column < end]

    def parts(self) -> tuple[Any, Any]:
        """Return numerator and denominator as aggregates."""
        one, f = self.indicator, sa.func
        rows: Any = f.count().cast(sa.Double)
        zero: Any = sa.literal_column("0::float8")
        if one.measure == "count":
            return rows, zero
        if one.measure == "share":
            return f.count().filter(self._filter(one.share or "")).cast(sa.Double), rows
        column = sa.cast(self.source.properties[one.field or ""].column, sa.Double)
        total = f.coalesce(f.sum(column), zero)
        if one.measure == "sum":
            return total, zero
        if one.measure == "mean":
            return total, f.count(column).cast(sa.Double)
        other = sa.cast(self.source.properties[one.over or ""].column, sa.Double)
        return total, f.coalesce(f.sum(other), zero)

    def grouped(self, by: tuple[str, ...], first: date, last: date) -> sa.Select[Any]:
        """Return the statement: the group's columns (`day` among them where asked), then the parts."""
        named = {"day": self.day(), "district": self._place("district"),
                 "street": self._place("street")}  # fmt: skip
        groups = [named[b].label(b) for b in by if named[b] is not None]
        numerator, denominator = self.parts()
        query = sa.select(*groups, numerator.label("num"), denominator.label("den"))
        query = query.where(*self.where, *self.within(first, last))
        return query.group_by(*(sa.literal_column(str(i + 1)) for i in range(len(groups))))

    def _place(self, name: str) -> Any:
        return sa.func.coalesce(self.source.column(name), "")

    def listed(self, first: date, last: date, *, counted: bool = True) -> sa.Select[Any]:
        """Return the things behind the number: those in the numerator, or those that fell short."""
        rows, extra = self.source.rows.c, []
        if self.indicator.measure == "share":
            held = self._filter(self.indicator.share or "")
            # What is unknown has not been met.
            extra = [held if counted else sa.not_(sa.func.coalesce(held, sa.false()))]
        if self.indicator.measure in ("mean", "sum"):
            extra = [self.source.properties[self.indicator.field or ""].column.is_not(None)]
        columns = [rows[n] for n in sources.SHOWN if n != "geom" and n in rows]
        place: Any = sa.null()
        if "geom" in rows:
            place = sa.func.public.ST_PointOnSurface(rows.geom)
        columns += [
            sa.func.public.ST_X(place).label("lon"),
            sa.func.public.ST_Y(place).label("lat"),
        ]
        if self.indicator.field:
            columns.append(self.source.properties[self.indicator.field].column.label("value"))
        return sa.select(*columns).where(*self.where, *self.within(first, last), *extra)


def today() -> date:
    """Return the local day."""
    return datetime.now(calendar.ZONE).date()


def span(indicator: Indicator, last: date) -> tuple[date, date]:
    """Return the first and last day that a value on a day is made of."""
    window = indicator.window
    if window is None:
        return last, last
    if window.days is None:
        return last.replace(month=1, day=1), last
    return last - timedelta(days=window.days - 1), last
