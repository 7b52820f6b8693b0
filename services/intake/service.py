"""What machines and partner systems push: through the mapping of their source, an answer for each record."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from twin import mapped
from twin.errors import BadRequest, NotFound
from twin.scope import SYSTEM, Actor

MAX_ITEMS = 500
SIGNED, BY_KEY = "signed", "key"


def take(conn: Connection, source: str, body: Any, person: Actor | None) -> dict[str, Any]:
    """Take the records of a body; `person` is who calls with a key, None a signed push."""
    made = mapped.source(conn, source)
    if made.doc.get("door") != (BY_KEY if person else SIGNED):
        raise NotFound(f"The source {source} is not taken at this door.")
    records = made.items(body)
    if len(records) > MAX_ITEMS:
        raise BadRequest(f"At most {MAX_ITEMS} records at once; send the rest after them.")
    if person is not None:
        # Two partners may both have a number 1.
        made = replace(made, owner=person.user)
    results = mapped.answers(conn, made, records, actor=person or SYSTEM)
    said = Counter(one["result"] for one in results)
    counts = {name: said.get(name, 0) for name in ("accepted", "known", "refused")}
    return {"read": len(records), **counts, "results": results}
