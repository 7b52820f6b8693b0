"""Who may pass each door: `data/access.yaml` read, and asked for a method and a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from twin import declarations
from twin.errors import DeclarationError, Forbidden, KeyNotAllowed, StepUpNeeded, Unauthorized
from twin.scope import Actor

_PART = re.compile(r"\{(\w+)(?::(\w+))?\}")
_TYPES = {"": "[^/]+", "str": "[^/]+", "path": ".*", "int": "[0-9]+"}
_DEEPEST = 3
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of the table; an account passes with any of `acts`, or signed in when there are none."""

    method: str
    template: str
    open: bool = False
    acts: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    first: bool = False
    step_up: bool = False

    def check(self, actor: Actor, now: float) -> None:
        """Raise Unauthorized or Forbidden unless the actor may pass; `now` is the epoch second."""
        if self.open:
            return
        if actor.anonymous:
            raise Unauthorized()
        if actor.key_id is not None:
            self._check_key(actor)
        if actor.wants and not self.first:
            raise _first(actor.wants)
        if self.acts and not any(actor.may(act) for act in self.acts):
            actor.need(self.acts[0])
        if self.step_up and actor.strong_until < now:
            raise StepUpNeeded()

    def _check_key(self, actor: Actor) -> None:
        if not self.key:
            raise KeyNotAllowed()
        for act in self.key:
            if act != "kinds":
                actor.need(act)


def _first(wants: str) -> Forbidden:
    said = {
        "password": "Your password must be changed first; do so under your own account.",
        "totp": "Your role asks for a second factor; set it up under your own account first.",
    }
    return Forbidden(said[wants], first=wants)


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Return all lines; DeclarationError names the one that does not hold."""
    path = declarations.DATA / "access.yaml"
    doc, lines = declarations.read_yaml(path)
    declarations.check("access", doc, lines, str(path))
    made, seen = [], set[str]()
    for section, said in doc.items():
        for door, rule in said.items():
            if door in seen:
                line = declarations.line_of(lines, (section, door))
                raise DeclarationError(str(path), line, door, "this door stands here twice")
            seen.add(door)
            method, _, template = door.partition(" ")
            acts = tuple(rule.get("acts") or filter(None, [rule.get("act")]))
            made.append(
                Rule(method=method, template=template, open=rule.get("open", False), acts=acts,
                     key=tuple(rule.get("key", ())), first=rule.get("first", False),
                     step_up=rule.get("step_up", False))
            )  # fmt: skip
    return tuple(made)


class Table:
    """The lines, found by method and path: whole paths at once, others by how they begin."""

    def __init__(self, lines: tuple[Rule, ...]) -> None:
        """Sort lines so that the one that says most of a path comes first."""
        self._whole: dict[tuple[str, str], Rule] = {}
        self._begin: dict[str, list[tuple[re.Pattern[str], Rule]]] = {}
        for rule in sorted(lines, key=lambda r: [_weight(p) for p in r.template.split("/")]):
            if "{" not in rule.template:
                self._whole[rule.method, rule.template] = rule
            else:
                pattern = re.compile(_regex(rule.template))
                self._begin.setdefault(_start(rule.template), []).append((pattern, rule))

    def find(self, method: str, path: str) -> Rule | None:
        """Return the line of a request; HEAD follows GET."""
        asked = "GET" if method == "HEAD" else method
        found = self._whole.get((asked, path))
        return found or next((r for r in self._fitting(path) if r.method == asked), None)

    def known(self, path: str) -> bool:
        """Tell whether any method has a line for the path."""
        return any(self.find(method, path) is not None for method in _METHODS)

    def methods(self, path: str) -> str:
        """Return the methods of a path as the header Allow lists them."""
        found = [method for method in _METHODS if self.find(method, path)]
        more = ["HEAD"] if "GET" in found else []
        return ", ".join([*found, *more, "OPTIONS"])

    def _fitting(self, path: str) -> Iterator[Rule]:
        parts = path.split("/", _DEEPEST + 1)[1 : _DEEPEST + 1]
        for depth in range(len(parts), -1, -1):
            for pattern, rule in self._begin.get("/".join(parts[:depth]), ()):
                if pattern.fullmatch(path):
                    yield rule


def _start(template: str) -> str:
    parts = template.split("/")[1:]
    literal = next((i for i, part in enumerate(parts) if "{" in part), len(parts))
    return "/".join(parts[: min(literal, _DEEPEST)])


def _weight(part: str) -> int:
    """Weigh a part of a path: said, said in part, any one, any rest."""
    if "{" not in part:
        return 0
    if part.endswith(":path}"):
        return 3
    return 2 if _PART.fullmatch(part) else 1


def _regex(template: str) -> str:
    made, at = [], 0
    for found in _PART.finditer(template):
        made += [re.escape(template[at : found.start()]), _TYPES[found[2] or ""]]
        at = found.end()
    return "".join(made) + re.escape(template[at:])


@lru_cache(maxsize=1)
def table() -> Table:
    """Return the table of this process."""
    return Table(rules())
