"""Benchmarks, one file each: `run(size) -> list[Figure]`, size 0 meaning the benchmark's own."""

from __future__ import annotations

from typing import TypedDict

# Modules here that are no benchmarks of their own.
TOOLS = frozenset(
    {"cost", "driver", "fleet", "listeners", "reports", "scratch", "serving", "shiftday"}
)


class Figure(TypedDict):
    """One measured figure beside the limit that this machine showed in the same run."""

    name: str
    figure: float
    unit: str
    limit: float | None
    ratio: float | None


def figure(name: str, value: float, unit: str, limit: float | None = None) -> Figure:
    """Return a figure, rounded to what a measurement can carry."""
    ratio = round(value / limit, 4) if limit else None
    return {
        "name": name,
        "figure": round(value, 3),
        "unit": unit,
        "limit": round(limit, 3) if limit is not None else None,
        "ratio": ratio,
    }
