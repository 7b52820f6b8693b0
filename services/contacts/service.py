"""People of the address book, their shifts and groups: read within scope, telephones masked, changes journalled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, text

from twin import contacts, ids, journal
from twin.errors import BadRequest, Forbidden, NotFound, TooMany, VersionConflict
from twin.scope import Actor, scope_sql

LEVEL, REVEAL_LEVEL = 1, 3
MOST, MOST_SHIFTS = 20_000, 5_000
LONGEST_SHIFT = timedelta(days=7)
# Numbers, spaces and the signs of extensions and countries.
Phone = Annotated[str, Field(max_length=40, pattern=r"^[0-9+()*#转 -]*$")]


class Contact(BaseModel):
    """A person as they stand in the book."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    post: Annotated[str, Field(max_length=80)] = ""
    unit: Annotated[str, Field(max_length=120)] = ""
    organisation: Annotated[str, Field(max_length=64)] | None = None
    phone: Phone = ""
    account: Annotated[str, Field(max_length=64)] | None = None
    district: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None


class Changed(BaseModel):
    """What is changed of a person, and of which version; what is not said stays."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=2**31 - 2)]
    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    post: Annotated[str, Field(max_length=80)] | None = None
    unit: Annotated[str, Field(max_length=120)] | None = None
    phone: Phone | None = None


class Shift(BaseModel):
    """Who is on duty, from when to when."""

    model_config = ConfigDict(extra="forbid")

    contact: UUID
    post: Annotated[str, Field(max_length=80)] = ""
    starts_at: datetime
    ends_at: datetime


def _scope(actor: Actor) -> tuple[str, dict[str, Any]]:
    # A person has no place on the map: who sees an area only sees nobody of the book.
    return ("false", {}) if actor.area is not None else scope_sql(actor, "c", LEVEL)


def listed(
    conn: Connection, actor: Actor, *, q: str | None, unit: str | None, on_duty: bool,
    group: str | None, limit: int,
) -> dict[str, Any]:  # fmt: skip
    """Return people by unit and name, telephones masked."""
    scope, params = _scope(actor)
    where = ["c.gone_at is null", scope]
    if q:
        where.append("position(lower(:q) in lower(concat_ws(' ', c.name, c.post, c.unit))) > 0")
    if unit:
        where.append("c.unit = :unit")
    if on_duty:
        where.append(
            "exists (select from twin.duty_shift s where s.contact = c.id and s.removed_at is null "
            "and s.starts_at <= :now and s.ends_at > :now)"
        )
    if group:
        keys = [UUID(m["contact"]) for m in _members(conn, group) if m["contact"]]
        where.append("c.id = any(:members)")
        params |= {"members": keys}
    params |= {"q": q, "unit": unit, "now": datetime.now(UTC), "limit": limit}
    said = " and ".join(where)
    rows = conn.execute(
        text(
            f"select {contacts.COLUMNS}, count(*) over () as total from twin.contact c where {said} "
            "order by (c.district is not null), c.unit, c.post, c.name, c.id limit :limit"
        ),
        params,
    ).all()
    units = conn.execute(
        text(
            f"select c.unit, count(*) as n from twin.contact c where c.gone_at is null and {scope} "
            "group by 1 order by 1 limit 500"
        ),
        params,
    ).all()
    return {
        "contacts": [_shown(row) for row in rows],
        "total": rows[0].total if rows else 0,
        "units": [{"unit": row.unit, "n": row.n} for row in units],
        "may_write": actor.may("policy.write"),
        "may_reveal": actor.clearance >= REVEAL_LEVEL,
    }


def _members(conn: Connection, group: str) -> list[contacts.Member]:
    if group not in contacts.groups(conn):
        raise NotFound(f"No group is called {group}.")
    return contacts.of_groups(conn, [group])


def _shown(row: Any) -> dict[str, Any]:
    keys = "id version name post unit organisation account district duty".split()
    return {key: getattr(row, key) for key in keys} | {
        "phone": contacts.masked(row.phone),
        "has_phone": bool(row.phone),
    }


def groups(conn: Connection) -> list[dict[str, Any]]:
    """Return the groups with who belongs to each now."""
    return [
        {"key": key, "title": doc["title"], "on_duty": doc.get("on_duty", False),
         "verified": doc.get("verified", True), "members": contacts.of_groups(conn, [key])}
        for key, doc in sorted(contacts.groups(conn).items())
    ]  # fmt: skip


_ROW = "select {columns} from twin.contact c where c.id = :id and c.gone_at is null and {scope}"


def _one(conn: Connection, actor: Actor, contact: UUID, *, held: bool = False) -> Any:
    scope, params = _scope(actor)
    sql = _ROW.format(columns=contacts.COLUMNS, scope=scope) + (" for update of c" if held else "")
    row = conn.execute(text(sql), {**params, "id": contact, "now": datetime.now(UTC)}).first()
    if row is None:
        raise NotFound("Nobody of this id stands in the address book.")
    return row


def reveal(conn: Connection, actor: Actor, contact: UUID) -> dict[str, Any]:
    """Return a telephone number; who asked for whose is kept in the audit."""
    row = _one(conn, actor, contact)
    if actor.clearance < REVEAL_LEVEL:
        raise Forbidden("Your clearance does not include telephone numbers (L3).")
    journal.append(
        conn, cls="security", action="contact.reveal", actor=actor.user, level=REVEAL_LEVEL,
        subject=row.id, note={"contact": str(row.id), "name": row.name, "unit": row.unit},
    )  # fmt: skip
    return {"id": row.id, "name": row.name, "phone": row.phone}


_INSERT = text(
    "insert into twin.contact (id, name, post, unit, organisation, phone, account, district) "
    "values (:id, :name, :post, :unit, :organisation, :phone, :account, :district)"
)


def add(conn: Connection, actor: Actor, new: Contact) -> dict[str, Any]:
    """Write a person into the book."""
    actor.need("policy.write")
    if conn.scalar(text("select count(*) from twin.contact where gone_at is null")) >= MOST:
        raise TooMany(f"The address book holds {MOST} people; take some out first.")
    if new.account is not None:
        _account(conn, new.account)
    row = new.model_dump() | {"id": ids.uuid7()}
    conn.execute(_INSERT, row)
    _journal(conn, actor, "insert", row["id"], 1, None, row)
    return _shown(_one(conn, actor, row["id"]))


def _account(conn: Connection, user: str) -> None:
    if not conn.scalar(
        text('select exists (select from twin.account where "user" = :u)'), {"u": user}
    ):
        raise BadRequest(f"No account is called {user}.", parameter="account")


def change(conn: Connection, actor: Actor, contact: UUID, new: Changed) -> dict[str, Any]:
    """Change a person of the book."""
    actor.need("policy.write")
    row = _one(conn, actor, contact, held=True)
    if row.version != new.version:
        raise VersionConflict("This person has just been changed; look again.")
    said = new.model_dump(exclude={"version"}, exclude_none=True)
    sets = ", ".join(f"{name} = :{name}" for name in said)
    if sets:
        conn.execute(
            text(
                f"update twin.contact set {sets}, version = version + 1, changed_at = now() "
                "where id = :id"
            ),
            {**said, "id": contact},
        )
        before = {name: getattr(row, name) for name in said}
        _journal(conn, actor, "update", contact, row.version + 1, before, said)
    return _shown(_one(conn, actor, contact))


def remove(conn: Connection, actor: Actor, contact: UUID) -> None:
    """Take a person out of the book, and off duty."""
    actor.need("policy.write")
    row = _one(conn, actor, contact, held=True)
    conn.execute(
        text("update twin.contact set gone_at = now(), version = version + 1 where id = :id"),
        {"id": contact},
    )
    conn.execute(
        text(
            "update twin.duty_shift set removed_at = now() where contact = :id and ends_at > now() "
            "and removed_at is null"
        ),
        {"id": contact},
    )
    before = {name: getattr(row, name) for name in ("name", "post", "unit", "phone")}
    _journal(conn, actor, "remove", contact, row.version + 1, before, None)


def _journal(
    conn: Connection, actor: Actor, action: str, contact: UUID, version: int,
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None,
) -> None:  # fmt: skip
    said = None if after is None else {k: v for k, v in after.items() if k != "id"}
    journal.append(
        conn, cls="contact", action=action, actor=actor.user, subject=contact, kind="contact",
        version=version, level=REVEAL_LEVEL, before=before, after=said,
    )  # fmt: skip


def roster(conn: Connection, actor: Actor, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return who is on duty between two moments."""
    scope, params = _scope(actor)
    rows = conn.execute(
        text(
            "select s.id, s.contact, c.name, c.unit, coalesce(nullif(s.post, ''), c.post) as post, "
            "s.starts_at, s.ends_at, s.starts_at <= now() and s.ends_at > now() as now "
            "from twin.duty_shift s join twin.contact c on c.id = s.contact "
            "where s.removed_at is null and c.gone_at is null and s.starts_at < :b and s.ends_at > :a "
            f"and {scope} order by s.starts_at, s.id limit :limit"
        ),
        {**params, "a": start, "b": end, "limit": MOST_SHIFTS},
    )
    return [dict(row._mapping) for row in rows]


def put_shift(conn: Connection, actor: Actor, new: Shift) -> dict[str, Any]:
    """Write a shift into the roster."""
    actor.need("policy.write")
    if new.starts_at.tzinfo is None or new.ends_at.tzinfo is None:
        raise BadRequest("Times of a shift have an offset, such as +08:00.")
    if not timedelta(0) < new.ends_at - new.starts_at <= LONGEST_SHIFT:
        raise BadRequest("A shift ends after it begins, at most seven days later.")
    row = _one(conn, actor, new.contact, held=True)
    number = conn.execute(
        text(
            "insert into twin.duty_shift (contact, post, starts_at, ends_at, set_by) "
            "values (:contact, :post, :starts_at, :ends_at, :by) returning id"
        ),
        {**new.model_dump(), "by": actor.user},
    ).scalar_one()
    said = {"shift": number, "starts_at": new.starts_at.isoformat(), "ends_at": new.ends_at.isoformat(),
            "post": new.post}  # fmt: skip
    journal.append(
        conn, cls="contact", action="shift", actor=actor.user, subject=row.id, kind="contact",
        level=LEVEL, after=said,
    )  # fmt: skip
    return {"id": number, "name": row.name, **new.model_dump()}


def drop_shift(conn: Connection, actor: Actor, number: int) -> None:
    """Take a shift off the roster."""
    actor.need("policy.write")
    scope, params = _scope(actor)
    row = conn.execute(
        text(
            "update twin.duty_shift s set removed_at = now() from twin.contact c where c.id = s.contact "
            f"and s.id = :id and s.removed_at is null and {scope} returning s.contact"
        ),
        {**params, "id": number},
    ).first()
    if row is None:
        raise NotFound("There is no such shift.")
    journal.append(
        conn, cls="contact", action="unshift", actor=actor.user, subject=row.contact, kind="contact",
        level=LEVEL, note={"shift": number},
    )  # fmt: skip
