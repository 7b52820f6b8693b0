"""Return visits: what citizens say of the result, by their link or by the hotline, each kept once on the case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import cases
from twin.errors import BadRequest, NotFound
from twin.intake import Taken
from twin.policies import Doc
from twin.process import rows
from twin.process.rows import Case
from twin.scope import SYSTEM, Actor

# What an action may be given of a visit.
_GIVEN = ("verdict", "note", "reason", "visit", "way")


def take(conn: Connection, doc: Doc, said: Mapping[str, Any], *, actor: Actor) -> Taken:
    """Take a visit out of a mapped record; it names the event by our code or by its own number."""
    key = str(said.get("about") or "")
    case = cases.by_source(conn, doc.get("about", doc["source"]), key)
    if case is None and (found := rows.ids_of(conn, [key])):
        case = rows.locked(conn, next(iter(found.values())), SYSTEM)
    if case is None or not (actor is SYSTEM or cases.find(conn, actor, case["code"])):
        raise NotFound(f"The visit is about {key[:48]!r}, which is no event here.")
    given = {"verdict": said.get("verdict"), "words": said.get("note") or "", "way": doc["key"]}
    return keep(conn, doc, case, f"{doc['key']}:{said['id']}", given, actor=SYSTEM)


def keep(
    conn: Connection, doc: Doc, case: Case, visit: str, said: Mapping[str, Any], *, actor: Actor
) -> Taken:
    """Put a verdict on its case by the declared action; the same visit again changes nothing."""
    case = rows.locked(conn, case["id"], actor)
    if any(one.get("id") == visit for one in case["data"].get("visits", ())):
        return Taken(case, known=True)
    verdict = str(said.get("verdict") or "")
    one = doc["verdicts"].get(verdict)
    if one is None:
        raise BadRequest(
            f"No verdict is called {verdict[:32]!r}; take {', '.join(doc['verdicts'])}."
        )
    words = str(said.get("words") or "").strip()
    if one.get("words") and not words:
        raise BadRequest("Say in a few words what is wrong.", key="words")
    known = cases.definition(conn, case)["actions"][one["action"]].get("need", {})
    told = {"verdict": verdict, "note": words, "reason": words or one["title"]["zh"], "visit": visit,
            "way": said.get("way", "page")}  # fmt: skip
    params = {name: told[name] for name in _GIVEN if name in known and told[name]}
    return Taken(cases.perform(conn, case["id"], one["action"], actor=actor, params=params))
