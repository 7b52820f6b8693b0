"""What may be done with alarms: look, acknowledge, close, silence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from services.alarms import repository
from twin import cases, declarations, journal, notices
from twin.alarms import rule
from twin.alarms.raising import PROCESS
from twin.alarms.view import View
from twin.errors import BadRequest, NotFound
from twin.scope import Actor, sees

MAX_SILENCE_S = 30 * 86400


def find(conn: Connection, actor: Actor, key: str) -> dict[str, Any]:
    """Return an alarm case by code or id; NotFound for anything else."""
    found = cases.find(conn, actor, key)
    if found["process"] != PROCESS:
        raise NotFound("There is no such alarm, or it is outside your districts.")
    return found


def one(conn: Connection, actor: Actor, key: str) -> dict[str, Any]:
    """Show an alarm with its things, its story and what can be done."""
    case = find(conn, actor, key)
    view = View(conn)
    said = view.definition(case["process_version"])
    shown = view.show(case, actor)
    shown["notices"] = case["data"].get("notices", [])
    shown["things"] = [_member(row) for row in repository.members(conn, case["id"])]
    shown["action_titles"] = {
        name: {
            "title": said["actions"][name]["title"],
            "need": said["actions"][name].get("need", {}),
        }
        for name in shown["actions"]
    }
    shown["story"] = [_step(row, said, view) for row in cases.story(conn, case["id"])]
    return shown


def _member(row: Any) -> dict[str, Any]:
    keys = "code name kind level value peak property since raised_at cleared_at detail".split()
    said = {key: getattr(row, key) for key in keys}
    return said | {"point": [row.lon, row.lat] if row.lon is not None else None}


_TITLES = {
    "open": {"zh": "报警", "en": "Rang"},
    "join": {"zh": "新增设备", "en": "More things"},
    "left": {"zh": "设备恢复", "en": "Things back to normal"},
    "warn": {"zh": "即将超时", "en": "Due soon"},
    "call": {"zh": "呼叫", "en": "People called"},
    "answer": {"zh": "回应呼叫", "en": "Answered the call"},
    "late": {"zh": "超时未确认", "en": "Not acknowledged in time"},
}


def _step(row: Any, said: Mapping[str, Any], view: View) -> dict[str, Any]:
    note = row.note or {}
    known = said["actions"].get(row.action, {}).get("title")
    return {
        "seq": row.seq,
        "at": row.at,
        "actor": row.actor,
        "actor_name": view.people.get(row.actor),
        "action": row.action,
        "title": known or _TITLES.get(row.action),
        "to": row.after["state"],
        "members": row.after["data"].get("members"),
        "standing": row.after["data"].get("standing"),
        "severity": row.after["severity"],
        "note": note.get("note") or note.get("reason"),
    }


def called(conn: Connection, actor: Actor) -> list[dict[str, Any]]:
    """Return the open alarms whose call waits for the actor's answer, the loudest first."""
    view = View(conn)
    return [view.show(case, actor) for case in repository.waiting_for(conn, actor)]


def answer(
    conn: Connection, actor: Actor, key: str, reached: str | None, note: str | None
) -> dict[str, Any]:
    """Answer a call, or note who was reached by telephone.

    Whoever answers for themselves and may handle alarms has acknowledged it: nobody else is called.
    """
    case = find(conn, actor, key)
    told = case["data"].get("notices", [])
    if reached is not None:
        actor.need("alarm.handle")
        made = notices.reached(told, reached, note or "", actor)
    else:
        made = notices.answered(told, actor)
    done = cases.annotate(conn, case["id"], {"notices": made}, action="answer", actor=actor)
    takes = {"rung": "acknowledge", "returned": "confirm"}.get(done["state"])
    if reached is None and takes and actor.may("alarm.handle"):
        done = cases.perform(
            conn, case["id"], takes, actor=actor, params={"note": note} if note else {}
        )
    return View(conn).show(done, actor)


def act(
    conn: Connection, actor: Actor, key: str, action: str, params: Mapping[str, Any],
    version: int | None,
) -> dict[str, Any]:  # fmt: skip
    """Perform an action on an alarm."""
    case = find(conn, actor, key)
    done = cases.perform(conn, case["id"], action, actor=actor, params=params, version=version)
    return View(conn).show(done, actor)


def acknowledge_many(
    conn: Connection, actor: Actor, codes: list[str], note: str | None
) -> dict[str, Any]:
    """Acknowledge many alarms; what was acknowledged already or is closed is named, not an error."""
    done, left = [], []
    for code in dict.fromkeys(codes):
        case = find(conn, actor, code)
        action = {"rung": "acknowledge", "returned": "confirm"}.get(case["state"])
        if action is None:
            left.append(code)
            continue
        cases.perform(conn, case["id"], action, actor=actor, params={"note": note} if note else {})
        done.append(code)
    return {"acknowledged": done, "left": left}


def silence(
    conn: Connection, actor: Actor, *, rule_key: str | None, thing: str | None,
    district: str | None, starts: datetime, ends: datetime, reason: str,
) -> int:  # fmt: skip
    """Silence a rule, a thing or a district for a time; what rings then is kept and counted."""
    if not 0 < (ends - starts).total_seconds() <= MAX_SILENCE_S:
        raise BadRequest("A silence ends after it starts and lasts 30 days at most.")
    if rule_key is None and thing is None and district is None:
        raise BadRequest("Say what is silenced: a rule, a thing or a district.")
    if rule_key is not None and rule_key not in declarations.current(conn, rule.KIND_OF):
        raise NotFound(f"No rule is called {rule_key}.")
    num = _thing(conn, actor, thing) if thing else None
    if num is None and actor.districts is not None and district not in actor.districts:
        raise BadRequest("Your account reaches only its districts: name one of them.")
    made = conn.execute(
        text(
            "insert into iot.silence (rule, num, district, starts_at, ends_at, reason, actor) "
            "values (:rule, :num, :district, :starts, :ends, :reason, :actor) returning id"
        ),
        {
            "rule": rule_key, "num": num, "district": district, "starts": starts, "ends": ends,
            "reason": reason, "actor": actor.user,
        },
    ).scalar_one()  # fmt: skip
    journal.append(
        conn, cls="alarm", action="silence", actor=actor.user, level=cases.LEVEL, district=district,
        note={"silence": made, "rule": rule_key, "thing": thing, "district": district,
              "until": ends.isoformat(), "reason": reason},
    )  # fmt: skip
    return int(made)


def _thing(conn: Connection, actor: Actor, code: str) -> int:
    row = conn.execute(
        text(
            "select num, district, street, level, st_x(point) as lon, st_y(point) as lat "
            "from twin.thing where code = :c and gone_at is null"
        ),
        {"c": code},
    ).first()
    if row is None or not sees(
        actor, None, row.district, row.street, (row.lon, row.lat), level=row.level
    ):
        raise NotFound(f"There is no thing {code!r} that you may see.")
    return int(row.num)


def end_silence(conn: Connection, actor: Actor, number: int) -> None:
    """End a silence before its time; what still stands rings at the engine's next look."""
    scoped = "" if actor.districts is None else (
        "and coalesce(district, (select t.district from twin.thing t where t.num = iot.silence.num)) "
        "= any(:districts)"
    )  # fmt: skip
    done = conn.execute(
        text(
            "update iot.silence set ended_by = :who, ends_at = greatest(least(ends_at, now()), "
            "starts_at + interval '1 second') where id = :id and ended_by is null "
            f"and ends_at > now() {scoped}"
        ),
        {"who": actor.user, "id": number, "districts": list(actor.districts or ())},
    ).rowcount
    if not done:
        raise NotFound("There is no such silence, or it has ended.")
    journal.append(
        conn, cls="alarm", action="silence.end", actor=actor.user, level=cases.LEVEL,
        note={"silence": number},
    )  # fmt: skip


def features(rows: Any) -> dict[str, Any]:
    """Return standing alarms as GeoJSON, one feature a thing and rule."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": row.num,
                "geometry": {"type": "Point", "coordinates": [row.lon, row.lat]},
                "properties": {
                    "code": row.case_code, "thing": row.code, "name": row.name or row.code,
                    "rule": row.rule, "level": row.level, "severity": row.severity,
                    "state": row.state, "title": row.title, "value": row.value,
                    "raised_at": row.raised_at,
                },
            }
            for row in rows
            if row.lon is not None
        ],
    }  # fmt: skip
