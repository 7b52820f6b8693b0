"""Collections under /ogc that are no kinds: domains add theirs, the list of collections shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

extra: list[Callable[[], dict[str, Any]]] = []
conforms: list[str] = []
# Names of collections that are no kinds: their doors are their domain's.
names: set[str] = set()
# What the landing page leads to beside features: link objects, made when asked for.
landing: list[Callable[[], list[dict[str, Any]]]] = []
