"""Which open events a report may be a second report of, ranked; repeats at a spot; merging by itself where declared."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import db, declarations, likeness, policies
from twin.likeness import Report, Vocabulary
from twin.policies import Doc, Fault
from twin.process import rows, trial
from twin.process.rows import Case
from twin.scope import SYSTEM, Actor, scope_sql

KIND_OF = "merge"
_M_PER_DEGREE = 111_195.0
_KEEP_S, _LEARNED, _LEARN_DAYS = 600.0, 5_000, 60
_MOST = 200
_known: dict[str, tuple[float, Vocabulary]] = {}


def running(conn: Connection, process: str) -> dict[str, Any]:
    """Return the rule that runs for a process."""
    _, key, number = declarations.newest(conn, KIND_OF, process)
    return declarations.kept(conn, KIND_OF, key, number)


_RECENT = text(
    "select coalesce(category, '') as category, title, data->>'description' as description "
    'from twin."case" where process = :p and opened_at > now() - make_interval(days => :d) '
    "order by opened_at desc limit :n"
)


def vocabulary(conn: Connection, process: str) -> Vocabulary:
    """Return what lately reported words tell, read anew every ten minutes."""
    name = f"{db.place(conn)} {process}"
    kept = _known.get(name)
    if kept is not None and kept[0] > time.monotonic():
        return kept[1]
    found = conn.execute(_RECENT, {"p": process, "d": _LEARN_DAYS, "n": _LEARNED})
    made = Vocabulary((_words(r.title, r.description), r.category) for r in found)
    _known[name] = (time.monotonic() + _KEEP_S, made)
    return made


def _words(title: str, description: str | None) -> str:
    return description or title


def as_report(case: Mapping[str, Any], doc: Doc, known: Vocabulary) -> Report:
    """Return what is compared of a case."""
    sigma = doc["sigma_m"].get(case["source"], doc["sigma_m"]["other"])
    words = _words(case["title"], case["data"].get("description"))
    category = case["category"] or ""
    return Report(
        case["code"], case["lon"], case["lat"], float(sigma), case["opened_at"].timestamp(), words,
        category, case["data"].get("thing"), known.matter(words, category),
    )  # fmt: skip


# What is open near a point: one index over place and time, read in the order of the bounding box.
CANDIDATES = (
    f'select {rows.COLUMNS} from twin."case" c where c.process = :process and c.closed_at is null '
    "and c.id <> :id and c.point && st_expand(st_setsrid(st_makepoint(:lon, :lat), 4326), :dx, :dy) "
    "and c.opened_at between :since and :until and {scope} limit :most"
)


def candidates(conn: Connection, actor: Actor, case: Case, doc: Doc) -> list[Case]:
    """Return the open cases near a case in place and time that the actor sees."""
    if case["lon"] is None:
        return []
    radius, hours = doc["candidates"]["radius_m"], doc["candidates"]["hours"]
    scope, params = scope_sql(actor, "c", rows.LEVEL)
    span = timedelta(hours=hours)
    params |= {
        "process": case["process"], "id": case["id"], "lon": case["lon"], "lat": case["lat"],
        "dx": radius / (_M_PER_DEGREE * math.cos(math.radians(case["lat"]))),
        "dy": radius / _M_PER_DEGREE, "since": case["opened_at"] - span,
        "until": case["opened_at"] + span, "most": _MOST,
    }  # fmt: skip
    found = conn.execute(text(CANDIDATES.format(scope=scope)), params)
    return [dict(row._mapping) for row in found]


def ranked(
    conn: Connection, actor: Actor, case: Case, *, limit: int = 5, doc: Doc | None = None
) -> list[dict[str, Any]]:
    """Return what a case may be a second report of, the likeliest first, with what says so."""
    said = doc or running(conn, case["process"])
    others = candidates(conn, actor, case, said)
    return rank(case, others, said, vocabulary(conn, case["process"]))[:limit] if others else []


def rank(case: Case, others: Sequence[Case], doc: Doc, known: Vocabulary) -> list[dict[str, Any]]:
    """Return the candidates with score and parts, the likeliest first."""
    own = as_report(case, doc, known)
    reports = [as_report(one, doc, known) for one in others]
    features = [likeness.features(own, one, known) for one in reports]
    scores = likeness.compete([likeness.score(f, doc["weights"]) for f in features])
    shown = [
        {
            "code": one["code"], "title": one["title"], "state": one["state"],
            "score": round(s, 4), "suggest": s >= doc["suggest"], "repeat": False,
            "parts": _parts(own, report, f), "lon": one["lon"], "lat": one["lat"],
            "opened_at": one["opened_at"],
        }
        for one, report, f, s in zip(others, reports, features, scores, strict=True)
        if likeness.distance_m(own, report) <= doc["candidates"]["radius_m"]
    ]  # fmt: skip
    return sorted(shown, key=lambda r: -float(r["score"]))


def _parts(own: Report, other: Report, said: tuple[float, ...]) -> dict[str, Any]:
    named = dict(zip(likeness.FEATURES, said, strict=True))
    return {
        "distance_m": round(likeness.distance_m(own, other), 1),
        "hours": round(abs(own.at - other.at) / 3600, 2),
        "text": round(math.sqrt(named["text"]), 3),
        "category": round(named["matter"], 3),
        "thing": {1.0: True, -1.0: False}.get(named["thing"]),
    }


_EARLIER = (
    f'select {rows.COLUMNS} from twin."case" c where c.process = :process and c.closed_at is not null '
    "and c.id <> :id and c.category = :category and c.state = any(:ended) "
    "and c.point && st_expand(st_setsrid(st_makepoint(:lon, :lat), 4326), :dx, :dy) "
    "and c.closed_at > :since and {scope} order by c.closed_at desc limit 20"
)


def earlier(conn: Connection, actor: Actor, case: Case) -> list[dict[str, Any]]:
    """Return closed cases of the category at the same spot: the thing has come back."""
    doc = running(conn, case["process"])
    if "repeat" not in doc or case["lon"] is None:
        return []
    radius = doc["repeat"]["radius_m"]
    scope, params = scope_sql(actor, "c", rows.LEVEL)
    params |= {
        "process": case["process"], "id": case["id"], "category": case["category"],
        "ended": ["closed"], "lon": case["lon"], "lat": case["lat"],
        "dx": radius / (_M_PER_DEGREE * math.cos(math.radians(case["lat"]))),
        "dy": radius / _M_PER_DEGREE,
        "since": case["opened_at"] - timedelta(days=doc["repeat"]["days"]),
    }  # fmt: skip
    found = conn.execute(text(_EARLIER.format(scope=scope)), params)
    return [
        {"code": r.code, "title": r.title, "state": r.state, "score": None, "suggest": False,
         "repeat": True, "lon": r.lon, "lat": r.lat, "closed_at": r.closed_at,
         "opened_at": r.opened_at,
         "parts": {"days": round((case["opened_at"] - r.closed_at).total_seconds() / 86400, 1)}}
        for r in found
    ]  # fmt: skip


def decision(
    conn: Connection, case: Case, doc: Doc | None = None
) -> tuple[str, dict[str, Any] | None]:
    """Return what a rule does with a new case: none, suggest or auto, and the likeliest master."""
    said = doc or running(conn, case["process"])
    best = next(iter(ranked(conn, SYSTEM, case, limit=1, doc=said)), None)
    if best is None or best["score"] < said["suggest"]:
        return "none", None
    limits = {one["category"]: one["score"] for one in said.get("auto", ())}
    limit = limits.get(case["category"], limits.get("*"))
    return ("auto" if limit is not None and best["score"] >= limit else "suggest"), best


def _known_faults(conn: Connection, doc: Doc) -> list[Fault]:
    there = declarations.current(conn, "process").get(doc["key"])
    if there is None:
        return [(("key",), f"no process is called {doc['key']}")]
    known = set(there.get("categories", {})) | {"*"}
    return [
        (("auto", i, "category"), f"no category is called {one['category']}")
        for i, one in enumerate(doc.get("auto", ()))
        if one["category"] not in known
    ]


def _faults(doc: Doc) -> list[Fault]:
    found: list[Fault] = [
        (("weights", name), "no feature has this name")
        for name in doc["weights"]
        if name not in likeness.FEATURES
    ]
    found += [
        (("auto", i, "score"), "what merges by itself is at least as likely as what is suggested")
        for i, one in enumerate(doc.get("auto", ()))
        if one["score"] < doc["suggest"]
    ]
    return found


# To decide a merge asks the database for what lies near: fewer are tried.
_TRIED = 2_000


def _simulate(conn: Connection, actor: Actor, doc: Doc, days: int) -> dict[str, Any]:
    """Tell for which of the latest reports the rule would have decided otherwise."""

    def outcome(case: Case) -> tuple[str, str, dict[str, Any]]:
        was, _ = decision(conn, case)
        now, master = decision(conn, case, doc)
        return was, now, {"master": master["code"] if master else None}

    return trial.tried(conn, actor, doc["key"], days, outcome, most=_TRIED, placed=True)


policies.register(
    policies.Kind(
        kind=KIND_OF, folder="merge", title={"zh": "合并规则", "en": "Merging"},
        faults=_faults, known=_known_faults, simulate=_simulate,
    )
)  # fmt: skip
