"""What goes out: changes from the sealed journal in the caller's scope, with tombstones, resumable.

A cursor is `seq`, or `seq:num` within a load that names its rows by number. Delivery is at least
once: who reads a page twice finds the same versions again. A row that a load brought is sent as it
stands now; what changed since comes again, under its own entry, with its version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import shapely
import sqlalchemy as sa
from sqlalchemy import Connection, text

from twin import cases, catalogue, pastnames
from twin.bulk import spans
from twin.errors import BadRequest
from twin.eventview import PROCESS, View
from twin.feed import owners
from twin.kinds import Kind
from twin.scope import Actor, sees, visible
from twin.tables import table
from twin.things import row_json
from twin.versions import renamed

# Entries looked at for one page: a reader with a narrow scope must not make us walk the whole journal.
LOOKED_AT = 5_000
_CURSOR = re.compile(r"^(\d{1,18})(?::(\d{1,10}))?$")
Change = dict[str, Any]


@dataclass(frozen=True, order=True)
class Cursor:
    """How far a reader has come: all of entry `seq`, or its rows up to `num` when num > 0."""

    seq: int
    num: int = 0

    @classmethod
    def parse(cls, said: str) -> Cursor:
        """Read `123` or `123:45`; BadRequest otherwise."""
        found = _CURSOR.match(said)
        if not found or int(found[1]) >= 2**62:
            raise BadRequest(
                "after is the `next` of an earlier answer, or 0 to begin.", parameter="after"
            )
        return cls(int(found[1]), int(found[2] or 0))

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"{self.seq}:{self.num}" if self.num else str(self.seq)


@dataclass(frozen=True)
class Page:
    """Changes in the order of the journal; `more` when there is something behind `next`."""

    changes: list[Change]
    next: Cursor
    more: bool


ENTRIES = text(
    "select s.seq, j.* from twin.sealed s join twin.journal j on j.id = s.entry "
    "where s.seq > :after and j.class in ('thing', 'load', 'case', 'feed') order by s.seq limit :n"
)


class Reader:
    """Reads pages for one reader: its scope, its kinds, and whom it must not get its own from."""

    def __init__(
        self,
        conn: Connection,
        actor: Actor,
        *,
        peer: str | None = None,
        kinds: Sequence[str] | None = None,
    ) -> None:
        """`peer` is what this side calls the reader: its own changes are not told back to it."""
        self.conn, self.actor, self.peer = conn, actor, peer
        known = catalogue.readable(conn, actor)
        for name in kinds or ():
            if name not in known and name != "event":
                raise BadRequest(f"There is no kind {name!r} that you may see.", parameter="kinds")
        self.kinds = {
            name: kind
            for name, kind in known.items()
            if owners.exchanged(kind) and (not kinds or name in kinds)
        }
        self.events = actor.may("event.read") and (not kinds or "event" in kinds)
        self._view: View | None = None
        self._former: dict[str, dict[str, str]] = {}

    def page(self, after: Cursor, limit: int) -> Page:
        """Return up to `limit` changes after a cursor."""
        found: list[Change] = []
        at = after
        # The end is read first: an entry sealed between the two reads must not be stepped over.
        last = self._last()
        # Who stands within a load gets the rest of it first.
        entries = self._entries(after.seq - 1 if after.num else after.seq)
        for entry in entries:
            start = after.num if entry.seq == after.seq else 0
            for num, change in self._of(entry, start, limit - len(found)):
                found.append(change)
                if num and len(found) >= limit:
                    return Page(self._told(found), Cursor(entry.seq, num), True)
            at = Cursor(entry.seq)
            if len(found) >= limit:
                return Page(self._told(found), at, True)
        more = len(entries) >= LOOKED_AT
        return Page(self._told(found), at if more else max(at, Cursor(last)), more)

    def _entries(self, after: int) -> Sequence[Any]:
        return self.conn.execute(ENTRIES, {"after": after, "n": LOOKED_AT}).all()

    def _last(self) -> int:
        asked = text("select coalesce(max(seq), 0) from twin.sealed")
        return int(self.conn.execute(asked).scalar_one())

    def _of(self, entry: Any, start: int, room: int) -> Iterator[tuple[int, Change]]:
        """Yield (num, change) of an entry; num is 0 unless the entry stands for many rows."""
        note = entry.note or {}
        of = entry._mapping["class"]
        kind = self.kinds.get(entry.kind or "")
        change: Change | None
        if of == "case":
            if change := self._event(entry):
                yield 0, change
        elif kind is None:
            return
        elif of == "load":
            yield from self._rows(entry, kind, spans(note.get("nums") or "{}"), start, room)
        elif of == "feed" and entry.action == "assert" and note.get("peer") == self.peer:
            for change in self._standing(entry, kind, note["ids"]):
                yield 0, change | {"assert": True}
        elif of == "thing" and (self.peer is None or note.get("feed") != self.peer):
            if change := self._change(entry, kind):
                yield 0, change

    def _change(self, entry: Any, kind: Kind) -> Change | None:
        before = self._named(kind, entry.before)
        after = self._named(kind, entry.after)
        seen = after is not None and self._sees(kind, after)
        if seen and after is not None:
            return self._upsert(entry, kind, after)
        if before is not None and self._sees(kind, before):
            gone = "removed" if after is None else "left_scope"
            return self._head(entry, kind, before, entry.version) | {
                "action": "delete",
                "reason": gone,
            }
        return None

    def _named(self, kind: Kind, row: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if row is None:
            return None
        if kind.kind not in self._former:
            self._former[kind.kind] = pastnames.former(self.conn, kind.kind)
        return dict(renamed(dict(row), self._former[kind.kind]))

    def _sees(self, kind: Kind, row: Mapping[str, Any]) -> bool:
        point = None
        if self.actor.area is not None and row.get("geom"):
            spot = shapely.point_on_surface(shapely.from_geojson(json.dumps(row["geom"])))
            point = (spot.x, spot.y)
        return sees(
            self.actor, kind, row.get("district"), row.get("street"), point, level=kind.level
        )

    def _head(self, entry: Any, kind: Kind, row: Mapping[str, Any], version: int) -> Change:
        return {
            "seq": entry.seq, "at": entry.at.isoformat(), "kind": kind.kind, "key": str(row["id"]),
            "code": row["code"], "version": version, "yours": None,
        }  # fmt: skip

    def _upsert(self, entry: Any, kind: Kind, row: Mapping[str, Any]) -> Change:
        names = ["code", "name", "state", "district", "street", *catalogue.fields(kind, self.actor)]
        return self._head(entry, kind, row, row["version"]) | {
            "action": "upsert",
            "feature": {
                "type": "Feature",
                "id": str(row["id"]),
                "geometry": row.get("geom"),
                "properties": {n: row.get(n) for n in names},
            },
        }

    def _rows(
        self, entry: Any, kind: Kind, nums: Sequence[tuple[int, int]], start: int, room: int
    ) -> Iterator[tuple[int, Change]]:
        """Yield the rows that a load brought and that still stand, in the order of their numbers."""
        for low, beyond in nums:
            at = max(low, start + 1)
            while at < beyond and room > 0:
                rows = self._select(
                    kind, "t.num >= :low and t.num < :high", {"low": at, "high": beyond}, room
                )
                for row in rows:
                    yield row["num"], self._upsert(entry, kind, row)
                room -= len(rows)
                if not rows:
                    break
                at = rows[-1]["num"] + 1

    def _standing(self, entry: Any, kind: Kind, ids: Sequence[str]) -> Iterator[Change]:
        rows = self._select(kind, "t.id = any(:ids)", {"ids": [UUID(i) for i in ids]}, len(ids))
        for row in rows:
            yield self._upsert(entry, kind, row)

    def _select(
        self, kind: Kind, where: str, names: Mapping[str, Any], limit: int
    ) -> list[dict[str, Any]]:
        t = table(kind).alias("t")
        query: sa.Select[Any] = (
            sa.select(sa.literal_column(row_json("t", kind)))
            .select_from(t)
            .where(text(where), visible(self.actor, t, kind))
            .order_by(t.c.num)
            .limit(limit)
        )
        return [dict(row) for row in self.conn.scalars(query, dict(names))]

    def _event(self, entry: Any) -> Change | None:
        after = entry.after
        if not self.events or after is None or after.get("process") != PROCESS:
            return None
        point = (entry.lon, entry.lat) if entry.lon is not None else None
        if not sees(
            self.actor, None, entry.district, after.get("street"), point, level=cases.LEVEL
        ):
            return None
        self._view = self._view or View(self.conn)
        self._view.definition(after)
        shown = self._view.show(after, self.actor)
        lon, lat = shown.pop("point")
        shown.pop("actions")
        return {
            "seq": entry.seq, "at": entry.at.isoformat(), "kind": "event", "key": shown["id"],
            "code": shown["code"], "version": entry.version, "yours": None, "action": "upsert",
            "step": entry.action,
            "feature": {
                "type": "Feature", "id": shown["id"], "properties": shown,
                "geometry": {"type": "Point", "coordinates": [lon, lat]} if lon is not None else None,
            },
        }  # fmt: skip

    def _told(self, changes: list[Change]) -> list[Change]:
        """Name each thing as the reader knows it, where it has an id of its own for it."""
        if self.peer is None or not changes:
            return changes
        rows = self.conn.execute(
            text("select thing, key from twin.feed_item where peer = :p and thing = any(:ids)"),
            {"p": self.peer, "ids": [UUID(c["key"]) for c in changes]},
        )
        theirs = {str(row.thing): str(row.key) for row in rows}
        return [c | {"yours": theirs.get(c["key"])} for c in changes]
