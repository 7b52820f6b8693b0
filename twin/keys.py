"""Keys of partner systems: what each may read, how fast, how much a day, from where, until when."""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import catalogue, journal, sealing
from twin.errors import BadRequest, NotFound, Unauthorized
from twin.scope import Actor

PREFIX = "lvk_"
ACTS = ("map.read", "event.read", "event.report", "export.read", "data.write", "feed.write")
MAX_DAYS, MAX_RATE, MAX_QUOTA = 366 * 2, 10_000.0, 1_000_000_000
_ID = re.compile(r"[a-z0-9]{8}")
_MANY = 500
_TODAY = "(now() at time zone 'Asia/Shanghai')::date"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a key is asked to open."""

    name: str
    kinds: Sequence[str] | None = None
    districts: Sequence[str] | None = None
    fields: Mapping[str, Sequence[str]] | None = None
    acts: Sequence[str] = ("map.read",)
    clearance: int = 1
    rate_per_s: float = 10.0
    burst: int = 50
    daily_quota: int = 100_000
    days: int = 365
    addresses: Sequence[str] | None = None


def issue(conn: Connection, wanted: Wanted, actor: str) -> tuple[str, str]:
    """Make a key; return its id and the token, which nobody can show again."""
    _check(conn, wanted)
    key_id = "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(8))
    token = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    said: dict[str, Any] = {
        "id": key_id, "digest": _digest(token), "name": wanted.name.strip(),
        "acts": sorted({"map.read", *wanted.acts}), "clearance": wanted.clearance,
        "kinds": sorted(set(wanted.kinds)) if wanted.kinds is not None else None,
        "districts": sorted(set(wanted.districts)) if wanted.districts is not None else None,
        "fields": {k: sorted(set(v)) for k, v in wanted.fields.items()} if wanted.fields else None,
        "addresses": list(wanted.addresses) if wanted.addresses else None,
        "rate_per_s": float(wanted.rate_per_s), "burst": wanted.burst,
        "daily_quota": wanted.daily_quota, "created_by": actor,
        "expires_at": datetime.now(UTC).replace(microsecond=0) + timedelta(days=wanted.days),
    }  # fmt: skip
    conn.execute(
        text(
            f"insert into twin.partner_key ({', '.join(said)}, mac) "
            f"values ({', '.join(f':{name}' for name in said)}, :mac)"
        ).bindparams(bindparam("fields", type_=JSONB(none_as_null=True))),
        said | {"mac": sealing.mac("key", *_sealed(said))},
    )
    after = {k: v for k, v in said.items() if k != "digest"}
    journal.append(
        conn, cls="security", action="key.add", actor=actor,
        after=after | {"expires_at": said["expires_at"].isoformat()}, level=3,
    )  # fmt: skip
    return key_id, token


def _sealed(said: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        said["id"], bytes(said["digest"]).hex(), list(said["acts"]), said["clearance"], said["kinds"],
        said["districts"], said["fields"], said["addresses"], int(said["expires_at"].timestamp()),
    )  # fmt: skip


def _check(conn: Connection, wanted: Wanted) -> None:
    if not 1 <= len(wanted.name.strip()) <= 80:
        raise BadRequest("A key names its partner system in 1 to 80 characters.", parameter="name")
    bounds = [
        ("clearance", wanted.clearance, 1, 4), ("rate_per_s", wanted.rate_per_s, 0.01, MAX_RATE),
        ("burst", wanted.burst, 1, 100_000), ("daily_quota", wanted.daily_quota, 1, MAX_QUOTA),
        ("days", wanted.days, 1, MAX_DAYS),
    ]  # fmt: skip
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise BadRequest(f"{name} is from {low} to {high}.", parameter=name)
    if unknown := sorted(set(wanted.acts) - set(ACTS)):
        raise BadRequest(f"No key has the act {unknown[0]}; known are {', '.join(ACTS)}.")
    _check_scope(conn, wanted)
    for said in wanted.addresses or ():
        try:
            ipaddress.ip_network(said, strict=False)
        except ValueError as why:
            raise BadRequest(f"{said!r} is no address or network.", parameter="addresses") from why
    if wanted.addresses is not None and len(wanted.addresses) > _MANY:
        raise BadRequest(f"At most {_MANY} networks.", parameter="addresses")


def _check_scope(conn: Connection, wanted: Wanted) -> None:
    running = catalogue.all_kinds(conn)
    for name in (*(wanted.kinds or ()), *(wanted.fields or ())):
        if name not in running and name != "event":
            raise BadRequest(f"No kind is called {name!r}.", parameter="kinds")
    for name, fields in (wanted.fields or {}).items():
        if unknown := [f for f in fields if f not in running[name].fields]:
            raise BadRequest(f"{name} has no field {unknown[0]!r}.", parameter="fields")
    if wanted.districts is not None:
        known = set(conn.scalars(text("select code from twin.thing where kind = 'district'")))
        if unknown := [d for d in wanted.districts if d not in known]:
            raise BadRequest(f"There is no district {unknown[0]!r}.", parameter="districts")
    if (wanted.kinds is not None and not wanted.kinds) or wanted.districts == []:
        raise BadRequest("A key that opens nothing is of no use; leave it out for all.")


def find(conn: Connection, token: str) -> Any:
    """Return the row of a key that opens; Unauthorized says why another does not."""
    row = conn.execute(
        text("select * from twin.partner_key where digest = :d"), {"d": _digest(token)}
    ).first()
    if row is None:
        raise Unauthorized("This key is unknown.", reason="unknown")
    if row.revoked_at is not None:
        raise Unauthorized("This key was revoked.", reason="revoked", key=row.id)
    if row.expires_at <= datetime.now(UTC):
        raise Unauthorized("This key has expired; ask for a new one.", reason="expired", key=row.id)
    if not sealing.holds(row.mac, "key", *_sealed(dict(row._mapping))):
        raise Unauthorized(
            "What this key opens was changed past this program.", reason="altered", key=row.id
        )
    return row


def actor_of(row: Any) -> Actor:
    """Return the actor of a key."""
    fields = row.fields
    return Actor(
        user=f"key:{row.id}",
        acts=frozenset(row.acts),
        districts=tuple(row.districts) if row.districts is not None else None,
        clearance=row.clearance,
        kinds=frozenset(row.kinds) if row.kinds is not None else None,
        fields={k: frozenset(v) for k, v in fields.items()} if fields else None,
        key_id=row.id,
    )


def count(conn: Connection, key_id: str, calls: int, refused: int) -> int:
    """Add to the day's use of a key; return how many calls it has had today."""
    conn.execute(
        text("update twin.partner_key set last_used_at = now() where id = :k"), {"k": key_id}
    )
    return int(
        conn.execute(
            text(
                f"insert into twin.key_use as u (key, day, calls, refused) values (:k, {_TODAY}, :c, :r) "
                "on conflict (key, day) do update set calls = u.calls + excluded.calls, "
                "refused = u.refused + excluded.refused returning calls"
            ),
            {"k": key_id, "c": calls, "r": refused},
        ).scalar_one()
    )


def revoke(conn: Connection, key_id: str, actor: str) -> None:
    """End a key for good."""
    done = conn.execute(
        text("update twin.partner_key set revoked_at = now() where id = :k and revoked_at is null"),
        {"k": key_id},
    ).rowcount
    if not done:
        raise NotFound("There is no such key that still opens.")
    journal.append(
        conn, cls="security", action="key.revoke", actor=actor, note={"key": key_id}, level=3
    )


def rotate(conn: Connection, key_id: str, grace_hours: int, actor: str) -> tuple[str, str]:
    """Make a key that opens what another opens; the other still opens for some hours."""
    row = conn.execute(
        text(
            "select * from twin.partner_key where id = :k and revoked_at is null "
            "and expires_at > now() for update"
        ),
        {"k": key_id},
    ).mappings().first()  # fmt: skip
    if row is None:
        raise NotFound("There is no such key that still opens.")
    same = {f.name: row[f.name] for f in dataclasses.fields(Wanted) if f.name != "days"}
    days = max(1, round((row["expires_at"] - row["created_at"]).total_seconds() / 86_400))
    made = issue(conn, Wanted(**same, days=min(days, MAX_DAYS)), actor)
    if not grace_hours:
        revoke(conn, key_id, actor)
        return made
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=grace_hours)
    said = {**row, "expires_at": min(row["expires_at"], end)}
    conn.execute(
        text("update twin.partner_key set expires_at = :e, mac = :m where id = :k"),
        {"e": said["expires_at"], "m": sealing.mac("key", *_sealed(said)), "k": key_id},
    )
    journal.append(
        conn, cls="security", action="key.rotate", actor=actor, level=3,
        note={"key": key_id, "to": made[0], "until": said["expires_at"].isoformat()},
    )  # fmt: skip
    return made


def listed(conn: Connection) -> list[dict[str, Any]]:
    """Return all keys, newest first, with today's use and that of the last 30 days."""
    rows = conn.execute(
        text(
            "select k.id, k.name, k.acts, k.clearance, k.kinds, k.districts, k.fields, k.addresses, "
            "k.rate_per_s, k.burst, k.daily_quota, k.expires_at, k.revoked_at, k.created_by, "
            "k.created_at, k.last_used_at, coalesce(t.calls, 0) as today, "
            "coalesce(t.refused, 0) as refused_today, (select coalesce(sum(calls), 0) from twin.key_use u "
            f"where u.key = k.id and u.day > {_TODAY} - 30)::bigint as month from twin.partner_key k "
            f"left join twin.key_use t on t.key = k.id and t.day = {_TODAY} order by k.created_at desc"
        )
    ).mappings()
    return [dict(row) for row in rows]


def looks_like(token: str) -> bool:
    """Tell whether a token is written like a key."""
    return token.startswith(PREFIX) and bool(_ID.fullmatch(token[len(PREFIX) : len(PREFIX) + 8]))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
