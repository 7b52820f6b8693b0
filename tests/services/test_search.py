"""One box: names, parts, codes, plates, addresses, pinyin, coordinates; scope; near first; what is here."""

from __future__ import annotations

import time
from typing import Any

import pytest
import shapely
from sqlalchemy import text

from tests import minicity
from tests.minicity import ewkb
from tests.services.conftest import Api
from twin import catalogue, db, searchkeys
from twin.kinds import Kind

PARK = shapely.box(121.470, 31.215, 121.474, 31.218)


@pytest.fixture(scope="module", autouse=True)
def _words(api: Api) -> None:
    with db.engine("app").begin() as conn:
        area = ewkb(shapely.MultiPolygon([PARK]))
        minicity.write(conn, "park", {"source_key": ["p1"], "name": ["复兴公园"], "geom": [area]})
        minicity.write(conn, "toilet", {
            "source_key": ["s1", "s2"], "name": ["重庆南路公厕", "襄阳公厕"],
            "address": ["皋兰路２号", "复兴中路 100 弄"],
            "phone": ["021-555", None],
            "geom": [ewkb(shapely.Point(121.4722, 31.2166)), ewkb(shapely.Point(121.4222, 31.2166))]})  # fmt: skip
        minicity.write(conn, "vehicle", {"source_key": ["v1"], "name": ["清运车"], "plate": ["沪A·D1234"],
                                         "type": ["water"], "geom": [ewkb(shapely.Point(121.48, 31.22))]})  # fmt: skip
    follow()


def kinds() -> dict[str, Kind]:
    with db.engine("app").connect() as conn:
        return dict(catalogue.all_kinds(conn))


def follow() -> None:
    """Wait until the journal is sealed, and have the words follow."""
    for _ in range(200):
        with db.engine("app").connect() as conn:
            if not conn.execute(text("select count(*) from twin.unsealed")).scalar_one():
                break
        time.sleep(0.02)
    searchkeys.follow(kinds())


def names(api: Api, q: str, user: str = "dispatcher", **more: Any) -> list[str]:
    answer = api.get("/api/v1/search", user, q=q, limit=50, **more)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["results"]]


@pytest.mark.parametrize(
    ("q", "first"),
    [
        ("复兴公园", "复兴公园"), ("复兴", "复兴公园"), ("兴公", "复兴公园"), ("fxgy", "复兴公园"),
        ("fuxinggong", "复兴公园"),
        ("cqnlgc", "重庆南路公厕"), ("沪AD1234", "清运车"), ("沪a·d1234", "清运车"), ("D1234", "清运车"),
        ("皋兰路2号", "重庆南路公厕"), ("皋兰路", "重庆南路公厕"), ("黄浦", "黄浦区"),
    ],
)  # fmt: skip
def test_it_is_found_by(api: Api, q: str, first: str) -> None:
    assert first in names(api, q)[:3]


def test_a_word_says_what_matched(api: Api) -> None:
    hit = api.get("/api/v1/search", q="沪AD1234").json()["results"][0]
    assert hit["matched"]["field"] == "plate" and hit["matched"]["title"]["zh"]


def test_codes_whole_partly_and_short(api: Api) -> None:
    with db.engine("app").connect() as conn:
        code = conn.execute(
            text("select code from sanitation.toilet where name = '重庆南路公厕'")
        ).scalar_one()
    short = f"TO {int(code.rpartition('-')[2])}"
    for q in (code, code.lower(), code[:-1], short):
        found = api.get("/api/v1/search", q=q, limit=50).json()["results"]
        assert code in [one["code"] for one in found], q
    assert api.get("/api/v1/search", q=code).json()["results"][0]["code"] == code


def test_what_is_near_the_view_comes_first(api: Api) -> None:
    for lon in (121.40, 121.47, 121.4955):
        found = api.get("/api/v1/search", q="公厕", near=f"{lon},31.22").json()["results"]
        away = [abs(one["point"][0] - lon) for one in found]
        assert away[0] < 0.005 and max(away) < 0.05


def test_scope_and_level_hold(api: Api) -> None:
    assert "襄阳公厕" in names(api, "襄阳")
    assert "襄阳公厕" not in names(api, "襄阳", "district-310104")
    assert "襄阳公厕" not in names(api, "复兴中路100", "district-310104")
    assert "重庆南路公厕" in names(api, "皋兰路", "district-310104")


def test_words_follow_changes(api: Api) -> None:
    with db.engine("app").begin() as conn:
        minicity.write(
            conn, "vehicle", {"source_key": ["v1"], "plate": ["沪B·77777"], "name": ["新名字"]}
        )
    follow()
    assert "新名字" in names(api, "沪B77777") and "新名字" in names(api, "xmz")
    assert names(api, "沪AD1234") == []
    with db.engine("app").connect() as conn:
        kept = conn.execute(text("select count(*) from twin.search_key where kind = 'vehicle'"))
        assert kept.scalar_one() >= 1


def test_a_shared_value_names_nothing(api: Api) -> None:
    many = searchkeys.SHARED_BY + 5
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet", {
            "source_key": [f"m{i}" for i in range(many)], "address": ["同一个地址"] * many,
            "geom": [ewkb(shapely.Point(121.41 + i * 1e-4, 31.205)) for i in range(many)]})  # fmt: skip
        searchkeys.rebuild(conn, kinds()["toilet"])
    assert names(api, "同一个地址") == []
    assert "重庆南路公厕" in names(api, "皋兰路2号")


def test_coordinates_in_both_systems(api: Api) -> None:
    found = api.get("/api/v1/search", q="31.2166N 121.4722E").json()["results"]
    assert [one["district_name"] for one in found] == ["WGS-84", "GCJ-02"]
    assert found[0]["point"] == [121.4722, 31.2166]


def test_what_is_here(api: Api) -> None:
    said = api.get("/api/v1/here", lon=121.4721, lat=31.2165).json()
    assert said["district"]["name"] == "徐汇区"
    assert [a["name"] for a in said["areas"]] == ["复兴公园"]
    assert said["address"]["address"] == "皋兰路２号" and said["address"]["metres"] < 60
    metres = [one["metres"] for one in said["things"]]
    assert metres == sorted(metres) and "重庆南路公厕" in [one["name"] for one in said["things"]]
    shifted = api.get(
        "/api/v1/here", lon=said["gcj02"][0], lat=said["gcj02"][1], crs="gcj02"
    ).json()
    assert shifted["point"] == pytest.approx(said["point"], abs=1e-6)
    assert (
        api.get("/api/v1/here", "district-310104", lon=121.4222, lat=31.2166).json()["things"] == []
    )


@pytest.mark.parametrize(
    "asked",
    [{"q": ""}, {"q": " "}, {"q": "x" * 101}, {"q": "a", "limit": 0}, {"q": "a", "near": "1"},
     {"q": "a", "near": "nan,1"}, {"q": "a", "near": "500,1"}],
)  # fmt: skip
def test_bad_questions(api: Api, asked: dict[str, Any]) -> None:
    answer = api.get("/api/v1/search", **asked)
    assert answer.status_code == 400 and answer.json()["code"] == "bad_request"


@pytest.mark.parametrize(
    "q", ["%", "_", "\\", "'", "%%%", "\x00a", "🦆", "a" * 100, "--", "like '%'"]
)
def test_no_word_breaks_it_or_finds_all(api: Api, q: str) -> None:
    assert len(names(api, q)) <= 50
    assert api.get("/api/v1/here", lon=181, lat=0).status_code == 400
