"""Events handed on: follow the journal, post each once, read back how it stands; killed anywhere it goes on.

Before the first try of an event its token is committed; a try whose end is unknown is looked for at the
partner by that token before it is made again. What came back is on the case in the transaction that notes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog
from sqlalchemy import Connection, text

from services.open311.partner import NotReached, Partner, Refused
from twin import cases, db, journal, outgoing, rules, sealing
from twin.errors import BadRequest, NotAllowedNow, NotFound, TwinError
from twin.process.rows import Case
from twin.scope import SYSTEM

log = structlog.get_logger("open311")
LOCK, USE = 47, "partner"
BATCH, SENDS, ASKED = 500, 50, 50
_DONE = {"review": "handed_back", "settle": "settle"}
_ROW = text("select * from twin.partner where name = :n")
_CASES = text(f'select {cases.COLUMNS} from twin."case" where id = any(:ids)')


def once() -> int:
    """Serve every partner that is due; return how many events were handed on or changed."""
    with db.engine("app").connect() as conn:
        due = conn.scalars(
            text("select name from twin.partner where enabled and next_at <= now() order by name")
        ).all()
    done = 0
    for name in due:
        try:
            done += serve(name)
        except TwinError as why:
            # One that cannot be served must not keep the others waiting.
            log.warning("not served", partner=name, why=why.detail)
            _failed(name, {}, why.detail)
    return done


def serve(name: str) -> int:
    """Do what is due of one partner; a partner that is away is tried again later."""
    with db.alone(LOCK, name) as mine:
        if not mine:
            return 0
        done = 0
        try:
            with db.engine("app").connect() as conn:
                row = conn.execute(_ROW, {"n": name}).one()
                doc = outgoing.running(conn, name)
            while follow(name, doc):
                pass
            key = sealing.opened(USE, row.secret, name) if row.secret else ""
            with Partner(
                row.url, key, doc.get("form", "json"), doc.get("jurisdiction_id", "")
            ) as to:
                done = send(name, doc, to) + poll(row, doc, to)
        except NotReached as why:
            log.warning("partner away", partner=name, why=why.detail)
            _failed(name, doc, why.detail)
        else:
            _say(name, None)
        return done


def follow(name: str, doc: dict[str, Any]) -> int:
    """Put what the journal says has become the partner's into its list; return how many entries were read."""
    with db.engine("app").begin() as conn:
        seq = conn.execute(
            text("select seq from twin.partner where name = :n for update"), {"n": name}
        ).scalar_one()
        entries = journal.entries(conn, after=seq, limit=BATCH, classes=("case",))
        if not entries:
            return 0
        ids = list({e.subject for e in entries})
        for row in conn.execute(_CASES, {"ids": ids}).all():
            case = dict(row._mapping)
            if case["process"] == doc["process"] and case["closed_at"] is None:
                _consider(conn, name, doc, case)
        conn.execute(
            text("update twin.partner set seq = :s where name = :n"),
            {"s": entries[-1].seq, "n": name},
        )
        return len(entries)


def _consider(conn: Connection, name: str, doc: dict[str, Any], case: Case) -> None:
    try:
        wanted = outgoing.fits(doc, case)
    except rules.RuleError as why:
        # A broken rule hands nothing on by itself, and says so where a person looks.
        if case["data"].get("rule_fault", {}).get("why") != why.detail:
            cases.fault(conn, case["id"], f"outgoing {name}", why.detail)
        return
    if wanted:
        conn.execute(
            text(
                "insert into twin.handed (partner, case_id, token) values (:n, :c, :t) "
                "on conflict (partner, case_id) do nothing"
            ),
            {"n": name, "c": case["id"], "t": uuid4()},
        )


_DUE = text(
    "select * from twin.handed where partner = :n and state in ('waiting', 'trying') "
    "and next_at <= now() order by next_at, case_id limit :most"
)
_TRY = text(
    "update twin.handed set state = 'trying', tries = tries + 1, tried_at = coalesce(tried_at, now()) "
    "where partner = :n and case_id = :c"
)
_SENT = text(
    "update twin.handed set state = 'sent', remote_id = :id, remote_token = :token, sent_at = now(), "
    "remote_status = 'open', changed_at = now(), error = null where partner = :n and case_id = :c"
)
_ENDED = text(
    "update twin.handed set state = :state, error = :why, changed_at = now() "
    "where partner = :n and case_id = :c"
)


def send(name: str, doc: dict[str, Any], to: Partner) -> int:
    """Post what waits; NotReached leaves the rest for later."""
    with db.engine("app").connect() as conn:
        due = conn.execute(_DUE, {"n": name, "most": SENDS}).all()
        found = {
            r.id: dict(r._mapping) for r in conn.execute(_CASES, {"ids": [d.case_id for d in due]})
        }
    for one in due:
        _send_one(name, doc, to, one, found[one.case_id])
    return len(due)


def _send_one(name: str, doc: dict[str, Any], to: Partner, one: Any, case: Case) -> None:
    which = {"n": name, "c": one.case_id}
    token = str(one.token)
    if one.tries == 0 and not _still(doc, case):
        with db.engine("app").begin() as conn:
            conn.execute(_ENDED, {**which, "state": "closed", "why": "no longer the partner's"})
        return
    with db.engine("app").begin() as conn:
        conn.execute(_TRY, which)
    try:
        # Nobody knows how the last try ended: what stands there already is not sent again.
        known = to.find(token, one.tried_at) if one.tries else None
        answer = {"service_request_id": known} if known else to.post(
            outgoing.request(doc, case, token), token
        )  # fmt: skip
    except Refused as why:
        with db.engine("app").begin() as conn:
            conn.execute(_ENDED, {**which, "state": "refused", "why": why.detail[:500]})
            _note(
                conn, name, case, {"status": "refused", "why": why.detail[:300]}, "handed_refused"
            )
        return
    number, later = answer.get("service_request_id"), answer.get("token")
    with db.engine("app").begin() as conn:
        conn.execute(_SENT, {**which, "id": number, "token": later})
        conn.execute(text("update twin.partner set sent = sent + 1 where name = :n"), {"n": name})
        _note(conn, name, case, {"id": number, "status": "open"}, "handed")


def _still(doc: dict[str, Any], case: Case) -> bool:
    """Tell whether a case that waited is the partner's yet."""
    try:
        return case["closed_at"] is None and outgoing.fits(doc, case)
    except rules.RuleError:
        return False


def _note(conn: Connection, name: str, case: Case, said: dict[str, Any], action: str) -> None:
    """Put what the partner says on the case, one entry."""
    with_all = conn.execute(_CASES, {"ids": [case["id"]]}).one().data.get("partners", {})
    at = datetime.now(UTC).isoformat()
    told = {**with_all, name: {**with_all.get(name, {}), **said, "at": at}}
    cases.annotate(conn, case["id"], {"partners": told}, action=action)


_OPEN = text("select * from twin.handed where partner = :n and state = 'sent' order by case_id")


def poll(partner: Any, doc: dict[str, Any], to: Partner) -> int:
    """Ask how what was handed on stands there, as often as is declared; return how many changed."""
    now, every = datetime.now(UTC), doc.get("poll_s", 60)
    if partner.polled_at is not None and (now - partner.polled_at).total_seconds() < every:
        return 0
    with db.engine("app").connect() as conn:
        waiting = conn.execute(_OPEN, {"n": partner.name}).all()
    changed = sum(_number(partner.name, one, to) for one in waiting if one.remote_id is None)
    known = [one for one in waiting if one.remote_id is not None]
    for i in range(0, len(known), ASKED):
        changed += _compare(partner.name, doc, to, known[i : i + ASKED])
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update twin.partner set polled_at = now() where name = :n"), {"n": partner.name}
        )
    return changed


def _number(name: str, one: Any, to: Partner) -> int:
    number = to.number(one.remote_token)
    if number is None:
        return 0
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update twin.handed set remote_id = :id where partner = :n and case_id = :c"),
            {"id": number, "n": name, "c": one.case_id},
        )
        case = dict(conn.execute(_CASES, {"ids": [one.case_id]}).one()._mapping)
        _note(conn, name, case, {"id": number}, "handed_number")
    return 1


def _compare(name: str, doc: dict[str, Any], to: Partner, some: Sequence[Any]) -> int:
    stands = to.standing([one.remote_id for one in some])
    changed = 0
    for one in some:
        row = stands.get(one.remote_id)
        if row is None:
            continue
        status = "closed" if str(row.get("status")).lower() == "closed" else "open"
        words = str(row.get("status_notes") or "")[:500]
        with db.engine("app").begin() as conn:
            changed += _take(conn, name, doc, one, status, words)
    return changed


def _take(
    conn: Connection, name: str, doc: dict[str, Any], one: Any, status: str, words: str
) -> int:
    case = dict(conn.execute(_CASES, {"ids": [one.case_id]}).one()._mapping)
    before = case["data"].get("partners", {}).get(name, {})
    if (before.get("status"), before.get("notes", "")) == (status, words):
        return 0
    said = {"id": one.remote_id, "status": status, "notes": words}
    _note(conn, name, case, said, "handed_news")
    state = "closed" if status == "closed" else "sent"
    conn.execute(
        text(
            "update twin.handed set remote_status = :s, state = :st, changed_at = now() "
            "where partner = :n and case_id = :c"
        ),
        {"s": status, "st": state, "n": name, "c": one.case_id},
    )
    action = _DONE.get(doc["on_closed"])
    if status == "closed" and action is not None and case["closed_at"] is None:
        try:
            with conn.begin_nested():
                cases.perform(
                    conn, case["id"], action, actor=SYSTEM, params={"note": words} if words else {}
                )
        except NotAllowedNow as why:
            # It went on here meanwhile: what the partner says is on the case, a person decides.
            log.info("not moved", case=case["code"], why=why.detail)
    return 1


def _failed(name: str, doc: dict[str, Any], why: str) -> None:
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "update twin.partner set fails = fails + 1, last_error = :why, next_at = now() + "
                "least(make_interval(secs => :most), make_interval(secs => :first * power(2, least(fails, 10)))) "
                "where name = :n"
            ),
            {"why": why[:500], "n": name, "first": doc.get("retry_s", 5), "most": doc.get("retry_most_s", 600)},
        )  # fmt: skip


def _say(name: str, error: str | None) -> None:
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "update twin.partner set fails = 0, last_error = :e where name = :n "
                "and (fails > 0 or last_error is not null)"
            ),
            {"n": name, "e": error},
        )


def add(name: str, url: str, key: str, *, actor: str) -> None:
    """Begin to hand events on to a declared partner, from now on."""
    if not url.startswith(("https://", "http://")) or len(url) > 400:
        raise BadRequest("The address begins with https:// (or http:// on one machine).")
    with db.engine("app").begin() as conn:
        outgoing.running(conn, name)
        conn.execute(
            text(
                "insert into twin.partner (name, url, secret, added_by, seq) values (:n, :u, :s, :by, "
                "(select coalesce(max(seq), 0) from twin.sealed)) on conflict (name) do update set "
                "url = excluded.url, secret = excluded.secret, enabled = true, next_at = now()"
            ),
            {"n": name, "u": url, "s": sealing.shut(USE, key, name) if key else None, "by": actor},
        )
        note = {"partner": name, "url": url}
        journal.append(conn, cls="security", action="partner.add", actor=actor, note=note, level=3)


def rekey(name: str, key: str, *, actor: str) -> None:
    """Change the key that a partner gave us; what waits goes on with the new one at once."""
    with db.engine("app").begin() as conn:
        done = conn.execute(
            text("update twin.partner set secret = :s, next_at = now() where name = :n"),
            {"n": name, "s": sealing.shut(USE, key, name)},
        ).rowcount
        if not done:
            raise NotFound(f"There is no partner {name}; it is added first.")
        note = {"partner": name}
        journal.append(conn, cls="security", action="partner.key", actor=actor, note=note, level=3)


def stop(name: str, *, actor: str) -> bool:
    """Hand nothing more on to a partner; what stands there is no longer asked for."""
    with db.engine("app").begin() as conn:
        done = conn.execute(
            text("update twin.partner set enabled = false where name = :n and enabled"), {"n": name}
        ).rowcount
        if done:
            note = {"partner": name}
            journal.append(
                conn, cls="security", action="partner.stop", actor=actor, note=note, level=3
            )
    return bool(done)


_LISTED = text(
    "select p.name, p.url, p.enabled, p.sent, p.fails, p.last_error, p.next_at, p.polled_at, "
    "greatest(0, (select coalesce(max(seq), 0) from twin.sealed) - p.seq) as behind, "
    "(select count(*) from twin.handed h where h.partner = p.name and h.state in ('waiting', 'trying')) as waiting, "
    "(select count(*) from twin.handed h where h.partner = p.name and h.state = 'sent') as open, "
    "(select count(*) from twin.handed h where h.partner = p.name and h.state = 'refused') as refused, "
    "(select count(*) from twin.handed h where h.partner = p.name and h.state = 'closed') as closed "
    "from twin.partner p order by p.name"
)


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Return the partners and how they stand."""
    return [dict(row) for row in conn.execute(_LISTED).mappings()]
