"""Search over the running city: every way to be found, near the view, beside its SQL without HTTP."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, text

from services.search import service
from twin import db, searchkeys
from twin.errors import Conflict
from twin.scope import Actor
from ui.terminal.benchmarks import Figure, figure, serving

ASKED = 60
# The issue of speed: an answer within 50 ms over two million things.
GOAL_MS = 50.0
_CITY = Actor(user="bench", clearance=3, acts=frozenset({"map.read", "event.read"}))


def run(size: int) -> list[Figure]:
    """Ask `size` questions of each way (60) with an account, and the same without HTTP."""
    count = size or ASKED
    dice = random.Random(4)
    with db.engine("app").connect() as conn:
        things = int(
            conn.execute(text("select count(*) from twin.thing where gone_at is null")).scalar_one()
        )
        asked = {how: make(conn, dice, count) for how, make in WAYS.items()}
        places = _places(conn, count)
    if not all(asked.values()):
        raise Conflict("There is nothing to search; load a city first.")
    made = [figure("things", things, "things")]
    with serving.server("bench-search") as on:
        headers = serving.bearer("commander")
        for how, questions in asked.items():
            said = list(zip(questions, places, strict=False))
            paths = [
                f"/api/v1/search?{urlencode({'q': q, 'near': f'{x},{y}'})}" for q, (x, y) in said
            ]
            door = serving.measure(on, paths, headers)
            bare = _bare(said)
            made.append(figure(f"{how}: p50", door.driven.median, "ms", bare[len(bare) // 2]))
            made.append(figure(f"{how}: p95", door.driven.quantile(0.95), "ms", GOAL_MS))
        paths = [f"/api/v1/here?lon={x}&lat={y}" for x, y in places]
        door = serving.measure(on, paths, headers)
        made.append(figure("what is here: p95", door.driven.quantile(0.95), "ms", GOAL_MS))
    return made


def _bare(said: list[tuple[str, tuple[float, float]]]) -> list[float]:
    """Return the sorted times of the same questions asked in this process."""
    took = []
    with db.engine("app").connect() as conn:
        for question, near in said * 2:
            began = time.perf_counter()
            service.search(conn, _CITY, question, 12, near)
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took[len(said) :])


def _places(conn: Connection, count: int) -> list[tuple[float, float]]:
    rows = conn.execute(
        text(
            "select st_x(point) as x, st_y(point) as y from twin.thing tablesample system (0.5) "
            "where point is not null limit :n"
        ),
        {"n": count},
    )
    found = [(round(r.x, 6), round(r.y, 6)) for r in rows]
    return found or [(121.47, 31.23)] * count


def _names(conn: Connection, count: int) -> list[str]:
    rows = conn.scalars(
        text("select name from twin.name_pinyin tablesample system (2) limit :n"), {"n": count * 20}
    ).all()
    rows = (
        rows
        or conn.scalars(text("select name from twin.name_pinyin limit :n"), {"n": count * 20}).all()
    )
    return [str(r) for r in rows][:: max(1, len(rows) // count)][:count]


def _whole(conn: Connection, _dice: random.Random, count: int) -> list[str]:
    return _names(conn, count)


def _part(conn: Connection, dice: random.Random, count: int) -> list[str]:
    """Cut two to four characters out of names."""
    found = []
    for name in _names(conn, count):
        start = dice.randrange(max(1, len(name) - 2))
        found.append(name[start : start + dice.randint(2, 4)].strip() or name)
    return found


def _codes(conn: Connection, dice: random.Random, count: int) -> list[str]:
    rows = conn.scalars(
        text("select code from twin.thing tablesample system (0.5) where gone_at is null limit :n"),
        {"n": count},
    )
    return [code[: dice.choice((10, 13, 16))] for code in rows]


def _plates(conn: Connection, _dice: random.Random, count: int) -> list[str]:
    rows = conn.scalars(
        text("select plate from sanitation.vehicle where plate <> '' limit :n"), {"n": count}
    )
    return [str(r) for r in rows]


def _words(conn: Connection, dice: random.Random, count: int) -> list[str]:
    rows = conn.scalars(
        text(
            "select word from twin.search_key tablesample system (1) where length(word) > 3 limit :n"
        ),
        {"n": count},
    )
    return [w[: max(3, len(w) - dice.randrange(3))] for w in rows]


def _initials(conn: Connection, _dice: random.Random, count: int) -> list[str]:
    return [searchkeys.pinyin(name)[0][:8] or "gy" for name in _names(conn, count)]


def _common(_conn: Connection, _dice: random.Random, count: int) -> list[str]:
    """Words that half the city carries in its name: the hardest to rank."""
    return (["公园", "公厕", "招牌", "路", "绿地", "小班", "景观灯", "路招牌", "1号"] * count)[
        :count
    ]


def _coordinates(_conn: Connection, dice: random.Random, count: int) -> list[str]:
    return [
        f"{121.2 + dice.random() * 0.5:.5f}, {31.1 + dice.random() * 0.3:.5f}" for _ in range(count)
    ]


WAYS: dict[str, Callable[[Connection, random.Random, int], list[Any]]] = {
    "name": _whole, "part of a name": _part, "code": _codes, "plate": _plates, "other word": _words,
    "pinyin initials": _initials, "word of half the city": _common, "coordinates": _coordinates,
}  # fmt: skip
