"""What both sides should hold alike: count and SM3 of each kind in each district, and of each thing.

A thing goes by its id on the upstream side, which both sides know once it was exchanged. Its digest
covers name, state, shape (7 decimals) and the fields that the account may see; not the code,
which a side may have had to give anew, and not the place, which each side finds on its own map.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, text

from twin import catalogue
from twin.feed import owners
from twin.kinds import Kind
from twin.scope import Actor, visible
from twin.tables import table

Groups = dict[str, dict[str, dict[str, Any]]]
_ITEM = sa.table(
    "feed_item", sa.column("peer"), sa.column("key"), sa.column("thing"), schema="twin"
)


def groups(
    conn: Connection, actor: Actor, kinds: Mapping[str, Kind], upstream: str | None = None
) -> Groups:
    """Return `{kind: {district: {count, sm3}}}`; `upstream` is the peer by whose ids things go."""
    found: Groups = {}
    for name, kind in kinds.items():
        made: dict[str, Any] = {}
        for _, district, line in lines(conn, actor, kind, upstream):
            one = made.setdefault(district, [0, hashlib.new("sm3")])
            one[0] += 1
            one[1].update(line)
        if made:
            found[name] = {d: {"count": n, "sm3": h.hexdigest()} for d, (n, h) in made.items()}
    return found


def things(
    conn: Connection, actor: Actor, kind: Kind, district: str, upstream: str | None = None
) -> Iterator[tuple[str, str]]:
    """Yield (id, sm3) of each thing of a kind in a district, in the order of the ids."""
    for key, at, line in lines(conn, actor, kind, upstream, district):
        if at == district:
            yield key, line.decode().rpartition(" ")[2].strip()


def lines(
    conn: Connection, actor: Actor, kind: Kind, upstream: str | None, district: str | None = None
) -> Iterator[tuple[str, str, bytes]]:
    """Yield (id, district, `id sm3\\n`) of what the actor sees of a kind, in the order of the ids."""
    t = table(kind).alias("t")
    key: Any = t.c.id
    source: Any = t
    if upstream is not None:
        source = t.outerjoin(_ITEM, sa.and_(_ITEM.c.peer == upstream, _ITEM.c.thing == t.c.id))
        key = sa.func.coalesce(_ITEM.c.key, t.c.id)
    key = sa.cast(key, sa.Text)
    query = (
        sa.select(key, sa.func.coalesce(t.c.district, ""), _said(kind, actor))
        .select_from(source)
        .where(visible(actor, t, kind))
        .order_by(key.collate("C"))
    )
    if district is not None:
        query = query.where(sa.func.coalesce(t.c.district, "") == district)
    with conn.execution_options(yield_per=5_000).execute(query) as rows:
        for row in rows:
            yield (
                row[0],
                row[1],
                f"{row[0]} {hashlib.new('sm3', row[2].encode()).hexdigest()}\n".encode(),
            )


def _said(kind: Kind, actor: Actor) -> Any:
    """Return the SQL of what a thing says, as text that is equal wherever the values are."""
    names = ["name", "state", *sorted(catalogue.fields(kind, actor))]
    pairs = [f"jsonb_build_object({', '.join(chunk)})" for chunk in _chunks(names)]
    shape = (
        " || jsonb_build_object('geom', st_asgeojson(t.geom, 7))" if kind.geometry != "none" else ""
    )
    return sa.literal_column(f"jsonb_strip_nulls({' || '.join(pairs)}{shape})::text")


def _chunks(names: list[str]) -> list[list[str]]:
    """Return pairs of name and column, at most forty at a time: a call takes a hundred arguments."""
    return [[f"'{n}', t.\"{n}\"" for n in names[i : i + 40]] for i in range(0, len(names), 40)]


def kinds_of(conn: Connection, actor: Actor, wanted: list[str] | None = None) -> dict[str, Kind]:
    """Return the kinds that are exchanged with an actor."""
    return {
        name: kind
        for name, kind in catalogue.readable(conn, actor).items()
        if owners.exchanged(kind) and (not wanted or name in wanted)
    }


def compare(
    mine: Iterator[tuple[str, str]], theirs: Iterator[tuple[str, str]], most: int = 1_000
) -> list[dict[str, str]]:
    """Return what differs, by id: only here, only there, or said differently; at most `most`."""
    here, there = dict(mine), dict(theirs)
    found = []
    for key in sorted({*here, *there}):
        if here.get(key) != there.get(key):
            what = (
                "differs"
                if key in here and key in there
                else "only_here"
                if key in here
                else "only_there"
            )
            found.append({"id": key, "what": what})
            if len(found) >= most:
                break
    return found


def keep(conn: Connection, peer: str, rows: list[dict[str, Any]]) -> None:
    """Write down a reconciliation; those of more than a year ago go."""
    for row in rows:
        conn.execute(
            text(
                "insert into twin.reconciliation (peer, kind, district, ours, theirs, equal, differences) "
                "values (:peer, :kind, :district, :ours, :theirs, :equal, cast(:d as jsonb))"
            ),
            {**row, "peer": peer, "d": json.dumps(row["differences"])},
        )
    conn.execute(
        text(
            "delete from twin.reconciliation where peer = :p and at < now() - interval '366 days'"
        ),
        {"p": peer},
    )
