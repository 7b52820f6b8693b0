"""Where a rule stands with a thing: at rest, pending, firing, clearing; one step at a time.

The same steps run live (the engine), over the past (`replay`) and in the tests' oracle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

PENDING, FIRING, CLEARING = "pending", "firing", "clearing"
RAISE, CLEAR = "raise", "clear"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A rule that is not at rest with a thing; moments are seconds since 1970."""

    state: str
    since: float  # the condition holds since; kept while it clears
    at: float  # of the newest value looked at
    value: float | None
    peak: float | None = None
    back: float | None = None  # behind the clear limit since


class Turn(NamedTuple):
    """What a step makes of an alarm: raised or cleared, with the moment that it is true of."""

    what: str
    at: float
    standing: Standing


class Spans(NamedTuple):
    """How long a condition must hold, and how long it must be gone."""

    hold_s: float
    clear_s: float
    downward: bool = False  # the lower the worse


Stepped = tuple[Standing | None, list[Turn]]


def step(old: Standing | None, at: float, up: bool, value: float | None, spans: Spans) -> Stepped:
    """Take in one crossing; what is older than the newest known changes nothing."""
    if old is not None and at < old.at:
        return old, []
    old, turns = tick(old, at, spans)
    if up:
        made, more = _up(old, at, value, spans)
    else:
        made, more = _down(old, at, value, spans)
    return made, turns + more


def _up(old: Standing | None, at: float, value: float | None, spans: Spans) -> Stepped:
    if old is None:
        new = Standing(state=PENDING, since=at, at=at, value=value, peak=value)
        return tick(new, at, spans)
    state = FIRING if old.state == CLEARING else old.state
    new = replace(old, state=state, at=at, value=value, peak=_peak(old, value, spans), back=None)
    return new, []


def _peak(old: Standing, value: float | None, spans: Spans) -> float | None:
    if value is None or old.peak is None:
        return value if old.peak is None else old.peak
    return min(old.peak, value) if spans.downward else max(old.peak, value)


def _down(old: Standing | None, at: float, value: float | None, spans: Spans) -> Stepped:
    if old is None or old.state == PENDING:
        return None, []
    if old.state == CLEARING:
        return replace(old, at=at, value=value), []
    new = replace(old, state=CLEARING, at=at, value=value, back=at)
    return tick(new, at, spans)


def tick(old: Standing | None, now: float, spans: Spans) -> Stepped:
    """Let time pass: what held long enough is raised, what was gone long enough is cleared."""
    if old is None:
        return None, []
    if old.state == PENDING and now - old.since >= spans.hold_s:
        new = replace(old, state=FIRING)
        return new, [Turn(RAISE, old.since + spans.hold_s, new)]
    if old.state == CLEARING and old.back is not None and now - old.back >= spans.clear_s:
        return None, [Turn(CLEAR, old.back + spans.clear_s, old)]
    return old, []


def pending(old: Standing) -> Standing:
    """Return a standing that has not rung after all."""
    return replace(old, state=PENDING)


class Stretch(NamedTuple):
    """One alarm that a rule would have given, from when it rang until it was over."""

    since: float
    raised: float
    cleared: float | None
    peak: float | None


def replay(
    crossings: Iterable[tuple[float, bool, float]], spans: Spans, until: float
) -> list[Stretch]:
    """Return the alarms that crossings of one thing would have given up to a moment."""
    found: list[Stretch] = []
    open_: Turn | None = None
    old: Standing | None = None
    for at, up, value in crossings:
        old, turns = step(old, at, up, value, spans)
        open_ = _kept(found, open_, turns)
    old, turns = tick(old, until, spans)
    open_ = _kept(found, open_, turns)
    if open_ is not None:
        peak = old.peak if old is not None else open_.standing.peak
        found.append(Stretch(open_.standing.since, open_.at, None, peak))
    return found


def _kept(found: list[Stretch], open_: Turn | None, turns: list[Turn]) -> Turn | None:
    for turn in turns:
        if turn.what == RAISE:
            open_ = turn
        elif open_ is not None:
            since = open_.standing.since
            found.append(Stretch(since, open_.at, turn.at, turn.standing.peak))
            open_ = None
    return open_
