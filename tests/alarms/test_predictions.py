"""Predictions against seeded truth: silences (G7) and degradations (G8)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from twin.predictions import cadence, trend

DAY = 86400.0
SWEEP_S = 10.0


def reports(
    gen: Any, period: float, jitter: float, days: float, gaps: list[tuple[float, float]]
) -> Any:
    """Return moments of reports around a schedule, with silences in which nothing was sent."""
    n = int(days * DAY / period)
    at = np.sort(np.arange(n) * period + gen.normal(0, jitter, n))
    for start, end in gaps:
        at = at[(at < start) | (at >= end)]
    return at


@pytest.mark.parametrize(
    ("period", "share"), [(60.0, 0.05), (300.0, 0.1), (900.0, 0.02), (3600.0, 0.15)]
)
def test_silences_are_known_in_time_and_false_alarms_are_rare(period: float, share: float) -> None:
    gen = np.random.default_rng(int(period))
    months = found = seeded = false = 0.0
    for _ in range(12):
        days = 30.0
        # One silence in each of three parts: two that overlap would be one.
        starts = 15 * DAY + (np.arange(3) + gen.uniform(0, 0.8, 3)) * 5 * DAY
        gaps = [(s, s + gen.uniform(6, 10) * period + 600) for s in starts]
        at = reports(gen, period, share * period, days, gaps)
        learned = cadence.learn(at[at < 14 * DAY])
        assert learned is not None
        limit = cadence.late_after(learned[0], learned[1])
        assert learned[0] == pytest.approx(period, rel=0.05)
        late = at[1:] - at[:-1] > limit
        # Somebody looks every ten seconds: what ended before the next look was never seen.
        looks = np.ceil((at[:-1] + limit) / SWEEP_S) * SWEEP_S
        seen = late & (looks < at[1:])
        for start, end in gaps:
            before = int(np.searchsorted(at, start)) - 1
            assert at[before + 1] >= end - 1e-6 or at[before + 1] >= start
            seeded += 1
            found += bool(seen[before])
            assert looks[before] - at[before] <= learned[0] + 6 * learned[1] + 10
            seen[before] = False
        false += seen.sum()
        months += 1
    assert found == seeded
    assert false / months <= 1.0


def test_too_few_reports_tell_no_period() -> None:
    assert cadence.learn(np.arange(10.0) * 60) is None


def degrading(gen: Any, rate: float, cycle: float, noise: float, days: int = 30) -> tuple[Any, Any]:
    """Return a series that begins to drift at day 5, with a daily cycle, noise, outliers and gaps."""
    at = np.arange(0, days * DAY, 1200.0)
    v = 5 + rate * np.maximum(0, at / DAY - 5) + cycle * np.sin(2 * np.pi * at / DAY)
    v = v + gen.normal(0, noise, len(at))
    wild = gen.random(len(at)) < 0.01
    v[wild] += gen.normal(0, 20 * noise, wild.sum())
    keep = gen.random(len(at)) > 0.1
    return at[keep], v[keep]


def first_ticket(at: Any, v: Any, limit: float, end: float) -> float | None:
    """Return when the first ticket is written, looking every six hours up to `end`."""
    for now in np.arange(3 * DAY, end, 6 * 3600):
        if trend.crossing(at, v, float(now), limit, False) is not None:
            return float(now)
    return None


def crossed(at: Any, v: Any, limit: float) -> float | None:
    """Return when the value stays past the limit for three of four reports: what an alarm would say."""
    past = v > limit
    for i in range(len(past) - 4):
        if past[i : i + 4].sum() >= 3:
            return float(at[i])
    return None


def scored(seeds: int = 60) -> dict[str, float]:
    """Return recall, precision and median lead over seeded series, half of which never degrade."""
    gen = np.random.default_rng(11)
    hits = misses = false = 0
    leads: list[float] = []
    for i in range(seeds):
        drifts = i % 2 == 0
        rate = gen.uniform(0.3, 1.2) if drifts else 0.0
        at, v = degrading(gen, rate, gen.uniform(0, 0.8), gen.uniform(0.05, 0.4))
        limit = 12.0
        when = crossed(at, v, limit)
        told = first_ticket(at, v, limit, when if when is not None else 30 * DAY)
        if when is not None and told is not None:
            hits += 1
            leads.append((when - told) / 3600)
        elif when is not None:
            misses += 1
        elif told is not None:
            false += 1
    return {"recall": hits / (hits + misses), "precision": hits / max(1, hits + false),
            "lead_h": float(np.median(leads)), "n": float(hits + misses)}  # fmt: skip


def test_crossings_are_foretold() -> None:
    score = scored()
    assert score["n"] >= 20
    assert score["recall"] >= 0.9, score
    assert score["precision"] >= 0.8, score
    assert score["lead_h"] >= 24, score


def test_a_daily_cycle_alone_is_no_trend() -> None:
    gen = np.random.default_rng(5)
    at, v = degrading(gen, 0.0, 3.0, 0.2)
    assert first_ticket(at, v, 9.0, 30 * DAY) is None
