"""The writer's range tests: crossings are found as a loop over single values would find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.alarms import candidates
from twin.alarms.candidates import DOWN, UNKNOWN, UP, Screen
from twin.products import Product, Property

TITLE = {"zh": "值", "en": "Value"}
BIN = Product(
    key="bin_level", title=TITLE, kind="sensor",
    properties=(Property(name="level_pct", title=TITLE, type="number", low=0, high=100),
                Property(name="tilted", title=TITLE, type="boolean")),
)  # fmt: skip


@dataclass
class Columns:
    product: Product
    num: Any
    at: Any
    values: dict[str, Any]


def rule(key: str, **words: Any) -> dict[str, Any]:
    return {
        "key": key,
        "title": TITLE,
        "product": "bin_level",
        "level": 3,
        "when": {"range": words},
    }


def screen(*docs: dict[str, Any]) -> Screen:
    made = Screen()
    made.tests = candidates.tests({d["key"]: d for d in docs}, {"bin_level": BIN})
    return made


def one(num: int, at: float, v: float) -> Columns:
    return Columns(BIN, np.array([num], np.int32), np.array([at]), {"level_pct": np.array([v])})


def ways(made: Screen, *batches: Columns) -> list[tuple[int, bool, float]]:
    return [(r[1], r[3], r[4]) for b in batches for r in made.crossed(b)]


def test_a_value_past_the_limit_is_told_once_and_again_only_when_it_came_back() -> None:
    made = screen(rule("full", property="level_pct", above=85, clear=60))
    told = ways(
        made, *(one(7, i, v) for i, v in enumerate((50, 86, 90, 80, 70, 86, 60, 59, 85, 86)))
    )
    assert told == [(7, True, 86), (7, False, 60), (7, True, 86)]


def test_what_was_rolled_back_is_told_again_after_forgetting() -> None:
    made = screen(rule("full", property="level_pct", above=85))
    assert ways(made, one(7, 0, 90))
    assert not ways(made, one(7, 1, 90))
    for test in made.tests["bin_level"]:
        test.told[:] = UNKNOWN
    assert ways(made, one(7, 1, 90))


def test_booleans_compare_by_what_they_mean_and_nothing_is_nothing() -> None:
    made = screen(rule("tipped", property="tilted", **{"is": True}))
    v = np.array([np.nan, 0.0, 1.0, np.nan, 0.0])
    said = Columns(BIN, np.full(5, 3, np.int32), np.arange(5.0), {"tilted": v})
    # It was not past the limit before: told for certainty, and nobody waits for it.
    assert ways(made, said) == [(3, False, 0.0), (3, True, 1.0), (3, False, 0.0)]


def _slowly(
    rows: list[tuple[int, float]], limit: float, clear: float
) -> list[tuple[int, int, float]]:
    stands: dict[int, int] = {}
    told: list[tuple[int, int, float]] = []
    for num, v in rows:
        way = UP if v > limit else DOWN if v <= clear else UNKNOWN
        if way == DOWN and num not in stands:
            continue  # never seen past the limit: nobody waits for it to come back
        if way != UNKNOWN and stands.get(num) != way:
            stands[num] = way
            told.append((num, way, v))
    return told


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 5), st.sampled_from([10.0, 55.0, 60.0, 70.0, 85.0, 86.0]))
        ),
        max_size=6,
    )
)
def test_batches_tell_what_single_values_would(batches: list[list[tuple[int, float]]]) -> None:
    made = screen(rule("full", property="level_pct", above=85, clear=60))
    told: dict[int, list[tuple[int, float]]] = {}
    at = 0
    for batch in batches:
        num = np.array([n for n, _ in batch], np.int32)
        when = np.arange(at, at + len(batch), dtype=float)
        at += len(batch)
        said = Columns(BIN, num, when, {"level_pct": np.array([v for _, v in batch], float)})
        for row in made.crossed(said):
            told.setdefault(row[1], []).append((UP if row[3] else DOWN, row[4]))
    expected: dict[int, list[tuple[int, float]]] = {}
    for n, way, v in _slowly([row for batch in batches for row in batch], 85, 60):
        expected.setdefault(n, []).append((way, v))
    # A value that came back before any went past, in one batch with it, may be told too: harmless.
    trimmed = {n: w[1:] if w[0][0] == DOWN else w for n, w in told.items()}
    assert {n: w for n, w in trimmed.items() if w} == expected
