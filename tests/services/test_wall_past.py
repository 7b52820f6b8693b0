"""The wall at a past moment equals the journal and observations replayed: events, things, positions, alarms, plots."""

from __future__ import annotations

import random
import struct
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import shapely
from sqlalchemy import text

from tests import minicity
from tests.alarms import devices
from tests.services.conftest import Api
from twin import db, positions
from twin.alarms.engine import Engine

KINDS = ("full_bin", "litter", "fallen_tree")


def entries(cls: str) -> list[Any]:
    with db.engine("app").connect() as conn:
        return list(
            conn.execute(
                text("select * from twin.journal where class = :c order by id"), {"c": cls}
            )
        )


def write(kind: str, **columns: list[Any]) -> None:
    with db.engine("app").begin() as conn:
        minicity.write(conn, kind, columns)


@pytest.fixture(scope="module")
def moments(api: Api) -> list[datetime]:
    """A busy hour in a few seconds: reports, actions, changed things, moving crews, alarms, plots."""
    seed = random.Random(7)
    bins = devices.build("bin_level", [(121.42, 31.22), (121.47, 31.22)], "past")
    with db.engine("app").connect() as conn:
        crews = list(
            conn.scalars(text("select num from twin.thing where kind = 'crew' order by num"))
        )
        names = conn.scalars(
            text("select code from twin.thing where kind = 'crew' order by num")
        ).all()
    engine, marks, codes = Engine(), [], []
    for step in range(8):
        place = (121.41 + 0.08 * seed.random(), 31.205 + 0.03 * seed.random())
        body = {
            "category": seed.choice(KINDS),
            "lon": place[0],
            "lat": place[1],
            "description": "x",
        }
        codes.append(api.post("/api/v1/events", body).json()["code"])
        if step % 3 == 1:
            api.act(codes[step // 2], "reject", reason="重复")
        elif step % 3 == 2:
            api.act(codes[-1], "register")
            assert api.act(codes[-1], "dispatch", crew=names[step % len(names)]).status_code == 200
        write("toilet", source_key=["moves"], name=["移动厕所"], seats_m=[step],
              geom=[minicity.ewkb(shapely.Point(place))])  # fmt: skip
        now = datetime.now(UTC)
        with db.engine("ingest").begin() as conn:
            fixes = [
                positions.Fix(num, now, place[0], place[1], 20.0, 90.0, None, 2) for num in crews
            ]
            positions.write(conn, fixes, now)
        devices.say(
            "bin_level",
            [(bins[step % 2], time.time(), {"level_pct": 99.0 if step % 4 < 2 else 1.0})],
        )
        engine.once()
        if step in (2, 5):
            api.post("/api/v1/plots", {"form": "point", "title": f"点{step}", "shared": True,
                                       "geometry": {"type": "Point", "coordinates": place}})  # fmt: skip
        time.sleep(0.05)
        marks.append(datetime.now(UTC))
        time.sleep(0.05)
    return marks


def replayed(rows: list[Any], at: datetime) -> dict[str, dict[str, Any]]:
    """The newest `after` of each subject up to a moment: what a replay of the journal gives."""
    newest: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.at <= at and row.after is not None:
            newest[str(row.subject)] = row.after
        elif row.at <= at:
            newest.pop(str(row.subject), None)
    return newest


def test_events_then_are_the_journal_replayed(api: Api, moments: list[datetime]) -> None:
    rows = entries("case")
    for at in moments:
        said = api.get("/api/v1/events", at=at.isoformat(), state="open").json()["events"]
        then = {
            c["code"]: (c["state"], c["severity"], c["version"])
            for c in replayed(rows, at).values()
            if c["process"] == "event.city" and c["closed_at"] is None
        }
        assert {e["code"]: (e["state"], e["severity"], e["version"]) for e in said} == then
    assert len(then) >= 5


def test_things_then_are_the_journal_replayed(api: Api, moments: list[datetime]) -> None:
    rows = [r for r in entries("thing") if r.kind == "toilet" and "移动厕所" in str(r.after)]
    code = rows[0].after["code"]
    seen = set()
    for at in moments:
        card = api.get(f"/api/v1/things/{code}", at=at.isoformat()).json()
        then = next(iter(replayed(rows, at).values()))
        seats = next(f["value"] for f in card["fields"] if f["key"] == "seats_m")
        assert (seats, card["version"]) == (then["seats_m"], then["version"])
        seen.add(seats)
    assert len(seen) == len(moments)


def test_positions_then_are_the_newest_fixes_replayed(api: Api, moments: list[datetime]) -> None:
    with db.engine("app").connect() as conn:
        kept = conn.execute(text("select num, at, lon, lat from twin.position order by at")).all()
    for at in moments:
        raw = api.get("/api/v1/positions", at=at.isoformat()).content
        count, lon, lat = struct.unpack_from("<I", raw, 4)[0], *struct.unpack_from("<dd", raw, 8)
        drawn = {}
        for i in range(count):
            num, dlon, dlat = struct.unpack_from("<Iff", raw, 32 + 16 * i)
            drawn[num] = (lon + dlon, lat + dlat)
        newest = {row.num: (row.lon, row.lat) for row in kept if row.at <= at}
        assert set(drawn) == set(newest) != set()
        for num, place in newest.items():
            assert drawn[num] == pytest.approx(place, abs=2e-6)


def test_a_frame_of_the_past_says_who_was_on_task(api: Api, moments: list[datetime]) -> None:
    rows = entries("case")
    with db.engine("app").connect() as conn:
        codes = dict(
            conn.execute(text("select num, code from twin.thing where kind = 'crew'")).all()
        )
        seen = set()
        for at in moments:
            then = replayed(rows, at).values()
            had = {c["holder"] for c in then if c["state"] in ("dispatched", "handling")}
            fixes = positions.fixes(conn, moment=at)
            said = {codes[int(n)] for n in fixes["num"][fixes["busy"]] if int(n) in codes}
            there = {codes[int(n)] for n in fixes["num"] if int(n) in codes}
            assert said == had & there
            seen.add(frozenset(said))
    assert len(seen) > 1


def test_alarms_then_are_those_that_stood(api: Api, moments: list[datetime]) -> None:
    with db.engine("app").connect() as conn:
        rows = conn.execute(text("select num, raised_at, cleared_at from iot.alarm")).all()
    seen = set()
    for at in moments:
        said = api.get("/api/v1/alarms.geojson", at=at.isoformat()).json()["features"]
        stood = {
            r.num for r in rows if r.raised_at <= at and (r.cleared_at is None or r.cleared_at > at)
        }
        assert {f["id"] for f in said} == stood
        seen.add(frozenset(stood))
    assert len(seen) > 1


def test_plots_then_are_the_journal_replayed(api: Api, moments: list[datetime]) -> None:
    rows = entries("plot")
    for at in moments:
        said = api.get("/api/v1/plots", at=at.isoformat()).json()["features"]
        assert {f["properties"]["title"] for f in said} == {
            p["title"] for p in replayed(rows, at).values()
        }


def test_the_six_cards_then_count_what_the_lists_then_show(
    api: Api, moments: list[datetime]
) -> None:
    for at in moments[::3]:
        cards = {
            c["key"]: c["value"]
            for c in api.get("/api/v1/indicators", at=at.isoformat()).json()["cards"]
        }
        listed = api.get("/api/v1/events", at=at.isoformat(), state="open").json()["total"]
        board = api.get("/api/v1/boards/all", at=at.isoformat()).json()["figures"]["open"]
        assert cards["events.open"] == listed == board
        said = api.get("/api/v1/events", at=at.isoformat(), state="open", limit=500).json()
        due = [datetime.fromisoformat(e["due_at"]) for e in said["events"] if e["due_at"]]
        assert cards["events.late_now"] == sum(1 for one in due if one < at)
        assert cards["events.crews_free"] is not None and len(cards) == 6
    assert (
        api.get("/api/v1/events", at=(moments[0] - timedelta(days=9)).isoformat()).json()["total"]
        == 0
    )
