"""How likely two reports tell of one thing: place, time, words, category and the thing named, as one logistic score."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

FEATURES = (
    "bias", "distance", "hours", "age", "text", "rare", "category", "matter", "thing",
)  # fmt: skip
_M_PER_DEGREE = 111_195.0
# A pair of characters that stands in fewer reports says nothing about categories.
COMMON = 5
# As many reports are assumed that say nothing of a pair: the first days of a city know few words.
PRIOR = 500
_SIGN = re.compile(r"[\s，。、；：,.;:!?！？“”\"'（）()\[\]【】\-—_/]+")


class Report(NamedTuple):
    """What is compared of a report; sigma is how far its place may be wrong, in metres."""

    code: str
    lon: float
    lat: float
    sigma: float
    at: float
    words: str
    category: str
    thing: str | None = None
    matter: Mapping[str, float] = {}


def bigrams(words: str) -> frozenset[str]:
    """Return the pairs of neighbouring characters: they need no dictionary of Chinese."""
    said = _SIGN.sub("", words.lower())
    return frozenset(said[i : i + 2] for i in range(len(said) - 1))


class Vocabulary:
    """What reports say: how rare each pair of characters is, and in which categories it stands."""

    def __init__(self, said: Iterable[tuple[str, str]] = ()) -> None:
        self.documents = 0
        self.seen: dict[str, int] = {}
        self.categories: dict[str, int] = {}
        self.within: dict[tuple[str, str], int] = {}
        for words, category in said:
            self.add(words, category)

    def add(self, words: str, category: str) -> None:
        """Count the pairs of one report."""
        self.documents += 1
        self.categories[category] = self.categories.get(category, 0) + 1
        for pair in bigrams(words):
            self.seen[pair] = self.seen.get(pair, 0) + 1
            self.within[category, pair] = self.within.get((category, pair), 0) + 1

    def matter(self, words: str, category: str) -> dict[str, float]:
        """Return what a report is about: its words may know better than the category chosen for it."""
        said = bigrams(words)
        logs: dict[str, float] = {}
        for name, n in {category: 0, **self.categories}.items():
            total = math.log(0.9 if name == category else 0.1 / max(1, len(self.categories) - 1))
            for pair in said:
                if self.seen.get(pair, 0) >= COMMON:
                    total += math.log((self.within.get((name, pair), 0) + 0.5) / (n + 1.0))
            logs[name] = total
        top = max(logs.values())
        odds = {name: math.exp(v - top) for name, v in logs.items()}
        whole = sum(odds.values())
        return {name: v / whole for name, v in odds.items()}

    def weight(self, pair: str) -> float:
        """Return how much a pair tells: the logarithm of how rare it is."""
        return math.log((self.documents + PRIOR) / (self.seen.get(pair, 0) + 1)) + 0.1

    def alike(self, one: frozenset[str], other: frozenset[str]) -> tuple[float, float]:
        """Return how much two texts share (cosine), and the weight of the rarest pair they share."""
        shared = one & other
        if not shared:
            return 0.0, 0.0
        square = [sum(self.weight(p) ** 2 for p in said) for said in (one, other)]
        weights = [self.weight(p) for p in shared]
        top = sorted(weights, reverse=True)[:3]
        return sum(w * w for w in weights) / math.sqrt(square[0] * square[1]), sum(top) / 3


def distance_m(a: Report, b: Report) -> float:
    """Return the distance of two reports in metres, flat: they lie near each other."""
    east = (a.lon - b.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.hypot(east, a.lat - b.lat) * _M_PER_DEGREE


def features(a: Report, b: Report, known: Vocabulary) -> tuple[float, ...]:
    """Return what the score is made of, in the order of FEATURES."""
    away = min(distance_m(a, b) / math.hypot(a.sigma, b.sigma), 6.0)
    hours = abs(a.at - b.at) / 3600
    text, rare = known.alike(bigrams(a.words), bigrams(b.words))
    one, other = a.matter or {a.category: 1.0}, b.matter or {b.category: 1.0}
    matter = sum(v * other.get(name, 0.0) for name, v in one.items())
    thing = 0.0
    if a.thing and b.thing:
        thing = 1.0 if a.thing == b.thing else -1.0
    return (
        1.0, away * away, math.log1p(hours), min(hours, 48.0) / 48, text * text, rare / 8,
        1.0 if a.category == b.category else 0.0, matter, thing,
    )  # fmt: skip


def score(said: tuple[float, ...], weights: Mapping[str, Any]) -> float:
    """Return the probability that a logistic model gives to features."""
    total = sum(float(weights.get(name, 0.0)) * v for name, v in zip(FEATURES, said, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, total))))


def compete(scores: list[float]) -> list[float]:
    """Return scores that share one report: it can be a second report of one of them at the most."""
    odds = [s / max(1e-9, 1.0 - s) for s in scores]
    total = 1.0 + sum(odds)
    return [o / total for o in odds]
