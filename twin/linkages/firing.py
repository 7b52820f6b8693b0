"""One firing of a linkage: every action in the caller's transaction, one entry that says what it came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from twin import cases, ids, intake, journal, notices, products
from twin.alarms import raising
from twin.errors import TwinError
from twin.linkages.model import ALARM, Linkage
from twin.scope import SYSTEM, Actor
from twin.shadow import commands

SOURCE = "linkage"
MOST_DEVICES = 2000
DONE, FAILED, HELD = "done", "failed", "held"


@dataclass(kw_only=True)
class Cause:
    """Why a linkage fires: the thing and its value, the alarm, the hour, the person."""

    form: str
    at: datetime
    thing: Mapping[str, Any] | None = None  # num code name kind district lon lat
    value: float | None = None
    alarm: Mapping[str, Any] = field(default_factory=dict)  # rule level case_id
    actor: Actor = SYSTEM

    @property
    def num(self) -> int | None:
        """The number of the thing."""
        return int(self.thing["num"]) if self.thing else None

    def said(self) -> dict[str, Any]:
        """Return the cause as it is kept."""
        thing = self.thing or {}
        alarm = {k: str(v) if isinstance(v, UUID) else v for k, v in self.alarm.items()}
        return {"form": self.form, "value": self.value, "alarm": alarm or None,
                "thing": thing.get("code"), "thing_name": thing.get("name")}  # fmt: skip


def fire(conn: Connection, one: Linkage, cause: Cause) -> str:
    """Do what a linkage says, all of it or nothing; return how it ended."""
    run, did, fault, state = ids.uuid7(), list[dict[str, Any]](), None, DONE
    if _many(conn, one) >= one.most_per_hour:
        state, fault = HELD, f"more than {one.most_per_hour} firings within an hour"
    else:
        try:
            with conn.begin_nested():
                did = _all(conn, one, cause, run)
        except (TwinError, DBAPIError) as why:
            state, fault = FAILED, str(why).splitlines()[0][:500]
    keep(conn, one, cause, (run, state, did, fault))
    return state


def _many(conn: Connection, one: Linkage) -> int:
    asked = text(
        "select count(*) from iot.linkage_run where linkage = :k and at > now() - interval '1 hour' "
        "and state <> 'held'"
    )
    return int(conn.execute(asked, {"k": one.key}).scalar_one())


_RUN = text(
    "insert into iot.linkage_run (id, linkage, version, at, actor, cause, num, state, did, fault) "
    "values (:id, :key, :version, :at, :actor, cast(:cause as jsonb), :num, :state, "
    "cast(:did as jsonb), :fault)"
)


def keep(
    conn: Connection, one: Linkage, cause: Cause,
    ended: tuple[UUID, str, list[dict[str, Any]], str | None],
) -> None:  # fmt: skip
    """Keep a firing: a row for screens, an entry of the journal."""
    run, state, did, fault = ended
    conn.execute(
        _RUN,
        {
            "id": run, "key": one.key, "version": one.version, "at": cause.at,
            "actor": cause.actor.user, "cause": journal.dumped(cause.said()), "num": cause.num,
            "state": state, "did": json.dumps(did), "fault": fault,
        },
    )  # fmt: skip
    journal.append(
        conn, cls="alarm", action="linkage", actor=cause.actor.user, level=cases.LEVEL,
        note={"linkage": one.key, "version": one.version, "run": str(run), "state": state,
              "cause": cause.said(), "did": did, "fault": fault},
    )  # fmt: skip


def _all(conn: Connection, one: Linkage, cause: Cause, run: UUID) -> list[dict[str, Any]]:
    did: list[dict[str, Any]] = []
    for name, said in one.actions:
        did.append({"action": name, **_ACTS[name](conn, one, cause, (said, run))})
    return did


Given = tuple[Mapping[str, Any], UUID]


def _command(conn: Connection, one: Linkage, cause: Cause, given: Given) -> dict[str, Any]:
    said, run = given
    product = products.one(conn, said["product"])
    declared = commands.known(product, said["name"], said.get("args", {}))
    nums = targets(conn, said["product"], said["to"], cause.thing)
    if not nums:
        return {"name": said["name"], "devices": 0}
    batch = commands.give(
        conn, nums, said["name"], said.get("args", {}), actor=cause.actor.user,
        ttl_s=declared.ttl_s, why={"linkage": one.key, "run": str(run)},
    )  # fmt: skip
    return {"name": said["name"], "devices": len(nums), "batch": str(batch)}


def targets(
    conn: Connection, product: str, to: Mapping[str, Any], thing: Mapping[str, Any] | None
) -> list[int]:
    """Return the devices of a product that an action means."""
    at = thing or {}
    word, said = next(iter(to.items()))
    tests = {
        "all": "true",
        "same": "d.num = :num",
        "codes": "t.code = any(:said)",
        "districts": "t.district = any(:said)",
        "district": "t.district = :district",
        "near_m": "st_dwithin(t.point::geography, "
        "st_setsrid(st_makepoint(:lon, :lat), 4326)::geography, :said)",
    }
    params = {k: at.get(k) for k in ("num", "district", "lon", "lat")} | {"said": said}
    return list(
        conn.scalars(
            text(
                "select d.num from twin.device d join twin.thing t on t.num = d.num "
                f"where d.product = :p and d.enabled and t.gone_at is null and {tests[word]} "
                "order by d.num limit :most"
            ),
            {"p": product, "most": MOST_DEVICES, **params},
        )
    )


def _alarm_case(
    conn: Connection, one: Linkage, cause: Cause, run: UUID, level: int
) -> tuple[UUID, str]:
    """Return the alarm that notices hang on: the one that fired this, or one of the linkage's own."""
    if cause.form == ALARM and cause.alarm.get("case_id"):
        known = cases.find(conn, SYSTEM, str(cause.alarm["case_id"]))
        return UUID(str(known["id"])), str(known["code"])
    thing = cause.thing or {}
    group = f"linkage {one.key} {thing.get('code', '-')}"
    open_one = conn.execute(raising.OPEN, {"key": group}).first()
    if open_one is not None:
        known = cases.find(conn, SYSTEM, str(open_one.id))
        return UUID(str(known["id"])), str(known["code"])
    name = thing.get("name") or thing.get("code")
    title = one.title["zh"] + (f"：{name}" if name else "")
    made = cases.open_case(
        conn, raising.PROCESS, actor=SYSTEM, category=_category(conn, one), title=title,
        lon=thing.get("lon"), lat=thing.get("lat"), source=SOURCE, source_id=str(run),
        severity=level,
        data={
            "rule": f"linkage:{one.key}", "rule_version": one.version, "group": group,
            "product": one.trigger.get("product"), "property": one.trigger.get("property"),
            "members": 1, "standing": 0, "thing": thing.get("code"), "thing_name": name,
            "value": cause.value, "unit": None, "advice": None, "title": dict(one.title),
            "since": cause.at.astimezone(UTC).isoformat(),
        },
    )  # fmt: skip
    return UUID(str(made["id"])), str(made["code"])


def _category(conn: Connection, one: Linkage) -> str:
    product = products.running(conn).get(str(one.trigger.get("product", "")))
    return product.category if product else "environment"


def _notice(conn: Connection, one: Linkage, cause: Cause, given: Given) -> dict[str, Any]:
    said, run = given
    case, code = _alarm_case(conn, one, cause, run, 4)
    known = cases.find(conn, SYSTEM, str(case))["data"].get("notices", [])
    told = notices.told(
        conn, known, f"linkage_{one.key}", groups=said.get("groups", ()), roles=said.get("roles", ())
    )  # fmt: skip
    cases.annotate(conn, case, {"notices": told}, action="call")
    return {"alarm": code, "people": len(told) - len(known)}


def _alarm(conn: Connection, one: Linkage, cause: Cause, given: Given) -> dict[str, Any]:
    said, run = given
    case, code = _alarm_case(conn, one, cause, run, said["level"])
    if cases.find(conn, SYSTEM, str(case))["severity"] > said["level"]:
        raising.raise_level(conn, case, said["level"])
    return {"alarm": code, "level": said["level"]}


def _case(conn: Connection, one: Linkage, cause: Cause, given: Given) -> dict[str, Any]:
    said, run = given
    thing = cause.thing or {}
    taken = intake.take(
        conn,
        intake.Draft(
            source=SOURCE, source_id=str(run), category=said["category"], title=one.title["zh"],
            description=said.get("words") or one.title["zh"], lon=thing.get("lon"),
            lat=thing.get("lat"), severity=said.get("severity"), reporter="system",
            reporter_kind="machine",
            more={"linkage": one.key, "thing": thing.get("code"), "thing_name": thing.get("name")},
        ),
        actor=SYSTEM,
    )  # fmt: skip
    return {"event": taken.case["code"]}


_ACTS = {"command": _command, "notice": _notice, "alarm": _alarm, "case": _case}


def now() -> datetime:
    """Return the moment of a firing."""
    return datetime.now(UTC)
