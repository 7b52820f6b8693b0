"""City and district exchange: scope, resuming, tombstones, each field by its owner, both compared."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
import shapely
from lxml import etree
from sqlalchemy import text

from ingest.feed import run
from tests import feedpair, minicity
from tests.feedpair import FEED, Pair, toilets
from tests.services.conftest import Api
from tests.support import Servers
from twin import bulk, db, kinds, things
from twin.errors import DeclarationError
from twin.feed import owners
from twin.revise import revise

XSD = Path(__file__).resolve().parents[2] / "services" / "changes" / "changes.xsd"


@pytest.fixture(scope="module")
def both(servers: Servers) -> Iterator[Pair]:
    with feedpair.pair(servers, "t_feed") as made:
        yield made


def change(code: str, **values: Any) -> None:
    with db.engine("app").begin() as conn:
        kind = kinds.one(conn, "toilet")
        thing = conn.execute(
            text("select id from twin.thing where code = :c"), {"c": code}
        ).scalar_one()
        revise(conn, kind, [thing], {k: [v] for k, v in values.items()}, actor="test")


def add(key: str, lon: float, **values: Any) -> str:
    with db.engine("app").begin() as conn:
        columns = {"source_key": [key], "geom": [minicity.ewkb(minicity.shapely.Point(lon, 31.22))],
                   **{k: [v] for k, v in values.items()}}  # fmt: skip
        things.write(conn, kinds.one(conn, "toilet"), columns, actor="test", source="test")
        found = conn.execute(
            text("select code from sanitation.toilet where source_key = :k and source = 'test'"),
            {"k": key},
        )
        return str(found.scalar_one())


def remove(code: str) -> None:
    with db.engine("app").begin() as conn:
        thing = conn.execute(text("select id from twin.thing where code = :c"), {"c": code})
        things.remove(conn, kinds.one(conn, "toilet"), [thing.scalar_one()], actor="test")


def equal(rows: list[dict[str, Any]]) -> bool:
    return all(row["equal"] for row in rows)


def test_the_first_exchange_brings_the_district_and_nothing_else(both: Pair) -> None:
    assert both.exchange() > 90
    mine = toilets()
    with both.in_city():
        city = toilets()
    in_scope = {code for code, row in city.items() if row["district"] == minicity.EAST}
    assert set(mine) == in_scope and len(mine) > 80
    assert {row["district"] for row in mine.values()} == {minicity.EAST}
    rows = run.compare(FEED)
    assert equal(rows) and any(row["kind"] == "toilet" for row in rows)


def test_a_second_run_changes_nothing(both: Pair) -> None:
    before = toilets()
    assert both.exchange() == 0
    with db.engine("app").begin() as conn:
        conn.execute(text("update twin.feed set pulled = '0', pushed = '0'"))
    both.exchange()
    assert toilets() == before
    assert equal(run.compare(FEED))


def test_each_field_follows_its_owner_whoever_changed_last(both: Pair) -> None:
    code = sorted(toilets())[3]
    change(code, open_hours="06:00-22:00", star="5")
    with both.in_city():
        change(code, open_hours="00:00-24:00", star="4", score=4.5)
    both.exchange()
    both.exchange()
    with both.in_city():
        there = toilets()[code]
    here = toilets()[code]
    assert [there[k] for k in ("open_hours", "star", "score")] == ["06:00-22:00", "4", 4.5]
    assert [here[k] for k in ("open_hours", "star", "score")] == ["06:00-22:00", "4", 4.5]
    assert equal(run.compare(FEED))


def test_new_things_and_tombstones_go_both_ways(both: Pair) -> None:
    born_here = add("d1", 121.4711, name="区里新建")
    with both.in_city():
        born_there = add("c1", 121.4722, name="市里新建")
        west = add("c2", 121.4222, name="黄浦的")
    both.exchange()
    with both.in_city():
        city = {row["name"]: row for row in toilets().values()}
        assert "区里新建" in city
        # The same number was given on both sides: the city keeps its own and finds another one.
        assert city["市里新建"]["code"] == born_there
        assert city["区里新建"]["code"] != city["市里新建"]["code"]
        remove(born_there)
    assert "市里新建" in {row["name"] for row in toilets().values()}
    assert west not in toilets()
    remove(born_here)
    both.exchange()
    both.exchange()
    with both.in_city():
        assert not {"区里新建", "市里新建"} & {row["name"] for row in toilets().values()}
    assert not {"区里新建", "市里新建"} & {row["name"] for row in toilets().values()}
    assert equal(run.compare(FEED))


def test_what_leaves_the_district_leaves_the_feed(both: Pair) -> None:
    code = sorted(toilets())[5]
    with both.in_city():
        add("moves", 121.4733, name="会搬走")
    both.exchange()
    assert "会搬走" in {row["name"] for row in toilets().values()}
    with both.in_city():
        add("moves", 121.4233, name="会搬走")
    both.exchange()
    assert "会搬走" not in {row["name"] for row in toilets().values()}
    assert code in toilets()


def test_a_difference_is_named(both: Pair) -> None:
    code = sorted(toilets())[7]
    with db.engine("owner").begin() as conn:
        conn.execute(
            text("update sanitation.toilet set manager = '悄悄改的' where code = :c"), {"c": code}
        )
        gone = conn.execute(
            text("delete from sanitation.toilet where code = :c returning id"),
            {"c": sorted(toilets())[8]},
        ).scalar_one()
    rows = [row for row in run.compare(FEED) if not row["equal"]]
    assert [(row["kind"], row["district"]) for row in rows] == [("toilet", minicity.EAST)]
    assert sorted(one["what"] for one in rows[0]["differences"]) == ["differs", "only_there"]
    with db.engine("app").connect() as conn:
        kept = conn.execute(
            text("select ours, theirs, differences from twin.reconciliation where not equal")
        ).first()
    assert kept is not None and kept.ours == kept.theirs - 1 and len(kept.differences) == 2
    assert gone


def test_pages_resume_within_a_load_and_miss_nothing(api: Api) -> None:
    many = 1_500
    with (
        db.engine("app").begin() as conn,
        bulk.Load(conn, kinds.one(conn, "toilet"), actor="test", source="big") as load,
    ):
        spots = shapely.points(np.linspace(121.41, 121.49, many), np.full(many, 31.213))
        load.add({"source_key": [str(i) for i in range(many)], "name": ["批量"] * many}, spots)
    feedpair.sealed()
    seen: list[str] = []
    after, pages = "0", 0
    while True:
        page = api.get("/api/v1/changes", after=after, limit=37, kinds="toilet").json()
        seen += [one["key"] for one in page["changes"]]
        after, pages = page["next"], pages + 1
        if not page["more"]:
            break
    with db.engine("app").connect() as conn:
        ids = {str(i) for i in conn.scalars(text("select id from sanitation.toilet"))}
    assert set(seen) == ids and len(seen) == len(ids) and pages > 40
    assert api.get("/api/v1/changes", after=after, kinds="toilet").json()["changes"] == []


def test_xml_is_what_the_schema_says(api: Api) -> None:
    schema = etree.XMLSchema(etree.fromstring(api.get("/api/v1/changes.xsd", None).content))
    assert api.get("/api/v1/changes.xsd", None).content == XSD.read_bytes()
    created = api.post("/api/v1/events", {"category": "broken_branch", "lon": 121.47, "lat": 31.22,
                                          "description": "脏 <b>&\x01"})  # fmt: skip
    assert created.status_code == 201, created.text
    for path in ("/api/v1/changes?f=xml&limit=400", "/api/v1/events?f=xml"):
        answer = api.get(path)
        assert answer.headers["content-type"].startswith("application/xml")
        schema.assertValid(etree.fromstring(answer.content))


def test_a_district_writes_in_its_own_place_alone(api: Api) -> None:
    def feature(lon: float, **more: Any) -> dict[str, Any]:
        return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [lon, 31.221]},
                "properties": {"name": "新厕", **more}}  # fmt: skip

    def one(kind: str = "toilet", **more: Any) -> dict[str, Any]:
        said = {"kind": kind, "key": str(uuid4()), "version": 1, "action": "upsert",
                "feature": feature(121.4755)}  # fmt: skip
        return said | more

    good = one()
    said = [
        good,
        one(feature=feature(121.4255)),
        one(kind="camera"),
        one(kind="nothing"),
        one(feature=feature(121.4766, seats_f=-3)),
        one(feature=feature(121.4777, grade="9")),
        {"kind": "toilet"},
        one(version=0),
        one(feature={"type": "Feature", "geometry": {"type": "Point", "coordinates": ["x", 1]}}),
        "nonsense",
    ]
    answer = api.post("/api/v1/changes", {"changes": said[:-1]}, "district-310104")
    assert answer.status_code == 200, answer.text
    codes = [one.get("code", one["result"]) for one in answer.json()["results"]]
    assert codes == ["applied", "outside", "not_owner", "no_such_kind", "does_not_fit", "does_not_fit",
                     "bad_change", "bad_change", "does_not_fit"]  # fmt: skip
    again = api.post("/api/v1/changes", {"changes": [good]}, "district-310104").json()
    assert again["results"][0]["result"] == "older"
    assert UUID(again["results"][0]["thing"])
    assert api.post("/api/v1/changes", {"changes": ["x"]}, "district-310104").status_code == 400
    assert api.post("/api/v1/changes", {"changes": [good]}, "patrol").status_code == 403
    assert (
        api.post("/api/v1/changes", {"changes": [good] * 1001}, "district-310104").status_code
        == 400
    )


def test_bad_cursors_and_kinds_are_refused(api: Api) -> None:
    for asked in ({"after": "x"}, {"after": "1:2:3"}, {"after": "-1"}, {"kinds": "nothing"},
                  {"limit": 0}, {"limit": 1001}, {"f": "yaml"}, {"wait": 26}):  # fmt: skip
        answer = api.get("/api/v1/changes", **asked)
        assert answer.status_code == 400 and answer.json()["code"]
    assert api.get("/api/v1/changes", None).status_code == 401


def test_owners_are_checked_with_file_line_and_key(tmp_path: Path) -> None:
    shipped = {kind.kind: kind for kind in kinds.shipped()}
    owners.check(shipped)
    wrong = {
        "kinds: {}": "default",
        "default: city\nkinds:\n  toilet: {owner: mayor}": "kinds.toilet.owner",
        "default: city\nkinds:\n  loo: {owner: city}": "kinds.loo",
        "default: city\nkinds:\n  toilet:\n    owner: city\n    fields: {stars: city}": "kinds.toilet.fields.stars",
    }
    for i, (said, key) in enumerate(wrong.items()):
        path = tmp_path / f"{i}.yaml"
        path.write_text(said, encoding="utf-8")
        with pytest.raises(DeclarationError) as why:
            owners.read(path)
            owners.check(shipped, path)
        assert key.split(".")[-1] in why.value.detail and str(path) in why.value.detail


def test_events_go_out_to_who_may_read_them(api: Api) -> None:
    made = api.post("/api/v1/events", {"category": "broken_branch", "lon": 121.47, "lat": 31.22,
                                       "description": "折枝"})  # fmt: skip
    assert made.status_code == 201, made.text
    feedpair.sealed()

    def codes(user: str, kinds: str = "event") -> list[str]:
        page = api.get("/api/v1/changes", user, kinds=kinds, limit=1000).json()
        return [one["code"] for one in page["changes"]]

    assert made.json()["code"] in codes("dispatcher")
    assert made.json()["code"] in codes("district-310104")
    assert made.json()["code"] not in codes("dispatcher", "toilet")
    assert codes("auditor") == []


def test_how_the_feeds_stand_is_shown_to_the_city_alone(api: Api) -> None:
    said = api.get("/api/v1/changes/feeds", "planner").json()
    assert set(said) == {"feeds", "refused", "reconciliation", "items"}
    assert api.get("/api/v1/changes/feeds", "dispatcher").status_code == 403
    me = api.get("/api/v1/changes/me", "district-310104").json()
    assert me == {"user": "district-310104", "districts": ["310104"], "clearance": 2}


def test_a_wait_ends_when_something_comes(api: Api) -> None:
    end = api.get("/api/v1/changes", kinds="toilet", limit=1000)
    while end.json()["more"]:
        end = api.get("/api/v1/changes", kinds="toilet", limit=1000, after=end.json()["next"])
    after = end.json()["next"]
    assert api.get("/api/v1/changes", kinds="toilet", after=after, wait=0.2).json()["changes"] == []
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(api.get, "/api/v1/changes", kinds="toilet", after=after, wait=20)
        add("late", 121.4788, name="刚来的")
        found = waiting.result(timeout=20).json()["changes"]
    assert [one["feature"]["properties"]["name"] for one in found] == ["刚来的"]
