"""Writes on one side of a feed, as a process of its own: changes, additions, removals, at random."""

from __future__ import annotations

import random
import sys
from typing import Any

import shapely
from sqlalchemy import Connection, text

from tests.minicity import ewkb
from twin import db, kinds, things
from twin.kinds import Kind
from twin.revise import revise

BATCH = 50


def main(side: str, changes: int, seed: int) -> None:
    """Make so many changes of toilets in small transactions."""
    dice = random.Random(seed)
    done = 0
    while done < changes:
        with db.engine("app").begin() as conn:
            kind = kinds.one(conn, "toilet")
            done += _some(conn, kind, side, dice, min(BATCH, changes - done), done)
    print(done)


def _some(conn: Connection, kind: Kind, side: str, dice: random.Random, most: int, at: int) -> int:
    rows = conn.execute(
        text(
            "select id from sanitation.toilet where district = '310104' order by random() limit :n "
            "for update skip locked"
        ),
        {"n": most},
    ).all()
    what = dice.random()
    if what < 0.1 or len(rows) < 20:
        return _add(conn, kind, side, dice, min(most, 10), at)
    if what < 0.15 and len(rows) > 60:
        return things.remove(conn, kind, [r.id for r in rows[:5]], actor="writer")
    ids = [row.id for row in rows]
    values: dict[str, list[Any]]
    if side == "city":
        values = {"star": [dice.choice("0345") for _ in ids],
                  "score": [round(dice.random() * 5, 2) for _ in ids]}  # fmt: skip
    else:
        values = {"open_hours": [f"{dice.randrange(24):02}:00" for _ in ids],
                  "manager": [f"单位{dice.randrange(1000)}" for _ in ids],
                  "features": [dice.sample(["热水", "母婴", "扶手"], 2) for _ in ids]}  # fmt: skip
    return revise(conn, kind, ids, values, actor="writer")


def _add(conn: Connection, kind: Kind, side: str, dice: random.Random, count: int, at: int) -> int:
    keys = [f"{side}-{at}-{i}" for i in range(count)]
    spots = [
        shapely.Point(121.451 + dice.random() * 0.048, 31.201 + dice.random() * 0.038) for _ in keys
    ]
    columns = {"source_key": keys, "name": keys, "geom": [ewkb(p) for p in spots]}
    return things.write(conn, kind, columns, actor="writer", source=f"writer-{side}").inserted


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
