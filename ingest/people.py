"""The address book out of a file (CSV, XLSX), and the invented one of the demo city with its roster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from ingest import reports
from twin import calendar, db, declarations, ids, journal
from twin.errors import BadRequest

MOST_ROWS = 20_000
_NAMES = {
    "name": ("姓名", "name"), "post": ("职务", "岗位", "post"), "unit": ("单位", "部门", "unit"),
    "phone": ("电话", "手机", "联系电话", "phone"), "account": ("账号", "account"),
    "district": ("行政区", "区代码", "district"), "organisation": ("机构代码", "organisation"),
}  # fmt: skip
_PHONE = re.compile(r"^[0-9+()*#转 -]{0,40}$")
_PUT = text(
    "insert into twin.contact as c (id, name, post, unit, organisation, phone, account, district, "
    "source, source_id) values (:id, :name, :post, :unit, :organisation, :phone, :account, :district, "
    ":source, :source_id) on conflict (source, source_id) do update set post = excluded.post, "
    "phone = excluded.phone, account = excluded.account, district = excluded.district, "
    "organisation = excluded.organisation, version = c.version + 1, changed_at = now(), gone_at = null "
    "where (c.post, c.phone, c.account, c.district, c.organisation) is distinct from (excluded.post, "
    "excluded.phone, excluded.account, excluded.district, excluded.organisation) or c.gone_at is not null "
    "returning id, version"
)


def load(path: Path, actor: str, source: str = "file") -> dict[str, Any]:
    """Take a file in: people by unit and name; the same file again changes nothing."""
    read = written = 0
    refused: list[dict[str, Any]] = []
    with db.engine("app").begin() as conn:
        for line, row in enumerate(_rows(path), 2):
            read += 1
            try:
                written += _put(conn, _person(row), source, actor)
            except BadRequest as why:
                refused.append({"line": line, "why": why.detail})
    return {"read": read, "written": written, "unchanged": read - written - len(refused),
            "refused": refused[:200]}  # fmt: skip


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    for n, row in enumerate(reports.records(path)):
        if n >= MOST_ROWS:
            raise BadRequest(f"An address book has at most {MOST_ROWS} people.")
        yield row


def _person(row: Mapping[str, Any]) -> dict[str, Any]:
    said = {
        key: next((str(row[n]).strip() for n in names if row.get(n) not in (None, "")), "")
        for key, names in _NAMES.items()
    }
    if not said["name"] or len(said["name"]) > 60:
        raise BadRequest("a person has a name of at most 60 characters")
    if not _PHONE.match(said["phone"]):
        raise BadRequest(f"{said['name']}: the telephone holds more than digits")
    if said["district"] and not re.fullmatch(r"[0-9]{6}", said["district"]):
        raise BadRequest(f"{said['name']}: a district is a code of six digits")
    return said | {"post": said["post"][:80], "unit": said["unit"][:120]}


def _put(conn: Connection, said: dict[str, Any], source: str, actor: str) -> int:
    key = {"id": ids.uuid7(), "source": source, "source_id": f"{said['unit']}/{said['name']}"}
    empty = {name: said[name] or None for name in ("account", "district", "organisation")}
    row = conn.execute(_PUT, said | key | empty).first()
    if row is None:
        return 0
    journal.append(
        conn, cls="contact", action="insert" if row.version == 1 else "update", actor=actor,
        subject=row.id, kind="contact", version=row.version, level=3, after=said | empty,
    )  # fmt: skip
    return 1


# Invented people keep these hours for so many days ahead.
_DAYS, _SHIFTS = 45, ((time(8), 12), (time(20), 12))


def demo() -> int:
    """Write the invented address book and its roster, once."""
    with db.engine("app").begin() as conn:
        if conn.scalar(text("select exists (select from twin.contact)")):
            return 0
    done: int = load(declarations.DATA / "demo" / "contacts.csv", "system:demo", "demo")["written"]
    with db.engine("app").begin() as conn:
        _rosters(conn)
    return done


def _rosters(conn: Connection) -> None:
    """Let the people of each post that is kept around the clock take turns."""
    today = datetime.now(calendar.ZONE).date() - timedelta(days=1)
    for post in ("总值班长", "值班员", "抢险队长"):
        people = conn.scalars(
            text("select id from twin.contact where post = :p order by name"), {"p": post}
        ).all()
        turn = 0
        for day in range(_DAYS if people else 0):
            for begin, hours in _SHIFTS:
                start = datetime.combine(today + timedelta(days=day), begin, calendar.ZONE)
                conn.execute(
                    text(
                        "insert into twin.duty_shift (contact, post, starts_at, ends_at, set_by) "
                        "values (:c, :p, :a, :b, 'system:demo')"
                    ),
                    {"c": people[turn % len(people)], "p": post, "a": start.astimezone(UTC),
                     "b": (start + timedelta(hours=hours)).astimezone(UTC)},
                )  # fmt: skip
                turn += 1
    journal.append(
        conn, cls="contact", action="roster", actor="system:demo", kind="contact",
        note={"days": _DAYS},
    )  # fmt: skip
