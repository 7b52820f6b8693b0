"""The one process engine: a case moves by declared actions, each one update and one journal entry.

A case is a thing (code, place, scope); its history is the journal, unique (subject, version).
Guards are CEL over `c` (the case), `p` (parameters) and `actor`; a guard that fails to evaluate
refuses the action with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import calendar, codes, declarations, ids, journal, processes, rules
from twin.errors import BadRequest, Forbidden, NotAllowedNow, NotFound, VersionConflict
from twin.scope import SYSTEM, Actor, scope_sql, sees

LEVEL = 2
CITY = "event.city"
URGENT = 2
COLUMNS = (
    "id, num, code, process, process_version, state, title, category, holder, parent, severity, "
    "district, street, st_x(point) as lon, st_y(point) as lat, source, source_id, data, version, "
    "opened_at, entered_at, due_at, warn_at, remaining_s, escalated, provisional, closed_at"
)
_ONE = f'select {COLUMNS} from twin."case" where id = :id'
_JSON = bindparam("data", type_=JSONB)
Case = dict[str, Any]


def snapshot(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the case as the journal keeps it: plain JSON values, times in RFC 3339."""
    return {k: _plain(v) for k, v in case.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, UUID) else value


def definition(conn: Connection, case: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition that this case runs on: the version it was opened with."""
    return declarations.version(conn, "process", case["process"], case["process_version"])


def current(conn: Connection, process: str) -> dict[str, Any]:
    """Return the definition that new cases get."""
    found = declarations.current(conn, "process").get(process)
    if found is None:
        raise NotFound(f"No process is called {process}.")
    return found


def place_of(conn: Connection, lon: float, lat: float) -> tuple[str | None, str | None]:
    """Return the district and street codes that the map has at a point (EPSG:4326)."""
    row = conn.execute(
        text(
            "with p as (select st_setsrid(st_makepoint(:lon, :lat), 4326) as g) select "
            "(select code from base.district, p where geom && g and st_covers(geom, g) limit 1), "
            "(select code from base.street, p where geom && g and st_covers(geom, g) limit 1)"
        ),
        {"lon": lon, "lat": lat},
    ).one()
    return row[0], row[1]


def open_case(
    conn: Connection,
    process: str,
    *,
    actor: Actor,
    category: str,
    title: str,
    lon: float | None,
    lat: float | None,
    source: str,
    source_id: str | None = None,
    severity: int | None = None,
    data: Mapping[str, Any] | None = None,
    holder: str | None = None,
) -> Case:
    """Open a case at a point (or of no place); the same (source, source_id) again returns it."""
    if source_id is not None:
        known = by_source(conn, source, source_id)
        if known is not None:
            return known
    said = current(conn, process)
    kind = said["categories"].get(category)
    if kind is None:
        raise BadRequest(f"No category is called {category!r}.", known=sorted(said["categories"]))
    placed = lon is not None and lat is not None
    district, street = place_of(conn, lon, lat) if placed else (None, None)  # type: ignore[arg-type]
    now = datetime.now(UTC)
    code = codes.reserve_case(conn, kind["letters"], now.astimezone(calendar.ZONE).date())
    new = ids.uuid7()
    num = conn.execute(
        text(
            "insert into twin.thing (id, kind, code, name, district, street, level, point) values "
            "(:id, 'event', :code, :name, :d, :s, :level, st_setsrid(st_makepoint(:lon, :lat), 4326))"
            " returning num"
        ),
        {
            "id": new,
            "code": code,
            "name": title,
            "d": district,
            "s": street,
            "level": LEVEL,
            "lon": lon,
            "lat": lat,
        },
    ).scalar_one()
    case: Case = {
        "id": new, "num": num, "code": code, "process": process,
        "process_version": said["_version"], "state": said["initial"], "title": title,
        "category": category, "holder": holder, "parent": None,
        "severity": severity or kind["severity"], "district": district, "street": street,
        "lon": lon, "lat": lat, "source": source, "source_id": source_id,
        "data": {"photos": [], "description": "", **(data or {})}, "version": 1, "opened_at": now,
        "entered_at": now, "due_at": None, "warn_at": None, "remaining_s": None, "escalated": 0.0,
        "provisional": False, "closed_at": None,
    }  # fmt: skip
    _clock(conn, said, case)
    conn.execute(text(_INSERT).bindparams(_JSON), case)
    _write(conn, case, "open", actor, before=None, note={"to": case["state"]})
    return _run_auto(conn, said, case, actor)


_INSERT = (
    'insert into twin."case" (id, num, code, process, process_version, state, title, category, '
    "holder, parent, severity, district, street, point, source, source_id, data, version, "
    "opened_at, entered_at, due_at, warn_at, remaining_s, escalated, provisional, closed_at) "
    "values (:id, :num, :code, :process, :process_version, :state, :title, :category, :holder, "
    ":parent, :severity, :district, :street, st_setsrid(st_makepoint(:lon, :lat), 4326), :source, "
    ":source_id, :data, :version, :opened_at, :entered_at, :due_at, :warn_at, :remaining_s, "
    ":escalated, :provisional, :closed_at)"
)
_UPDATE = (
    'update twin."case" set state = :state, holder = :holder, severity = :severity, data = :data, '
    "version = :version, entered_at = :entered_at, due_at = :due_at, warn_at = :warn_at, "
    "remaining_s = :remaining_s, escalated = :escalated, provisional = :provisional, "
    "closed_at = :closed_at where id = :id and version = :version - 1"
)


def by_source(conn: Connection, source: str, source_id: str) -> Case | None:
    """Return the case that a source has already reported under this id."""
    row = conn.execute(
        text(f'select {COLUMNS} from twin."case" where source = :s and source_id = :i'),
        {"s": source, "i": source_id},
    ).first()
    return dict(row._mapping) if row else None


def _seen(actor: Actor, row: Any) -> bool:
    return sees(actor, None, row.district, row.street, (row.lon, row.lat), level=LEVEL)


def find(conn: Connection, actor: Actor, key: str) -> Case:
    """Return a case by id or code if the actor may see it; NotFound otherwise."""
    try:
        where, value = "id = :k", str(UUID(key))
    except ValueError:
        where, value = "code = :k", key
    row = conn.execute(
        text(f'select {COLUMNS} from twin."case" where {where}'), {"k": value}
    ).first()
    if row is None or not _seen(actor, row):
        raise NotFound("There is no such event, or it is outside your districts.")
    return dict(row._mapping)


def perform(
    conn: Connection,
    case_id: UUID,
    action: str,
    *,
    actor: Actor,
    params: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Case:
    """Perform an action and return the case after it; racing callers get exactly one success."""
    row = conn.execute(text(_ONE + " for update"), {"id": case_id}).first()
    if row is None or not _seen(actor, row):
        raise NotFound("There is no such event, or it is outside your districts.")
    case: Case = dict(row._mapping)
    if version is not None and version != case["version"]:
        raise VersionConflict(
            f"{case['code']} is at version {case['version']}, you acted on {version}; "
            "look at it again and repeat.",
            version=case["version"],
        )
    said = definition(conn, case)
    if action not in said["actions"]:
        raise NotFound(f"No action is called {action!r}.", known=sorted(said["actions"]))
    given = dict(params or {})
    first = said["actions"][action].get("via")
    if case["state"] not in said["actions"][action]["from"] and first:
        case = _step(conn, said, case, first, actor, {})
    case = _step(conn, said, case, action, actor, given)
    return _run_auto(conn, said, case, actor)


def _step(
    conn: Connection, said: dict[str, Any], case: Case, name: str, actor: Actor, p: dict[str, Any]
) -> Case:
    action = said["actions"][name]
    refuse_unless(said, case, name, actor, p)
    before = snapshot(case)
    after = {**case, "data": dict(case["data"]), "version": case["version"] + 1}
    _apply(action, after, actor, p)
    now = datetime.now(UTC)
    if action["to"] != case["state"]:
        after |= {"state": action["to"], "entered_at": now, "escalated": 0.0}
        final = said["states"][action["to"]].get("final", False)
        after["closed_at"] = now if final else None
        _clock(conn, said, after)
    if conn.execute(text(_UPDATE).bindparams(_JSON), after).rowcount != 1:
        raise VersionConflict()
    note = {"from": case["state"], "to": after["state"], **{k: v for k, v in p.items() if v}}
    _write(conn, after, name, actor, before=before, note=note)
    return after


def refuse_unless(
    said: Mapping[str, Any], case: Case, name: str, actor: Actor, p: Mapping[str, Any]
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
    for key, need in action.get("need", {}).items():
        if need.get("required") and not p.get(key):
            raise BadRequest(f"The action {name} needs {key} ({need['title']['zh']}).", key=key)
    guard = action.get("guard")
    if guard and not rules.holds(guard, _names(case, actor, p)):
        say = action.get("say", {})
        raise NotAllowedNow(
            say.get("en") or f"The condition of {name} does not hold.", title=say, action=name
        )


def _names(case: Case, actor: Actor, p: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    c = {**case["data"], **{k: _plain(v) for k, v in case.items() if k != "data"}}
    who = {"user": actor.user, "crew": actor.crew or "", "roles": sorted(actor.roles)}
    return {"c": c, "p": {"photos": [], **p}, "actor": who}


def _apply(action: Mapping[str, Any], after: Case, actor: Actor, p: Mapping[str, Any]) -> None:
    for key, expression in action.get("set", {}).items():
        after[key] = rules.value(expression, _names(after, actor, p))
    for key in action.get("clear", ()):
        if key in after:
            after[key] = None
        else:
            after["data"].pop(key, None)
    if "stamp" in action:
        after["data"][action["stamp"]] = datetime.now(UTC).isoformat()
    if "count" in action:
        after["data"][action["count"]] = after["data"].get(action["count"], 0) + 1
    if p.get("photos"):
        done = [{"url": url, "stage": after["state"]} for url in p["photos"]]
        after["data"]["photos"] = [*after["data"].get("photos", []), *done]


def _clock(conn: Connection, said: Mapping[str, Any], case: Case) -> None:
    """Set the deadline of the state just entered, on its clock (wall or working time)."""
    case |= {"due_at": None, "warn_at": None, "remaining_s": None}
    limit = said.get("deadlines", {}).get(case["state"])
    if limit is None:
        return
    urgent = case["severity"] <= URGENT and "urgent" in limit
    span = processes.seconds(limit["urgent" if urgent else "normal"])
    clock = limit.get("urgent_clock" if urgent else "clock") or limit.get("clock", "wall")
    start, warn = case["entered_at"], _warn_share(said)
    if clock == "wall":
        case["due_at"] = datetime.fromtimestamp(start.timestamp() + span, UTC)
        case["warn_at"] = datetime.fromtimestamp(start.timestamp() + span * warn, UTC)
        return
    made = calendar.load(conn, said["calendar"])
    due = made.add(start, span)
    case |= {"due_at": due.at, "provisional": due.provisional}
    case["warn_at"] = made.add(start, span * warn).at


def _warn_share(said: Mapping[str, Any]) -> float:
    return float(min((e["at"] for e in said.get("escalate", ())), default=1.0))


def _run_auto(conn: Connection, said: dict[str, Any], case: Case, actor: Actor) -> Case:
    """Perform what the definition does by itself in the state just reached."""
    for name, action in said["actions"].items():
        if "auto" not in action or case["state"] not in action["from"]:
            continue
        try:
            if not rules.holds(action["auto"], _names(case, actor, {})):
                continue
            if "guard" in action and not rules.holds(action["guard"], _names(case, actor, {})):
                continue
        except rules.RuleError as why:
            # A broken rule never hides a case: it stays with a person, and says why.
            return _note_fault(conn, case, name, why.detail)
        return _step(conn, said, case, name, SYSTEM, {})
    return case


def annotate(
    conn: Connection, case_id: UUID, data: Mapping[str, Any], *, action: str, actor: Actor = SYSTEM
) -> Case:
    """Add to the data of a case without moving it; one entry, as for every change."""
    row = conn.execute(text(_ONE + " for update"), {"id": case_id}).first()
    if row is None:
        raise NotFound("There is no such case.")
    case: Case = dict(row._mapping)
    after = {**case, "version": case["version"] + 1, "data": {**case["data"], **data}}
    conn.execute(text(_UPDATE).bindparams(_JSON), after)
    _write(conn, after, action, actor, before=snapshot(case), note={})
    return after


def _note_fault(conn: Connection, case: Case, rule: str, why: str) -> Case:
    before = snapshot(case)
    fault = {"rule": rule, "why": why, "at": datetime.now(UTC).isoformat()}
    after = {**case, "version": case["version"] + 1, "data": {**case["data"], "rule_fault": fault}}
    conn.execute(text(_UPDATE).bindparams(_JSON), after)
    _write(conn, after, "rule_fault", SYSTEM, before=before, note=fault)
    return after


def _write(
    conn: Connection,
    case: Case,
    action: str,
    actor: Actor,
    *,
    before: Mapping[str, Any] | None,
    note: Mapping[str, Any],
) -> None:
    journal.append(
        conn,
        cls="case",
        action=action,
        actor=actor.user,
        subject=case["id"],
        kind="event",
        version=case["version"],
        district=case["district"],
        level=LEVEL,
        point=(case["lon"], case["lat"]),
        before=before,
        after=snapshot(case),
        note=note,
    )


def actions_now(
    said: Mapping[str, Any], case: Case, actor: Actor, only: Iterable[str] | None = None
) -> list[str]:
    """Return the actions that this actor could perform now, given the right parameters."""
    names = []
    for name, action in said["actions"].items():
        if only is not None and name not in only:
            continue
        first = action.get("via")
        fits = case["state"] in action["from"] or (
            first is not None and case["state"] in said["actions"][first]["from"]
        )
        if fits and actor.may(action["act"]) and _could(action, case, actor):
            names.append(name)
    return names


def _could(action: Mapping[str, Any], case: Case, actor: Actor) -> bool:
    guard = action.get("guard")
    if not guard or action.get("via"):
        return True
    # Parameters are not known yet: give each the mildest value, so only state and actor decide.
    mild = {
        key: (["?"] if n["type"] == "photos" else "?") for key, n in action.get("need", {}).items()
    }
    try:
        return rules.holds(guard, _names(case, actor, mild))
    except rules.RuleError:
        return False


def escalate_due(conn: Connection, limit: int = 500) -> list[Case]:
    """Fire what is due of warn, late and supervise, each once; bounded so no outage ends in a herd."""
    rows = conn.execute(
        text(
            f'select {COLUMNS} from twin."case" where closed_at is null and due_at is not null '
            "and ((escalated < 0.5 and warn_at <= now()) or (escalated < 1 and due_at <= now()) "
            "or (escalated < 1.5 and now() >= entered_at + 1.5 * (due_at - entered_at))) "
            "order by due_at limit :n for update skip locked"
        ),
        {"n": limit},
    ).all()
    done: list[Case] = []
    for row in rows:
        case: Case = dict(row._mapping)
        fired = _next_level(definition(conn, case), case, datetime.now(UTC))
        if fired is not None:
            before = snapshot(case)
            level, what = fired
            after = {**case, "escalated": level, "version": case["version"] + 1}
            conn.execute(text(_UPDATE).bindparams(_JSON), after)
            _write(conn, after, what, SYSTEM, before=before, note={"level": level})
            done.append(after)
    return done


def _next_level(said: Mapping[str, Any], case: Case, now: datetime) -> tuple[float, str] | None:
    """Return the highest level reached and not fired yet, measured on the span of the state."""
    span = (case["due_at"] - case["entered_at"]).total_seconds()
    used = (now - case["entered_at"]).total_seconds()
    reached = [e for e in said.get("escalate", ()) if _reached(e["at"], used, span, case, now)]
    if not reached:
        return None
    top = max(reached, key=lambda e: e["at"])
    return (float(top["at"]), str(top["do"])) if top["at"] > case["escalated"] else None


def _reached(share: float, used: float, span: float, case: Case, now: datetime) -> bool:
    # warn_at and due_at were computed on the case's own clock; later levels go by their span.
    if share <= 1.0:
        return bool(now >= (case["due_at"] if share == 1.0 else case["warn_at"]))
    return used >= share * span


def at_moment(
    conn: Connection, actor: Actor, t: datetime, *, open_only: bool = True, process: str = CITY
) -> list[Case]:
    """Return the cases of a process as they stood at a moment, from the journal."""
    still = "and (c.closed_at is null or c.closed_at > :t)" if open_only else ""
    where, params = scope_sql(actor, "c", LEVEL)
    rows = conn.execute(
        text(
            'select j.after from twin."case" c cross join lateral (select after from twin.journal '
            "where subject = c.id and at <= :t order by version desc limit 1) j "
            f"where c.opened_at <= :t and c.process = :process {still} and {where} order by c.opened_at desc limit 5000"
        ),
        {"t": t, "process": process, **params},
    )
    return [row.after for row in rows]


def story(conn: Connection, case_id: UUID) -> Sequence[Any]:
    """Return the journal of a case in order, with the sequence number where it is sealed."""
    return conn.execute(
        text(
            "select s.seq, j.* from twin.journal j left join twin.sealed s on s.entry = j.id "
            "where j.subject = :id order by j.version"
        ),
        {"id": case_id},
    ).all()
