"""What indicators are worth: added up from the kept days in the caller's scope, with target and trend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import calendar
from twin.indicators import measuring, sources
from twin.indicators.model import Indicator, evaluate
from twin.indicators.published import Running
from twin.scope import Actor

TREND_DAYS = 14
Parts = tuple[float, float]
_SUMS = text(
    "select w.indicator, w.part, sum(c.num) as num, sum(c.den) as den, min(c.computed_at) as at "
    "from unnest(cast(:keys as text[]), cast(:parts as text[]), cast(:firsts as date[]), "
    "cast(:lasts as date[])) as w (indicator, part, first, last) "
    "join twin.indicator_cell c on c.indicator = w.indicator and c.day between w.first and w.last "
    "where (cast(:districts as text[]) is null or c.district = any(:districts)) "
    "and (cast(:streets as text[]) is null or c.street = any(:streets)) group by 1, 2"
)
_PLACES = (
    "select c.{by} as place, sum(c.num) as num, sum(c.den) as den from twin.indicator_cell c "
    "where c.indicator = :key and c.day between :first and :last "
    "and (cast(:districts as text[]) is null or c.district = any(:districts)) "
    "and (cast(:streets as text[]) is null or c.street = any(:streets)) group by 1"
)


@dataclass
class Figure:
    """A value with what stood before it: `was` a day or a window ago, `trend` day by day."""

    value: float | None = None
    was: float | None = None
    trend: list[tuple[date, float | None]] = field(default_factory=list)
    at: datetime | None = None


class Reader:
    """Reads indicators for an actor on a day, a district or all of the actor's place."""

    def __init__(
        self, conn: Connection, known: Running, actor: Actor, day: date, district: str | None = None
    ) -> None:
        """Nothing is read yet."""
        self.conn, self.known, self.actor, self.day = conn, known, actor, day
        self.district = district
        self._visible: dict[str, bool] = {}

    def sees(self, key: str) -> bool:
        """Tell whether the actor may see all that an indicator is made of."""
        if key not in self._visible:
            parts = self.known.parts(key).values()
            self._visible[key] = all(measuring.may_see(self.conn, one, self.actor) for one in parts)
        return self._visible[key]

    def figures(self, keys: Sequence[str]) -> dict[str, Figure]:
        """Return the figures of indicators that the actor may see."""
        wanted = [key for key in keys if self.sees(key)]
        parts: dict[str, Indicator] = {}
        for key in wanted:
            parts |= self.known.parts(key)
        sums, at = self._sums(parts.values())
        return {key: self._figure(key, sums, at) for key in wanted}

    def _moments(self, one: Indicator) -> dict[str, tuple[date, date]]:
        """Return the spans that a figure needs: now, before, and each day of the trend."""
        first, last = measuring.span(one, self.day)
        length = last - first + timedelta(days=1)
        found = {"now": (first, last), "was": (first - length, first - timedelta(days=1))}
        for back in range(TREND_DAYS):
            day = self.day - timedelta(days=back)
            found[day.isoformat()] = (day, day)
        return found

    def _sums(
        self, parts: Iterable[Indicator]
    ) -> tuple[dict[tuple[str, str], Parts], dict[str, datetime]]:
        asked = [(one, name, span) for one in parts for name, span in self._moments(one).items()]
        if self.actor.area is not None:
            # A part of a street is in no cell: what is now is counted, the past is not known so finely.
            now = [(one, span) for one, name, span in asked if name == "now"]
            return {(one.key, "now"): self._live(one, *span) for one, span in now}, {}
        sums: dict[tuple[str, str], Parts] = {}
        at: dict[str, datetime] = {}
        for reach, some in self._by_reach(asked).items():
            rows = self.conn.execute(_SUMS, {
                "keys": [one.key for one, _, _ in some], "parts": [name for _, name, _ in some],
                "firsts": [span[0] for _, _, span in some], "lasts": [span[1] for _, _, span in some],
                **self._place(open_to_all=reach),
            })  # fmt: skip
            for row in rows:
                sums[row.indicator, row.part] = (row.num, row.den)
                if row.part == "now":
                    at[row.indicator] = row.at
        return sums, at

    def _by_reach(self, asked: list[Any]) -> dict[bool, list[Any]]:
        found: dict[bool, list[Any]] = {}
        for one in asked:
            found.setdefault(self._open(one[0]), []).append(one)
        return found

    def _open(self, one: Indicator) -> bool:
        source = measuring.source(self.conn, one.of)
        return not source.placed or (source.kind is not None and source.kind.open)

    def _place(self, *, open_to_all: bool) -> dict[str, Any]:
        """Return the limits of the actor and of the question; an open kind knows no limits."""
        asked = (self.district,) if self.district else None
        if open_to_all:
            return {"districts": list(asked) if asked else None, "streets": None}
        mine = self.actor.districts
        both = mine if asked is None else asked if mine is None else tuple(set(mine) & set(asked))
        streets = self.actor.streets
        return {"districts": None if both is None else list(both),
                "streets": None if streets is None else list(streets)}  # fmt: skip

    def _live(self, one: Indicator, first: date, last: date) -> Parts:
        statement = measuring.Statement(self.conn, one, self.actor).grouped(
            ("district",), first, last
        )
        rows = [r for r in self.conn.execute(statement) if self.district in (None, r.district)]
        return sum(r.num for r in rows), sum(r.den for r in rows)

    def _figure(
        self, key: str, sums: Mapping[tuple[str, str], Parts], at: Mapping[str, datetime]
    ) -> Figure:
        one, parts = self.known.one(key), self.known.parts(key)
        days = [self.day - timedelta(days=back) for back in reversed(range(TREND_DAYS))]
        return Figure(
            value=self._value(one, parts, sums, "now"),
            was=self._value(one, parts, sums, "was"),
            trend=[(day, self._value(one, parts, sums, day.isoformat())) for day in days],
            at=min((at[p] for p in parts if p in at), default=None),
        )

    def _value(
        self, one: Indicator, parts: Mapping[str, Indicator],
        sums: Mapping[tuple[str, str], Parts], part: str,
    ) -> float | None:  # fmt: skip
        if one.formula is None:
            return one.value(*self._part(one, sums, part))
        return evaluate(
            one.formula, {n: self._value(self.known.one(n), parts, sums, part) for n in one.needs()}
        )

    def _part(
        self, one: Indicator, sums: Mapping[tuple[str, str], Parts], part: str
    ) -> tuple[float | None, float | None]:
        found = sums.get((one.key, part))
        if found is not None:
            return found
        # No event is none; but a stock that nobody counted on that day is not known.
        known = one.window is not None or part == "now"
        return (0.0, 0.0) if known else (None, None)

    def at(self, keys: Sequence[str], moment: datetime | None) -> dict[str, Figure]:
        """Return figures to the second: counted on the spot where the past is kept, of the day elsewhere.

        `was` of what is counted since midnight is the same time yesterday; of all else as in `figures`.
        """
        found = self.figures(keys)
        parts: dict[str, Indicator] = {}
        for key in found:
            parts |= self.known.parts(key)
        counted = {k: one for k, one in parts.items() if one.formula is None}
        exact = {k for k, one in counted.items() if sources.keeps_past(one.of)}
        before = (moment or datetime.now(UTC)) - timedelta(days=1)
        sums = {(k, "now"): self._then(counted[k], moment) for k in exact}
        daily = {k for k in exact if (w := counted[k].window) is not None and w.days == 1}
        sums |= {(k, "was"): self._then(counted[k], before) for k in daily}
        for key, figure in found.items():
            one, mine = self.known.one(key), self.known.parts(key)
            base = {k for k in mine if mine[k].formula is None}
            if base <= exact:
                figure.value = self._value(one, mine, sums, "now")
            if base <= daily:
                figure.was = self._value(one, mine, sums, "was")
        return found

    def _then(self, one: Indicator, moment: datetime | None) -> Parts:
        day = measuring.today() if moment is None else moment.astimezone(calendar.ZONE).date()
        statement = measuring.Statement(self.conn, one, self.actor, moment)
        row = self.conn.execute(statement.grouped((), *measuring.span(one, day))).one_or_none()
        return (row.num, row.den) if row else (0.0, 0.0)

    def by_place(self, key: str, by: str) -> dict[str, float | None]:
        """Return the value in each district or street of the actor's scope."""
        parts = self.known.parts(key)
        found: dict[str, dict[tuple[str, str], Parts]] = {}
        for one in parts.values():
            first, last = measuring.span(one, self.day)
            said = {"key": one.key, "first": first, "last": last,
                    **self._place(open_to_all=self._open(one))}  # fmt: skip
            for row in self.conn.execute(text(_PLACES.format(by=by)), said):
                found.setdefault(row.place, {})[one.key, "now"] = (row.num, row.den)
        one = self.known.one(key)
        return {
            place: self._value(one, parts, sums, "now") for place, sums in found.items() if place
        }
