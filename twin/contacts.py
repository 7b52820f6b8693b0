"""The address book: people with post, unit and telephone, who is on duty, and the groups that are told together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from twin import accounts, declarations, policies
from twin.policies import Doc, Fault

KIND_OF = "group"
MOST = 1_000
Member = dict[str, Any]
_WHO = ("roles", "accounts", "posts", "units", "people")


def faults(doc: Doc) -> list[Fault]:
    """Return what is wrong with a group by itself."""
    if not any(doc.get(name) for name in _WHO):
        return [(("title",), f"say who belongs to the group: one of {', '.join(_WHO)}")]
    unknown = [r for r in doc.get("roles", ()) if r not in accounts.roles()]
    return [(("roles",), f"no role is called {name}") for name in unknown]


def warnings(conn: Connection, doc: Doc) -> list[Fault]:
    """Say when a group reaches nobody now."""
    return [] if members(conn, [doc]) else [(("title",), "nobody belongs to this group now")]


KIND = policies.register(
    policies.Kind(
        kind=KIND_OF, folder="groups", title={"zh": "通讯群组", "en": "Groups of people"},
        faults=faults, warnings=warnings,
    )
)  # fmt: skip


def groups(conn: Connection) -> dict[str, dict[str, Any]]:
    """Return the groups that run."""
    return declarations.current(conn, KIND_OF)


def masked(phone: str) -> str:
    """Return a telephone number without the digits that make it one: 138****5678."""
    digits = [i for i, sign in enumerate(phone) if sign.isdigit()]
    if len(digits) < 7:
        return "*" * len(phone)
    hidden = set(digits[3:-4]) if len(digits) > 7 else set(digits[:-3])
    return "".join("*" if i in hidden else sign for i, sign in enumerate(phone))


_ON_DUTY = (
    "(select jsonb_build_object('post', s.post, 'until', s.ends_at) from twin.duty_shift s "
    "where s.contact = c.id and s.removed_at is null and s.starts_at <= :now and s.ends_at > :now "
    "order by s.ends_at desc limit 1) as duty"
)
COLUMNS = (
    "c.id, c.version, c.name, c.post, c.unit, c.organisation, c.phone, c.account, c.district, "
    f"c.street, {_ON_DUTY}"
)
_CONTACTS = text(
    f"select {COLUMNS} from twin.contact c where c.gone_at is null and (c.post = any(:posts) "
    "or c.unit = any(:units) or c.organisation = any(:units) or c.name = any(:people) "
    "or c.account = any(:accounts)) order by c.unit, c.post, c.name, c.id limit 1000"
)
_ACCOUNTS = text(
    'select "user", name, roles from twin.account where (roles && cast(:roles as text[]) '
    'or "user" = any(:accounts)) and not disabled order by "user" limit 1000'
)


def members(conn: Connection, docs: Iterable[Mapping[str, Any]]) -> list[Member]:
    """Return the people of groups, each once; of a group on duty only who is, if anybody is."""
    found: dict[str, Member] = {}
    for doc in docs:
        some = _of(conn, doc)
        if doc.get("on_duty") and any(one["duty"] for one in some):
            some = [one for one in some if one["duty"]]
        for one in some:
            found.setdefault(one["key"], one)
    return list(found.values())[:MOST]


def _of(conn: Connection, doc: Mapping[str, Any]) -> list[Member]:
    said = {name: list(doc.get(name, ())) for name in _WHO}
    accounts = conn.execute(_ACCOUNTS, said).all()
    said["accounts"] = [row.user for row in accounts]
    rows = conn.execute(_CONTACTS, {**said, "now": datetime.now(UTC)}).all()
    people = [_contact(row) for row in rows]
    known = {one["user"] for one in people if one["user"]}
    return people + [
        {"key": f"u:{row.user}", "user": row.user, "contact": None, "name": row.name,
         "post": "", "unit": "", "duty": None}
        for row in accounts if row.user not in known
    ]  # fmt: skip


def _contact(row: Any) -> Member:
    key = f"u:{row.account}" if row.account else f"c:{row.id}"
    return {"key": key, "user": row.account, "contact": str(row.id),
            "name": {"zh": row.name, "en": row.name}, "post": row.post, "unit": row.unit,
            "duty": row.duty}  # fmt: skip


def of_groups(conn: Connection, keys: Sequence[str], roles: Sequence[str] = ()) -> list[Member]:
    """Return the people of named groups and of roles; a group that runs no more reaches nobody."""
    known = groups(conn)
    docs: list[Mapping[str, Any]] = [known[key] for key in keys if key in known]
    if roles:
        docs.append({"roles": list(roles)})
    return members(conn, docs)
