"""Screens that stay in step: one leads, the others of its room show what it shows.

A room joins only sockets that see alike (same scope), so nothing crosses a boundary of rights. What
is passed on is where somebody looks, never data: each screen fetches for itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.errors import BadRequest

Finite = Annotated[float, Field(allow_inf_nan=False)]
Word = Annotated[str, Field(max_length=64)]
MAX_ROOMS = 500
MAX_SCREENS = 64
MAX_WALL_MESSAGE = 16_384


class Camera(BaseModel):
    """Where a screen looks."""

    model_config = ConfigDict(extra="forbid")

    lon: Annotated[Finite, Field(ge=-180, le=180)]
    lat: Annotated[Finite, Field(ge=-90, le=90)]
    zoom: Annotated[Finite, Field(ge=0, le=24)]
    bearing: Annotated[Finite, Field(ge=-360, le=360)] = 0
    pitch: Annotated[Finite, Field(ge=0, le=85)] = 0


class Chosen(BaseModel):
    """What is selected: an event, a thing or an alarm, by its code or number."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["event", "thing", "alarm"]
    key: Word


class State(BaseModel):
    """What a screen shows; what is left out stays as it is on the others."""

    model_config = ConfigDict(extra="forbid")

    camera: Camera | None = None
    moment: Annotated[str, Field(max_length=40)] | None = None
    selected: Chosen | None = None
    hidden: Annotated[list[Word], Field(max_length=400)] | None = None
    topic: Word | None = None
    scene: Word | None = None
    three_d: bool | None = None
    theme: Literal["night", "day"] | None = None


class Said(BaseModel):
    """A message of a screen: which it is, whether it leads, and what it shows."""

    model_config = ConfigDict(extra="forbid")

    room: Annotated[str, Field(min_length=1, max_length=40)]
    screen: Annotated[str, Field(min_length=1, max_length=40)]
    lead: bool = False
    state: State | None = None


class Member(Protocol):
    """A socket that can be told something."""

    @property
    def scope(self) -> str:
        """Return what decides what it may see."""

    def push(self, message: str) -> None:
        """Queue a message for it."""


class Rooms:
    """Who stands in which room of this process, and what was last shown there."""

    def __init__(self) -> None:
        self._where: dict[Member, tuple[tuple[str, str], str, bool]] = {}
        self._shown: dict[tuple[str, str], dict[str, Any]] = {}

    def hear(self, member: Member, raw: Any) -> None:
        """Take a message: join or stay, and pass on what a leader shows."""
        try:
            said = Said.model_validate(raw)
        except ValidationError as why:
            first = why.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadRequest(f"wall.{where}: {first['msg']}") from why
        key = (member.scope, said.room)
        before = self._where.get(member)
        self._enter(member, key, said)
        if before is None or before != self._where[member]:
            self._present(key)
            if before is not None and before[0] != key:
                self._present(before[0])
            if key in self._shown and not said.lead:
                member.push(self._message(key, self._shown[key]))
        if said.lead and said.state is not None:
            self._show(member, key, said)

    def _enter(self, member: Member, key: tuple[str, str], said: Said) -> None:
        inside = [m for m, (room, _, _) in self._where.items() if room == key and m is not member]
        if len(inside) >= MAX_SCREENS or (not inside and len(self._rooms()) >= MAX_ROOMS):
            raise BadRequest("This room is full; choose another name.")
        if said.lead:
            # One leads: who takes the lead takes it from the one before.
            for other in inside:
                room, screen, _ = self._where[other]
                self._where[other] = (room, screen, False)
        self._where[member] = (key, said.screen, said.lead)

    def _rooms(self) -> set[tuple[str, str]]:
        return {room for room, _, _ in self._where.values()}

    def _show(self, member: Member, key: tuple[str, str], said: Said) -> None:
        state = said.state.model_dump(mode="json", exclude_unset=True) if said.state else {}
        self._shown[key] = {**self._shown.get(key, {}), **state}
        message = self._message(key, state, said.screen)
        for other in self._inside(key):
            if other is not member:
                other.push(message)

    def _inside(self, key: tuple[str, str]) -> Iterable[Member]:
        return [m for m, (room, _, _) in self._where.items() if room == key]

    def _message(self, key: tuple[str, str], state: dict[str, Any], screen: str = "") -> str:
        return json.dumps({"type": "wall", "room": key[1], "from": screen, "state": state})

    def _present(self, key: tuple[str, str]) -> None:
        screens = sorted(
            (screen, lead) for room, screen, lead in self._where.values() if room == key
        )
        listed = [{"screen": screen, "lead": lead} for screen, lead in screens]
        message = json.dumps({"type": "room", "room": key[1], "screens": listed})
        for member in self._inside(key):
            member.push(message)

    def leave(self, member: Member) -> None:
        """Forget a socket that has gone, and tell the others."""
        found = self._where.pop(member, None)
        if found is None:
            return
        self._present(found[0])
        if found[0] not in self._rooms():
            self._shown.pop(found[0], None)


rooms = Rooms()
