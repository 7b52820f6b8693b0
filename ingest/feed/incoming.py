"""Taking over changes of a peer: idempotent, within its scope, each field by its owner (一数一源).

A change names the thing by its id over there (`key`) and carries its version there. What has been
taken over before is older and changes nothing. A field that is not the peer's keeps our value; where
the two differ, ours is told again (`assert`), so that both sides end equal. A change that cannot
be taken over is refused with a reason and never stops the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gis.geometry import mend_many, wkb_hex
from ingest.files import values
from twin import catalogue, door, journal, things
from twin.feed import owners
from twin.feed.owners import Side
from twin.kinds import Field, Kind
from twin.revise import revise
from twin.scope import Actor, visible_district

MAX_CHANGES = 1_000
# Two metres: the same thing, surveyed once and loaded on both sides.
_NEAR_DEG = 2e-5
_TEXT = Field(name="name", type="text", title={})
_SCOPE = "It lies outside the districts of this account; send it to the district that it lies in."


@dataclass
class Item:
    """One change on its way in, and what came of it."""

    at: int
    kind: str
    key: str
    version: int
    action: str
    said: Mapping[str, Any]
    yours: str | None = None
    insist: bool = False
    thing: UUID | None = None
    values: dict[str, Any] = field(default_factory=dict)
    result: str = ""
    code: str = ""
    why: str = ""
    kept: list[str] = field(default_factory=list)

    def refuse(self, code: str, why: str) -> None:
        """Say why it cannot be taken over."""
        self.result, self.code, self.why = "refused", code, why[:500]


class Incoming:
    """Takes over the changes of one peer in the caller's transaction."""

    def __init__(self, conn: Connection, actor: Actor, *, peer: str, side: Side) -> None:
        """`actor` is in whose scope it happens; `side` is where the peer stands."""
        self.conn, self.actor, self.peer, self.side = conn, actor, peer, side
        self.kinds = catalogue.readable(conn, actor)
        self.by = f"feed:{peer}"

    def take(self, changes: Sequence[Any]) -> list[Item]:
        """Take over changes in their order; return what came of each."""
        # One writer a peer: two deliveries of the same changes must not both find them new.
        self.conn.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:k, 21))"), {"k": self.by}
        )
        items = [_item(i, said) for i, said in enumerate(changes)]
        open_ = [one for one in items if not one.result]
        for name in dict.fromkeys(one.kind for one in open_):
            self._kind(name, [one for one in open_ if one.kind == name])
        self._note(items)
        return items

    def _kind(self, name: str, items: list[Item]) -> None:
        kind = self.kinds.get(name)
        if kind is None or not owners.exchanged(kind):
            for one in items:
                one.refuse("no_such_kind", f"{name} is not exchanged with this account.")
            return
        # Of several changes of a thing the last one says it all.
        last = {one.key: one for one in items}
        for one in items:
            if last[one.key] is not one:
                one.result = "superseded"
        wanted = list(last.values())
        self._recognise(kind, wanted)
        self._remove(kind, [o for o in wanted if not o.result and o.action == "delete"])
        left = [o for o in wanted if not o.result and o.action == "upsert"]
        self._read(kind, left)
        self._revise(kind, [o for o in left if not o.result and o.thing is not None])
        self._insert(kind, [o for o in left if not o.result and o.thing is None])

    def _recognise(self, kind: Kind, items: list[Item]) -> None:
        """Find the thing that each change is about, and leave out what is known already."""
        known = {
            str(row.key): row
            for row in self.conn.execute(
                text(
                    "select i.key, i.version, i.thing, t.gone_at from twin.feed_item i "
                    "join twin.thing t on t.id = i.thing where i.peer = :p and i.key = any(:keys)"
                ),
                {"p": self.peer, "keys": [UUID(o.key) for o in items]},
            )
        }
        for one in items:
            row = known.get(one.key)
            if row is not None:
                if row.version > one.version or (row.version == one.version and not one.insist):
                    one.thing, one.result = row.thing, "older"
                    continue
                one.thing = None if row.gone_at else row.thing
        self._by_name(kind, [o for o in items if not o.result and o.key not in known])

    def _by_name(self, kind: Kind, items: list[Item]) -> None:
        """Recognise what the peer knows to be ours, and what both loaded under the same code."""
        said = [UUID(o.yours) for o in items if o.yours]
        codes = [str(c) for o in items if (c := _properties(o).get("code"))]
        rows = self.conn.execute(
            text(
                "select id, code, name, st_x(point) as lon, st_y(point) as lat, id = any(:ids) as named "
                "from twin.thing t where kind = :k "
                "and gone_at is null and (id = any(:ids) or code = any(:codes)) and not exists "
                "(select 1 from twin.feed_item i where i.peer = :p and i.thing = t.id)"
            ),
            {"ids": said, "codes": codes, "k": kind.kind, "p": self.peer},
        ).all()
        ids = {str(row.id): row.id for row in rows if row.named}
        by_code = {row.code: row for row in rows}
        for one in items:
            same = by_code.get(_properties(one).get("code"))
            one.thing = ids.get(one.yours or "") or (
                same.id if same is not None and _is_there(one, same) else None
            )

    def _read(self, kind: Kind, items: list[Item]) -> None:
        """Read each feature into typed values; refuse what does not fit the kind."""
        fields = [kind.fields[n] for n in catalogue.fields(kind, self.actor)]
        if kind.geometry != "none":
            _shapes(kind, items)
        for one in items:
            if one.result:
                continue
            said = _properties(one)
            try:
                one.values |= {
                    f.name: values.parse(said[f.name], f) for f in fields if f.name in said
                }
                one.values["name"] = values.parse(said.get("name"), _TEXT) or ""
                state = said.get("state") or "active"
                if state not in kind.states:
                    raise values.Unfit(f"{state!r} is no state of {kind.kind}")
                one.values["state"] = state
            except values.Unfit as why:
                one.refuse("does_not_fit", str(why))
        self._judge(kind, [o for o in items if not o.result])
        self._inside(kind, [o for o in items if not o.result])

    def _judge(self, kind: Kind, items: list[Item]) -> None:
        """Hold the rules of the door against what is new; refuse what is an error."""
        names = {n for o in items for n in o.values}
        columns = {n: [o.values.get(n) for o in items] for n in names}
        shapes = columns.pop("geom", None)
        made = shapely.from_wkb(shapes) if shapes is not None else None
        for row, _, why, severity in door.at_door(kind, columns, made):
            if severity == "error" and not items[row].result:
                items[row].refuse("quality", why)

    def _inside(self, kind: Kind, items: list[Item]) -> None:
        """Refuse what would lie outside the districts of the account."""
        if self.actor.districts is None or kind.open or kind.geometry == "none":
            return
        placed = [o for o in items if o.values.get("geom")]
        found = self.conn.execute(
            text(
                "select g.i, (select d.code from base.district d where d.geom && g.at "
                "and st_covers(d.geom, g.at) order by d.code limit 1) as district from ("
                "select i, st_pointonsurface(st_setsrid(g::geometry, 4326)) as at "
                "from unnest(cast(:g as text[])) with ordinality u(g, i)) g"
            ),
            {"g": [o.values["geom"] for o in placed]},
        )
        for row in found:
            if not visible_district(self.actor, row.district, kind.level):
                placed[row.i - 1].refuse("outside", _SCOPE)

    def _standing(self, kind: Kind, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
        """Lock the things and return them as they stand."""
        shape = ", encode(st_asbinary(geom), 'hex') as geom" if kind.geometry != "none" else ""
        names = ", ".join(f'"{n}"' for n in kind.fields)
        listed = f", {names}" if names else ""
        rows = self.conn.execute(
            text(
                f"select id, district, name, state{listed}{shape} from {kind.topic}.{kind.kind} "
                "where id = any(:ids) for update"
            ),
            {"ids": list(ids)},
        ).mappings()
        return {row["id"]: dict(row) for row in rows}

    def _revise(self, kind: Kind, items: list[Item]) -> None:
        """Change what stands: the peer's own fields alone; of ours that differ, ours is told again."""
        mine = owners.owners(kind)
        now = self._standing(kind, [o.thing for o in items if o.thing])
        left = []
        for one in items:
            row = now.get(one.thing) if one.thing else None
            if row is None or not (
                kind.open or visible_district(self.actor, row["district"], kind.level)
            ):
                one.refuse("outside", _SCOPE)
                continue
            left.append(one)
            one.kept = sorted(
                n for n, v in one.values.items()
                if mine.of(n) != self.side and not _same(kind, n, v, row[n])
            )  # fmt: skip
        # Columns are written for all rows alike: who did not say a value keeps what stands.
        names = {n for o in left for n in o.values if mine.of(n) == self.side}
        columns = {
            n: [_column(kind, n, o.values[n] if n in o.values else now[o.thing][n]) for o in left]  # type: ignore[index]
            for n in sorted(names)
        }
        if left and columns:
            ids = [o.thing for o in left if o.thing]
            revise(self.conn, kind, ids, columns, actor=self.by, note={"feed": self.peer})
        for one in left:
            one.result = "applied"
        self._assert(kind, [o for o in left if o.kept])

    def _insert(self, kind: Kind, items: list[Item]) -> None:
        """Add what is new; a code that is taken here is given anew."""
        if self.side != "city" and owners.owners(kind).thing != self.side:
            for one in items:
                one.refuse(
                    "not_owner", f"Things of {kind.kind} are added by the {_other(self.side)}."
                )
            return
        if not items:
            return
        taken = self._taken([str(_properties(o).get("code")) for o in items])
        names = sorted({n for o in items for n in o.values})
        columns = {n: [_column(kind, n, o.values.get(n)) for o in items] for n in names}
        columns["source_key"] = [o.key for o in items]
        columns["code"] = [
            None if (c := _properties(o).get("code")) is None or c in taken else c for o in items
        ]
        self._pass_serials(kind, [c for c in columns["code"] if c])
        lacking = next(
            (f.name for f in kind.fields.values() if f.required and f.name not in names), None
        )
        if lacking:
            for one in items:
                one.refuse("does_not_fit", f"{lacking} is required and missing")
            return
        if kind.geometry == "none":
            columns["district"] = [_properties(o).get("district") for o in items]
            columns["street"] = [_properties(o).get("street") for o in items]
        things.write(
            self.conn, kind, columns, actor=self.by, source=self.by, note={"feed": self.peer}
        )
        made = {
            row.source_key: row.id
            for row in self.conn.execute(
                text(
                    f"select id, source_key from {kind.topic}.{kind.kind} "
                    "where source = :s and source_key = any(:k)"
                ),
                {"s": self.by, "k": [o.key for o in items]},
            )
        }
        for one in items:
            one.thing, one.result = made[one.key], "applied"

    def _taken(self, codes: Sequence[str]) -> set[str]:
        asked = text("select code from twin.thing where code = any(:c)")
        return set(self.conn.scalars(asked, {"c": list(codes)}))

    def _pass_serials(self, kind: Kind, codes: Sequence[str]) -> None:
        """Have our own numbering go on behind the codes that come from the peer."""
        last: dict[str, int] = {}
        for code in codes:
            district, letters, serial = (*code.split("-"), "", "")[:3]
            if letters == kind.code and serial.isdigit() and len(serial) < 10:
                last[district] = max(last.get(district, 0), int(serial))
        self.conn.execute(
            text(
                "insert into twin.code_serial as c (district, class, last) select d, :letters, n "
                "from unnest(cast(:d as text[]), cast(:n as int[])) u(d, n) on conflict (district, class) "
                "do update set last = greatest(c.last, excluded.last)"
            ),
            {"letters": kind.code, "d": list(last), "n": list(last.values())},
        )

    def _remove(self, kind: Kind, items: list[Item]) -> None:
        owner = owners.owners(kind).thing
        now = self._standing(kind, [o.thing for o in items if o.thing])
        gone = []
        for one in items:
            row = now.get(one.thing) if one.thing else None
            if row is None:
                one.result = "unchanged"
            elif not (kind.open or visible_district(self.actor, row["district"], kind.level)):
                one.refuse("outside", _SCOPE)
            elif self.side != "city" and owner != self.side:
                one.refuse(
                    "not_owner", f"Things of {kind.kind} are removed by the {_other(self.side)}."
                )
            else:
                gone.append(one)
                one.result = "applied"
        if gone:
            ids = [o.thing for o in gone if o.thing]
            things.remove(self.conn, kind, ids, actor=self.by, note={"feed": self.peer})

    def _assert(self, kind: Kind, items: list[Item]) -> None:
        """Tell the peer again what stands here where its own value did not count."""
        if items:
            note = {"peer": self.peer, "ids": [str(o.thing) for o in items]}
            journal.append(
                self.conn, cls="feed", action="assert", actor=self.by, kind=kind.kind, note=note
            )

    def _note(self, items: list[Item]) -> None:
        """Remember what was taken over, and what was refused until it is mended."""
        done = [o for o in items if o.thing is not None and o.result in ("applied", "unchanged")]
        remember(self.conn, self.peer, done)
        keys = [UUID(o.key) for o in items if o.key and o.result != "older"]
        self.conn.execute(
            text(
                "delete from twin.feed_refused where peer = :p and direction = 'in' and key = any(:k)"
            ),
            {"p": self.peer, "k": keys},
        )
        refuse(self.conn, self.peer, "in", [o for o in items if o.result == "refused" and o.key])


def remember(conn: Connection, peer: str, items: Sequence[Item]) -> None:
    """Keep which thing here is which there, and the version that was taken over."""
    conn.execute(
        text(
            "insert into twin.feed_item (peer, key, kind, thing, version) select :p, k, kind, t, v "
            "from unnest(cast(:k as uuid[]), cast(:kinds as text[]), cast(:t as uuid[]), "
            "cast(:v as int[])) u(k, kind, t, v) on conflict (peer, key) do update set "
            "thing = excluded.thing, version = greatest(feed_item.version, excluded.version)"
        ),
        {"p": peer, "k": [UUID(o.key) for o in items], "kinds": [o.kind for o in items],
         "t": [o.thing for o in items], "v": [o.version for o in items]},
    )  # fmt: skip


def refuse(conn: Connection, peer: str, direction: str, items: Sequence[Item]) -> None:
    """Keep what was refused, for people to see."""
    for one in items:
        conn.execute(
            text(
                "insert into twin.feed_refused (peer, direction, key, kind, version, code, why) "
                "values (:p, :d, :k, :kind, :v, :c, :w) on conflict (peer, direction, key) do update "
                "set version = excluded.version, code = excluded.code, why = excluded.why, at = now()"
            ),
            {"p": peer, "d": direction, "k": one.key, "kind": one.kind, "v": one.version,
             "c": one.code, "w": one.why},
        )  # fmt: skip


def _item(at: int, said: Any) -> Item:
    """Read one change; what it lacks makes it refused, never an error of the whole."""
    made = Item(at, "", "", 0, "", {})
    try:
        made.kind, made.action = str(said["kind"])[:64], said["action"]
        made.key = str(UUID(str(said["key"])))
        made.version = int(said["version"])
        made.yours = str(UUID(str(said["yours"]))) if said.get("yours") else None
        made.insist = said.get("assert") is True
        feature = said.get("feature")
        if made.action not in ("upsert", "delete") or not 0 < made.version < 2**31:
            raise ValueError("action is upsert or delete, version 1 or more")
        if made.action == "upsert" and not isinstance(feature, dict):
            raise ValueError("an upsert carries a feature")
        made.said = feature or {}
        if not isinstance(made.said.get("properties") or {}, dict):
            raise ValueError("properties are an object")
    except (KeyError, TypeError, ValueError, AttributeError) as why:
        made.refuse("bad_change", f"This is no change of the feed: {why}.")
    return made


def _is_there(one: Item, row: Any) -> bool:
    """Tell whether a thing of the same code is the same: both sides give codes of their own as well."""
    shape = one.said.get("geometry")
    if row.lon is None or not shape:
        return bool(_properties(one).get("name") == row.name)
    given = shapely.from_geojson(json.dumps(shape), on_invalid="ignore")
    if given is None or given.is_empty:
        return False
    return bool(shapely.Point(row.lon, row.lat).distance(given.point_on_surface()) < _NEAR_DEG)


def _properties(one: Item) -> Mapping[str, Any]:
    return one.said.get("properties") or {}


def _shapes(kind: Kind, items: list[Item]) -> None:
    """Read and mend the shapes of features; a kind with a place needs one."""
    raw = [json.dumps(o.said.get("geometry")) if o.said.get("geometry") else None for o in items]
    made = mend_many(
        np.asarray(shapely.from_geojson(raw, on_invalid="ignore"), dtype=object), kind.geometry
    )
    hexed = wkb_hex(made.shapes)
    for i, one in enumerate(items):
        if i in made.reasons:
            one.refuse("does_not_fit", f"geom: {made.reasons[i]}")
        else:
            one.values["geom"] = hexed[i]


def _column(kind: Kind, name: str, value: Any) -> Any:
    """Return a value as `things.write` takes it."""
    if (
        name in kind.fields
        and kind.fields[name].type == "json"
        and not isinstance(value, str | None)
    ):
        return json.dumps(value)
    return value


def _same(kind: Kind, name: str, said: Any, stands: Any) -> bool:
    """Tell whether two values mean the same; shapes may differ by less than a millimetre."""
    if name == "geom":
        if said is None or stands is None:
            return said is stands
        a, b = shapely.from_wkb(said), shapely.from_wkb(stands)
        return bool(shapely.equals_exact(a, b, tolerance=1e-8))
    if name in kind.fields and kind.fields[name].type == "json" and isinstance(said, str):
        said = json.loads(said)
    return bool(said == stands)


def _other(side: Side) -> str:
    return "city" if side == "district" else "district"
