"""Who may see what: the one predicate builder through which every read goes.

An actor sees a row when its kind is open to all (base map), or when the row lies in one of the
actor's districts and the level of its kind is within the actor's clearance (L1 open … L4).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, false, true

from twin.errors import Forbidden
from twin.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who asks; `districts` None means the whole city."""

    user: str
    roles: frozenset[str] = frozenset()
    acts: frozenset[str] = frozenset()
    districts: tuple[str, ...] | None = None
    clearance: int = 1
    crew: str | None = None

    @property
    def anonymous(self) -> bool:
        """True for a caller without credentials."""
        return self.user == "anonymous"

    def key(self) -> str:
        """Return a short digest of all that decides what this actor sees: part of cache keys."""
        said = f"{self.districts}|{self.clearance}"
        return hashlib.blake2s(said.encode(), digest_size=8).hexdigest()

    def may(self, act: str) -> bool:
        """Tell whether a role of the actor includes the act."""
        return act in self.acts

    def need(self, act: str) -> None:
        """Raise Forbidden unless the actor may perform the act."""
        if not self.may(act):
            raise Forbidden(
                f"Your roles do not include the act {act}; ask the security administrator.", act=act
            )


ANONYMOUS = Actor(user="anonymous", acts=frozenset({"event.report"}))
SYSTEM = Actor(user="system", clearance=4, roles=frozenset({"system"}))


def visible(actor: Actor, columns: Any, kind: Kind) -> ColumnElement[bool]:
    """Return the predicate for rows of a kind; `columns` is a table, alias or subquery `.c`."""
    if kind.level > actor.clearance:
        return false()
    if kind.open or actor.districts is None:
        return true()
    inside: ColumnElement[bool] = _c(columns).district.in_(actor.districts)
    return inside


def visible_district(actor: Actor, district: str | None, level: int = 1) -> bool:
    """Tell in memory what `scope_sql` tells in SQL: for live messages and frames."""
    if level > actor.clearance:
        return False
    return actor.districts is None or district in actor.districts


def scope_sql(actor: Actor, alias: str, level: int = 1) -> tuple[str, dict[str, Any]]:
    """Return the predicate for rows with a district of their own, as SQL text with a parameter."""
    if level > actor.clearance:
        return "false", {}
    if actor.districts is None:
        return "true", {}
    return f"{alias}.district = any(:scope_districts)", {"scope_districts": list(actor.districts)}


def _c(columns: Any) -> Any:
    return getattr(columns, "c", columns)
