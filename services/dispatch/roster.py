"""Shifts, rest, range and teams of crews: what dispatch must know and a declaration cannot say."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, text

from services.dispatch import crews as fleet
from twin import calendar, journal, scheduling
from twin.errors import BadRequest, NotFound
from twin.scope import Actor

DAYS = 14
OFF = "off"


class State(BaseModel):
    """What is now true of a crew; what is left out stays as it is, null takes it away."""

    model_config = ConfigDict(extra="forbid")
    team: str | None = Field(default=None, max_length=40)
    resting_until: datetime | None = None
    range_km: float | None = Field(default=None, ge=0, le=2000)
    off_reason: str | None = Field(default=None, max_length=120)


class Shift(BaseModel):
    """The shift of one crew on one day; null gives back the usual one."""

    model_config = ConfigDict(extra="forbid")
    crew: str = Field(min_length=1, max_length=64)
    day: date
    shift: str | None = Field(default=None, max_length=40)


class Shifts(BaseModel):
    """Changes of a roster, all or none of them."""

    model_config = ConfigDict(extra="forbid")
    shifts: list[Shift] = Field(min_length=1, max_length=2000)


def shown(conn: Connection, actor: Actor, first: date | None) -> dict[str, Any]:
    """Return the crews as they stand now, with fourteen days of shifts."""
    said, now = scheduling.current(conn), fleet.clock()
    begin = first or now.astimezone(calendar.ZONE).date()
    crews = fleet.everyone(conn, actor, said, now)
    other = _other(conn, [c.code for c in crews], begin)
    works = calendar.load(conn, "sh-workday").works
    days = [begin + timedelta(days=i) for i in range(DAYS)]
    return {
        "at": now,
        "days": [{"day": d, "works": works(d)} for d in days],
        "shifts": [{"key": k, **v} for k, v in said.doc["shifts"].items()],
        "crews": [
            {
                "code": c.code, "name": c.name, "district": c.district, "skills": c.skills,
                "shift": _usual(c, other, now), "capacity": c.capacity, "profile": c.profile,
                "team": c.team, "resting_until": c.resting_until, "range_km": c.range_km,
                "off_reason": c.off_reason, "load": c.load, "tasks": c.tasks, "live": c.live,
                "point": [c.lon, c.lat] if c.lon is not None else None,
                "on_shift": said.on_shift(c.shift, now), "free_in_s": round(c.left_s),
                "days": [other.get((c.code, d)) for d in days],
            }
            for c in crews
        ],
    }  # fmt: skip


def _usual(crew: fleet.Crew, other: dict[tuple[str, date], str], now: datetime) -> str | None:
    """Return the shift of today: the roster's where it says one."""
    return other.get((crew.code, now.astimezone(calendar.ZONE).date())) or crew.shift


def _other(conn: Connection, codes: list[str], begin: date) -> dict[tuple[str, date], str]:
    rows = conn.execute(
        text(
            "select crew, day, shift from twin.roster where crew = any(:c) and day >= :a and day < :b"
        ),
        {"c": codes, "a": begin, "b": begin + timedelta(days=DAYS)},
    )
    return {(r.crew, r.day): r.shift for r in rows}


def set_shifts(conn: Connection, actor: Actor, new: Shifts) -> dict[str, int]:
    """Write shifts of days, one journal entry for all of them."""
    said = scheduling.current(conn)
    known = {*said.doc["shifts"], OFF}
    mine = {c.code for c in fleet.everyone(conn, actor, said, fleet.clock())}
    for one in new.shifts:
        if one.shift is not None and one.shift not in known:
            raise BadRequest(f"No shift is called {one.shift}.", known=sorted(known))
        if one.crew not in mine:
            raise NotFound(f"There is no crew {one.crew!r} that you may send.")
    gone = [s for s in new.shifts if s.shift is None]
    kept = [s for s in new.shifts if s.shift is not None]
    if gone:
        conn.execute(
            text("delete from twin.roster where crew = :crew and day = :day"),
            [{"crew": s.crew, "day": s.day} for s in gone],
        )
    if kept:
        conn.execute(
            text(
                "insert into twin.roster (crew, day, shift, set_by) values (:crew, :day, :shift, :by) "
                "on conflict (crew, day) do update set shift = excluded.shift, set_by = excluded.set_by"
            ),
            [{"crew": s.crew, "day": s.day, "shift": s.shift, "by": actor.user} for s in kept],
        )
    journal.append(
        conn, cls="dispatch", action="roster", actor=actor.user, kind="roster",
        after={"shifts": [s.model_dump(mode="json") for s in new.shifts]},
    )  # fmt: skip
    return {"set": len(kept), "cleared": len(gone)}


def set_state(conn: Connection, actor: Actor, code: str, new: State) -> dict[str, Any]:
    """Change what is known of a crew, journalled with what it was before."""
    said = scheduling.current(conn)
    crew = next(
        (c for c in fleet.everyone(conn, actor, said, fleet.clock()) if c.code == code), None
    )
    if crew is None:
        raise NotFound(f"There is no crew {code!r} that you may send.")
    if new.resting_until is not None and new.resting_until.tzinfo is None:
        raise BadRequest("resting_until has no offset; write it like 2026-11-20T08:00:00+08:00.")
    found = conn.execute(
        text(
            "select team, resting_until, range_km, off_reason from twin.crew_state where crew = :c "
            "for update"
        ),
        {"c": code},
    ).first()
    before = dict(found._mapping) if found else dict.fromkeys(State.model_fields)
    after = before | new.model_dump(exclude_unset=True)
    conn.execute(
        text(
            "insert into twin.crew_state (crew, team, resting_until, range_km, off_reason, set_by) "
            "values (:crew, :team, :resting_until, :range_km, :off_reason, :by) "
            "on conflict (crew) do update set team = excluded.team, "
            "resting_until = excluded.resting_until, range_km = excluded.range_km, "
            "off_reason = excluded.off_reason, set_by = excluded.set_by, set_at = now()"
        ),
        {"crew": code, "by": actor.user, **after},
    )
    journal.append(
        conn, cls="dispatch", action="crew", actor=actor.user, kind="crew",
        district=crew.district, level=2, before=_plain(before), after={"crew": code, **_plain(after)},
    )  # fmt: skip
    return {"crew": code, **after}


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in said.items()}
