"""One step of a case in memory: is it allowed, what does it change, what may follow by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import processes, rules
from twin.beside import Beside
from twin.errors import BadRequest, Forbidden, NotAllowedNow, NotFound, TwinError
from twin.process import clocks, needs, rows
from twin.process.rows import CHANGED, Case, Named, Step, written
from twin.scope import SYSTEM, Actor

# An automatic step may lead to the next; a definition that goes round in circles stops here.
MAX_AUTO = 6
_CHILDREN = re.compile(r"\bchildren\.")
_DUTY = re.compile(r"\bduty\.")
Names = dict[str, Mapping[str, Any]]
# What a definition may ask for by name: set at import by who knows it, so that the engine needs not.
providers: dict[str, Callable[[Connection, Mapping[str, Any], Case], dict[str, Any]]] = {}


@dataclass
class Course:
    """Steps of one case, done in memory and written together."""

    conn: Connection
    said: dict[str, Any]
    case: Case
    steps: list[Step] = field(default_factory=list)
    # The moment of the steps when they are told afterwards (an import); now otherwise.
    at: datetime | None = None
    # One moment for many cases at once: their deadlines are reckoned once.
    now: datetime | None = None

    def take(self, name: str, actor: Actor, p: Mapping[str, Any]) -> None:
        """Do one action, or raise what keeps it from being done."""
        refuse_unless(self.conn, self.said, self.case, name, actor, p)
        action = self.said["actions"][name]
        before = self._shot()
        after: Case = {
            **self.case,
            "data": dict(self.case["data"]),
            "version": self.case["version"] + 1,
        }
        now = self.at or self.now or datetime.now(UTC)
        _apply(self.conn, action, after, actor, p, now)
        if "max" in action:
            times = after["data"].get("times", {})
            after["data"]["times"] = {**times, name: times.get(name, 0) + 1}
        self._settle_gaps(action, after, p)
        if action["to"] not in (processes.SAME, self.case["state"]):
            self._move(action["to"], after, now)
        if "extend" in action:
            hours = rules.value(action["extend"], names(self.conn, action, after, actor, p))
            clocks.extend(self.conn, self.said, after, float(hours))
        note = {"from": self.case["state"], "to": after["state"]}
        if self.at is not None:
            note["at"] = self.at.isoformat()
        note |= {k: v for k, v in p.items() if v not in (None, "", [], {})}
        self.steps.append(Step(after, name, actor, before, note))
        self.case = after

    def _shot(self) -> bytes:
        last = self.steps[-1] if self.steps else None
        return last.shot if last is not None and last.after is self.case else written(self.case)

    def _settle_gaps(self, action: Mapping[str, Any], after: Case, p: Mapping[str, Any]) -> None:
        """Put a case at the place that was given, and look again at what it still lacks."""
        said = p.get(action.get("place", ""))
        if said not in (None, "", [], {}):
            after["lon"], after["lat"] = needs.point(said, "position", action["need"]["position"])
            after["district"], after["street"] = rows.place_of(
                self.conn, after["lon"], after["lat"]
            )
            rows.move_thing(self.conn, after)
        if action.get("fills"):
            if p.get("category"):
                after["data"].pop("category_unsure", None)
            after["data"].pop("missing", None)
            if left := needs.missing(after):
                after["data"]["missing"] = left

    def _move(self, to: str, after: Case, now: datetime) -> None:
        if after["due_at"] is not None and now > after["due_at"]:
            after["data"]["late_steps"] = after["data"].get("late_steps", 0) + 1
        after |= {"state": to, "entered_at": now}
        final = self.said["states"][to].get("final", False)
        after["closed_at"] = now if final else None
        after["data"].pop("on_time", None)
        if final:
            after["data"]["on_time"] = _on_time(after, now)
        clocks.enter(self.conn, self.said, after, self.case["state"], now)

    def note(self, action: str, data: Mapping[str, Any], note: Mapping[str, Any]) -> None:
        """Add to the data of the case without moving it."""
        after = {
            **self.case,
            "version": self.case["version"] + 1,
            "data": {**self.case["data"], **data},
        }
        self.steps.append(Step(after, action, SYSTEM, self._shot(), note))
        self.case = after

    def perform(self, name: str, actor: Actor, p: Mapping[str, Any]) -> None:
        """Do an action, with the one that must come first where the definition says so."""
        if name not in self.said["actions"]:
            raise NotFound(f"No action is called {name!r}.", known=sorted(self.said["actions"]))
        first = self.said["actions"][name].get("via")
        if first and self.case["state"] not in self.said["actions"][name]["from"]:
            self.take(first, actor, {})
        self.take(name, actor, p)
        self.go_on(actor)

    def go_on(self, actor: Actor) -> None:
        """Do what the definition does by itself in the state just reached."""
        for _ in range(MAX_AUTO):
            name = self._next_auto(actor)
            if name is None:
                return
            self.take(name, SYSTEM, {})

    def _next_auto(self, actor: Actor) -> str | None:
        for name, action in self.said["actions"].items():
            if "auto" not in action or self.case["state"] not in action["from"]:
                continue
            try:
                if _automatic(self.conn, action, self.case, actor):
                    return str(name)
            except TwinError as why:
                # A broken rule never hides a case: it stays with a person, and says why.
                fault = {"rule": name, "why": why.detail, "at": datetime.now(UTC).isoformat()}
                if self.case["data"].get("rule_fault", {}).get("why") != why.detail:
                    self.note("rule_fault", {"rule_fault": fault}, fault)
                return None
        return None


def _on_time(case: Case, now: datetime) -> bool:
    """Tell whether a case ended in time: by its own target where it has one, else by every step."""
    target = case["data"].get("target_at")
    if target is not None:
        return now <= datetime.fromisoformat(target)
    return not case["data"].get("late_steps")


def _automatic(conn: Connection, action: Mapping[str, Any], case: Case, actor: Actor) -> bool:
    known = names(conn, action, case, actor, {})
    return rules.holds(action["auto"], known) and (
        "guard" not in action or rules.holds(action["guard"], known)
    )


def refuse_unless(
    conn: Connection,
    said: Mapping[str, Any],
    case: Case,
    name: str,
    actor: Actor,
    p: Mapping[str, Any],
) -> None:
    """Raise what keeps the actor from performing the action now; return when nothing does."""
    action = said["actions"][name]
    if actor is not SYSTEM and not actor.may(action["act"]):
        raise Forbidden(f"Your roles do not include the act {action['act']}.", act=action["act"])
    if case["state"] not in action["from"]:
        zh = said["states"][case["state"]]["title"]["zh"]
        raise NotAllowedNow(
            f"{case['code']} is now {case['state']} ({zh}); {name} fits only {', '.join(action['from'])}.",
            state=case["state"],
        )
    done = case["data"].get("times", {}).get(name, 0)
    if "max" in action and done >= action["max"]:
        raise NotAllowedNow(
            f"{name} ({action['title']['zh']}) was already done {done} times, and {action['max']} is "
            "the most; settle it with the dispatcher.",
            action=name,
        )
    needs.check(conn, name, action, case, p)
    guard = action.get("guard")
    if guard and not rules.holds(guard, names(conn, action, case, actor, p)):
        say = action.get("say", {})
        raise NotAllowedNow(
            say.get("en") or f"The condition of {name} does not hold.", title=say, action=name
        )


def names(
    conn: Connection | None,
    action: Mapping[str, Any],
    case: Case,
    actor: Actor,
    p: Mapping[str, Any],
) -> Names:
    """Return what rules of an action may name; what costs a query is asked only where it is named."""
    who = {"user": actor.user, "crew": actor.crew or "", "roles": sorted(actor.roles),
           "organisation": actor.organisation or ""}  # fmt: skip
    made: Names = {
        "c": Named(case),
        "p": {"photos": [], **p},
        "actor": who,
        "children": {},
        "duty": {},
    }
    if conn is not None:
        children, duty = _asked.get(action, _asks)
        if children:
            made["children"] = counted(conn, case)
        if duty:
            made["duty"] = providers["duty"](conn, action, case)
    return made


_asked: Beside[Mapping[str, Any], tuple[bool, bool]] = Beside(4096)


def _asks(action: Mapping[str, Any]) -> tuple[bool, bool]:
    """Tell whether what an action says in the rule language names its children, and the duty list."""
    parts = [action.get(key, "") for key in ("guard", "auto", "extend")]
    parts += [*action.get("set", {}).values(), *action.get("append", {}).values()]
    said = " ".join(parts)
    return bool(_CHILDREN.search(said)), bool(_DUTY.search(said))


def counted(conn: Connection, case: Case) -> dict[str, Any]:
    """Return how many children a case has, and how many of them are open."""
    row = conn.execute(
        text(
            "select count(*) as count, count(*) filter (where closed_at is null) as open "
            'from twin."case" where parent = :id and process <> :own'
        ),
        {"id": case["id"], "own": case["process"]},
    ).one()
    return {"count": row.count, "open": row.open}


def _apply(
    conn: Connection,
    action: Mapping[str, Any],
    after: Case,
    actor: Actor,
    p: Mapping[str, Any],
    now: datetime,
) -> None:
    data = after["data"]
    if action.get("set") or action.get("append"):
        known = names(conn, action, after, actor, p)
        for key, expression in action.get("set", {}).items():
            (after if key in CHANGED else data)[key] = rules.value(expression, known)
        for key, expression in action.get("append", {}).items():
            one = {**rules.value(expression, known), "by": actor.user, "at": now.isoformat()}
            data[key] = [*data.get(key, []), one]
    for key in action.get("clear", ()):
        if key in after:
            after[key] = None
        else:
            data.pop(key, None)
    if "stamp" in action:
        data[action["stamp"]] = now.isoformat()
    if "count" in action:
        data[action["count"]] = data.get(action["count"], 0) + 1
    if p.get("photos"):
        done = [{"url": url, "stage": after["state"]} for url in p["photos"]]
        data["photos"] = [*data.get("photos", []), *done]


def actions_now(
    said: Mapping[str, Any], case: Case, actor: Actor, only: Iterable[str] | None = None
) -> list[str]:
    """Return the actions that this actor could perform now, given the right parameters."""
    found = []
    for name, action in said["actions"].items():
        if only is not None and name not in only:
            continue
        first = action.get("via")
        fits = case["state"] in action["from"] or (
            first is not None and case["state"] in said["actions"][first]["from"]
        )
        if fits and actor.may(action["act"]) and _could(name, action, case, actor):
            found.append(name)
    return found


def _could(name: str, action: Mapping[str, Any], case: Case, actor: Actor) -> bool:
    if case["data"].get("times", {}).get(name, 0) >= action.get("max", 1 << 30):
        return False
    guard = action.get("guard")
    if not guard or action.get("via"):
        return True
    try:
        known = names(None, action, case, actor, needs.mild(action, case))
        # Whether children are open is asked when it is done; the list of actions costs no query.
        known["children"] = {"count": 0, "open": 0}
        return rules.holds(guard, known)
    except rules.RuleError:
        return False


def given(p: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return parameters as a dictionary of their own."""
    if p is not None and not isinstance(p, Mapping):
        raise BadRequest("The parameters of an action are one object.")
    return dict(p or {})
