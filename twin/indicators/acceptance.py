"""The numbers that the city's documents ask for, each with what shows it or why nothing does yet."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from twin import declarations


@lru_cache(maxsize=1)
def items() -> tuple[dict[str, Any], ...]:
    """Return the declared items of data/acceptance.yaml."""
    doc, _ = declarations.read("acceptance", declarations.DATA / "acceptance.yaml")
    return tuple({"key": key, **said} for key, said in doc["items"].items())
