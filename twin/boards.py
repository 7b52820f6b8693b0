"""Boards of topics: which cards of indicators stand where, declared and edited as policies are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from twin import declarations, policies
from twin.indicators.published import running
from twin.policies import Doc, Fault

KIND_OF = "board"


def faults(doc: Doc) -> list[Fault]:
    """Return what is wrong with a board by itself."""
    names = [card["indicator"] for card in doc["cards"]]
    twice: list[Fault] = [(("cards", i), f"{one} has a card already") for i, one in enumerate(names)
             if one in names[:i]]  # fmt: skip
    if names and "cards" not in doc["parts"]:
        twice.append((("parts",), "cards are declared and the board does not show them"))
    return twice


def known(conn: Connection, doc: Doc) -> list[Fault]:
    """Return the cards of indicators that the installation does not have."""
    have = running(conn).indicators
    return [
        (("cards", i, "indicator"), f"no indicator is called {card['indicator']}")
        for i, card in enumerate(doc["cards"])
        if card["indicator"] not in have
    ]


def warnings(conn: Connection, doc: Doc) -> list[Fault]:
    """Return the cards that show thresholds and have none."""
    have = running(conn).indicators
    return [
        (("cards", i, "thresholds"), "this indicator has no target, so no threshold is shown")
        for i, card in enumerate(doc["cards"])
        if card.get("thresholds") and have[card["indicator"]].target is None
    ]


KIND = policies.register(
    policies.Kind(
        kind=KIND_OF,
        folder="boards",
        title={"zh": "看板", "en": "Boards"},
        faults=faults,
        known=known,
        warnings=warnings,
    )
)


def boards(conn: Connection) -> list[dict[str, Any]]:
    """Return the boards that run: those of topics first, in their order, then own ones."""
    order = declarations.schema(KIND_OF).schema["properties"]["topic"]["enum"]
    found = [policies.clean(doc) for doc in declarations.current(conn, KIND_OF).values()]

    def place(doc: dict[str, Any]) -> tuple[int, str]:
        return (order.index(doc["key"]) if doc["key"] in order else len(order), doc["key"])

    return sorted(found, key=place)
