"""Features at the door: CRS and axis order, boxes, times, sorting, pages, formats, what is refused."""

from __future__ import annotations

import csv
import io
from typing import Any

import pyproj
import pytest
from sqlalchemy import text

from services.features import cursors
from tests import minicity
from tests.services.conftest import Api
from twin import db, kinds, things

ITEMS = "/ogc/collections/toilet/items"
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


def page(api: Api, path: str = ITEMS, user: str | None = "dispatcher", **params: Any) -> Any:
    said = {k.replace("_", "-"): v for k, v in params.items()}
    done = api.get(path, user, **said)
    assert done.status_code == 200, done.text
    return done.json()


def first(api: Api, **params: Any) -> Any:
    return page(api, name="公厕7", **params)["features"][0]


def walk(api: Api, path: str, user: str = "dispatcher") -> list[Any]:
    """Follow the `next` links from a page to the end."""
    found: list[Any] = []
    following: str | None = path
    while following:
        done = api.http.get(following, headers=api.headers(user))
        assert done.status_code == 200, done.text
        found += done.json()["features"]
        links = [x["href"] for x in done.json()["links"] if x["rel"] == "next"]
        following = "/ogc" + links[0].partition("/ogc")[2] if links else None
    return found


@pytest.mark.parametrize(
    ("number", "flipped", "close"),
    [(4326, True, 1e-7), (4490, True, 1e-7), (4549, True, 1e-3), (4550, True, 1e-3), (3857, False, 1e-3)],
)  # fmt: skip
def test_coordinates_in_the_order_of_their_register(
    api: Api, number: int, flipped: bool, close: float
) -> None:
    lon, lat = first(api)["geometry"]["coordinates"]
    done = api.get(ITEMS, name="公厕7", crs=f"{EPSG}{number}")
    assert done.headers["content-crs"] == f"<{EPSG}{number}>"
    x, y = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:{number}", always_xy=True).transform(
        lon, lat
    )
    wanted = [y, x] if flipped else [x, y]
    assert done.json()["features"][0]["geometry"]["coordinates"] == pytest.approx(
        wanted, abs=2 * close
    )


def test_our_own_references_are_defined_where_their_uris_lead(api: Api) -> None:
    offered = api.get("/ogc/collections/toilet").json()
    assert offered["storageCrs"] == CRS84 == offered["crs"][0]
    for name in ("sh2000", "gcj02", "bd09"):
        uri = next(u for u in offered["crs"] if u.endswith(f"/def/crs/{name}"))
        said = api.http.get("/def/crs/" + name)
        assert said.status_code == 200 and said.json()["id"] == uri
        x, y = first(api, crs=uri)["geometry"]["coordinates"]
        lon, lat = first(api)["geometry"]["coordinates"]
        apart = abs(x - lon) + abs(y - lat)
        assert apart > 1000 if name == "sh2000" else 0.002 < apart < 0.05
    assert api.http.get("/def/crs/moon").status_code == 404


def test_a_box_means_the_same_in_every_reference(api: Api) -> None:
    west, south, east, north = 121.40, 31.205, 121.43, 31.23
    whole = page(api, bbox=f"{west},{south},{east},{north}")["numberMatched"]
    assert 0 < whole < 190
    assert page(api, bbox=f"{west},{south},-10,{east},{north},50")["numberMatched"] == whole
    swapped = f"{south},{west},{north},{east}"
    for number in (4326, 4490):
        said = {"bbox": swapped, "bbox-crs": f"{EPSG}{number}"}
        assert page(api, **said)["numberMatched"] == whole
    to = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:4549", always_xy=True)
    e0, n0, e1, n1 = to.transform_bounds(west, south, east, north)
    said = {"bbox": f"{n0},{e0},{n1},{e1}", "bbox-crs": f"{EPSG}4549"}
    assert abs(page(api, **said)["numberMatched"] - whole) <= 3


def test_a_box_over_the_antimeridian_is_two(api: Api) -> None:
    assert (
        page(api, bbox="121.43,31,-170,32")["numberMatched"]
        == page(api, bbox="121.43,31,180,32")["numberMatched"]
    )
    assert page(api, bbox="170,31,-170,32")["numberMatched"] == 0


def test_the_edge_of_a_box_is_exact(api: Api) -> None:
    """A thousandth of a millimetre decides, though the index knows half a metre."""
    with db.engine("app").begin() as conn:
        stands = "select st_x(geom), st_y(geom) from sanitation.toilet where name = '公厕7'"
        lon, lat = conn.execute(text(stands)).one()
    for west, hits in ((lon - 1e-9, 1), (lon + 1e-9, 0)):
        assert page(api, name="公厕7", bbox=f"{west!r},31,122,32")["numberMatched"] == hits
    assert page(api, name="公厕7", bbox=f"{lon!r},{lat!r},{lon!r},{lat!r}")["numberMatched"] == 1


@pytest.mark.parametrize("limit", [7, 40, 190])
@pytest.mark.parametrize("order", ["", "-name", "+district,-num", "grade,-name", "-updated_at"])
def test_pages_hold_every_feature_once_in_their_order(api: Api, limit: int, order: str) -> None:
    grades()
    found = walk(api, f"{ITEMS}?limit={limit}" + (f"&sortby={order}" if order else ""))
    assert len(found) == 190 == len({f["id"] for f in found})
    told = [f["properties"] for f in found]
    if order == "-name":
        assert told == sorted(told, key=lambda p: p["name"], reverse=True)
    if order == "grade,-name":
        known = [p["grade"] for p in told if p["grade"] is not None]
        assert known == sorted(known) and all(p["grade"] is None for p in told[len(known) :])
    if not order:
        assert [p["num"] for p in told] == sorted(p["num"] for p in told)


def grades() -> None:
    with db.engine("app").begin() as conn:
        conn.execute(text("update sanitation.toilet set grade = (num % 3)::text where num % 4 > 0"))


def test_pages_stay_right_while_rows_come_and_go(api: Api) -> None:
    start = page(api, limit=50, sortby="name")
    following = next(x["href"] for x in start["links"] if x["rel"] == "next")
    seen = [f["properties"]["name"] for f in start["features"]]
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet", {"source_key": ["early"], "name": ["公厕00"],
                                        "geom": [minicity.ewkb(minicity.shapely.Point(121.41, 31.21))]})  # fmt: skip
        gone = conn.execute(
            text("select id from sanitation.toilet where name = :n"), {"n": seen[10]}
        )
        things.remove(conn, kinds.one(conn, "toilet"), [gone.scalar_one()], actor="t")
    rest = walk(api, "/ogc" + following.partition("/ogc")[2])
    names = seen + [f["properties"]["name"] for f in rest]
    assert len(names) == len(set(names)) == 190
    assert "公厕00" not in names


def test_a_cursor_is_of_one_list_and_cannot_be_made_up(api: Api) -> None:
    plain, sorted_ = page(api, limit=5), page(api, limit=5, sortby="name")
    after = next(x["href"] for x in sorted_["links"] if x["rel"] == "next").rpartition("after=")[2]
    assert api.get(ITEMS, limit=5, sortby="name", after=after).status_code == 200
    own = next(x["href"] for x in plain["links"] if x["rel"] == "next").rpartition("after=")[2]
    for wrong in (after, "5", "!!", own[:-2], "x" * 5000, cursors.made("bin|()", 3)):
        done = api.get(ITEMS, after=wrong)
        assert (done.status_code, done.json()["code"]) == (400, "bad_request"), wrong


def test_properties_and_geometry_are_chosen(api: Api) -> None:
    one = first(api, properties="name,grade")
    assert set(one["properties"]) == {"name", "grade"} and one["geometry"]["type"] == "Point"
    assert first(api, skipGeometry="true")["geometry"] is None
    key = one["id"]
    said = api.get(f"{ITEMS}/{key}", properties="code", skipGeometry="true").json()
    assert set(said["properties"]) == {"code"} and said["geometry"] is None
    assert api.get(ITEMS, "district-310104", properties="phone").status_code == 400


def test_the_time_of_things_is_how_they_stood_and_of_records_when_they_happened(api: Api) -> None:
    host = first(api)["properties"]["code"]
    days = ["2026-03-01T08:00:00+08:00", "2026-03-02T08:00:00+08:00", "2026-03-03T08:00:00+08:00"]
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet_cleaning", {"source_key": days, "done_at": days,
                                                 "type": ["cleaning"] * 3, "about": [host] * 3})  # fmt: skip
    path = "/ogc/collections/toilet_cleaning/items"

    def held(said: str) -> int:
        return int(page(api, path, datetime=said)["numberMatched"])

    assert held(f"{days[0]}/{days[1]}") == 2
    assert held(f"../{days[0]}") == held(days[1]) == 1
    assert held(f"{days[1]}/..") == 2
    assert page(api, datetime="2020-01-01T00:00:00Z")["numberMatched"] == 0
    assert page(api, datetime="2020-01-01T00:00:00Z/..")["numberMatched"] >= 190
    assert api.get(ITEMS, datetime=f"{days[1]}/{days[0]}").status_code == 400


def test_an_interval_holds_what_stood_in_it_each_thing_once(api: Api) -> None:
    def instant() -> str:
        with db.engine("app").connect() as conn:
            return str(
                conn.execute(text("select to_json(clock_timestamp()) #>> '{}'")).scalar_one()
            )

    def named(said: str, name: str) -> list[int]:
        found = page(api, datetime=said, filter=f"name = '{name}'")["features"]
        return [f["properties"]["version"] for f in found]

    start = instant()
    with db.engine("app").begin() as conn:
        made = {
            "source_key": ["v1"],
            "geom": [minicity.ewkb(minicity.shapely.Point(121.42, 31.22))],
        }
        minicity.write(conn, "toilet", made | {"name": ["旧厕"]})
    between = instant()
    with db.engine("app").begin() as conn:
        minicity.write(conn, "toilet", made | {"name": ["新厕"]})
    with db.engine("app").begin() as conn:
        gone = conn.execute(
            text("select id from sanitation.toilet where name = '新厕'")
        ).scalar_one()
        things.remove(conn, kinds.one(conn, "toilet"), [gone], actor="t")
    end = instant()
    assert named(f"{start}/{between}", "旧厕") == [1] == named(between, "旧厕")
    assert named(f"{start}/{end}", "旧厕") == [] and named(f"{start}/{end}", "新厕") == [2]
    assert named(f"{start}/..", "新厕") == [2]
    assert named(f"{end}/..", "新厕") == [] == named(end, "新厕")
    assert named(f"../{between}", "旧厕") == [1]


def test_equal_values_are_read_as_their_columns_are(api: Api) -> None:
    grades()
    assert page(api, grade="1")["numberMatched"] > 0
    assert page(api, accessible="true")["numberMatched"] == 0
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update sanitation.toilet set features = '{热水,wifi}' where name = '公厕7'")
        )
    assert page(api, features="热水")["numberMatched"] == 1
    for wrong in (
        {"seats_f": "many"},
        {"accessible": "yes"},
        {"built_on": "may"},
        {"num": "1" * 30},
    ):
        assert api.get(ITEMS, **wrong).json()["code"] == "bad_request"


@pytest.mark.parametrize("form", ["csv", "fgb", "gpkg"])
def test_files_hold_all_that_matches(api: Api, form: str, tmp_path: Any) -> None:
    import pyogrio

    done = api.get(
        ITEMS, "planner", f=form, filter="name like '公厕1%'", properties="name,district"
    )
    assert done.status_code == 200, done.text
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(done.content.decode("utf-8-sig"))))
        names = {r["name"] for r in rows}
        assert set(rows[0]) == {"name", "district", "lon", "lat"}
    else:
        file = tmp_path / f"x.{form}"
        file.write_bytes(done.content)
        names = set(pyogrio.read_dataframe(file, layer="toilet").name)
    assert names == {
        f["properties"]["name"]
        for f in page(api, filter="name like '公厕1%'", limit=500)["features"]
    }


def test_a_page_as_a_file_needs_no_act_all_of_it_does(api: Api) -> None:
    assert api.get(ITEMS, "district-310104", f="csv", limit=5).text.count("\n") == 6
    assert api.get(ITEMS, "district-310104", f="csv").json()["code"] == "forbidden"
    assert api.get(ITEMS, "district-310104", f="parquet").status_code == 400


def test_the_format_is_what_the_caller_accepts(api: Api) -> None:
    def kind(accepts: str) -> str:
        said = api.http.get(
            ITEMS, params={"limit": 1}, headers={**api.headers("planner"), "Accept": accepts}
        )
        return str(said.headers["content-type"]).partition(";")[0]

    assert kind("*/*") == "application/geo+json"
    assert kind("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8") == "text/html"
    assert kind("text/csv;q=0.5, application/geo+json") == "application/geo+json"
    assert kind("application/flatgeobuf") == "application/flatgeobuf"
    refused = api.http.get(ITEMS, headers={**api.headers("planner"), "Accept": "image/png"})
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")


def test_pages_for_people_show_table_and_map_and_run_nothing_inline(api: Api) -> None:
    said = api.get(ITEMS, f="html", limit=3)
    assert said.headers["content-type"].startswith("text/html")
    assert 'data-items="/ogc/collections/toilet/items?' in said.text
    assert "下一页 Next" in said.text and "公厕" in said.text
    assert said.text.count("<script") == said.text.count('<script type="module" src="/ui/')
    one = api.get(f"{ITEMS}/{first(api)['id']}", f="html").text
    assert "公厕7" in one and "onclick" not in one


def test_names_that_look_like_code_stay_text(api: Api) -> None:
    with db.engine("app").begin() as conn:
        conn.execute(text("update sanitation.toilet set name = :n where name = '公厕9'"),
                     {"n": "<script>alert(1)</script>"})  # fmt: skip
    said = api.get(ITEMS, f="html", filter="name like '<script%'").text
    assert "<script>alert" not in said and "&lt;script&gt;" in said


@pytest.mark.parametrize("path", ["", "/conformance", "/collections", "/collections/toilet",
                                  "/collections/toilet/queryables", "/collections/toilet/sortables",
                                  "/collections/toilet/schema", "/collections/toilet/items", "/api"])  # fmt: skip
def test_every_document_is_json_page_and_head(api: Api, path: str) -> None:
    whole = api.get(f"/ogc{path}")
    assert whole.status_code == 200
    page_ = api.http.get(f"/ogc{path}", headers={**api.headers("planner"), "Accept": "text/html"})
    assert page_.headers["content-type"].startswith("text/html")
    bare = api.http.head(f"/ogc{path}", headers=api.headers("dispatcher"))
    assert (bare.status_code, bare.content) == (200, b"")
    assert bare.headers["content-type"] == whole.headers["content-type"]


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"crs": EPSG + "9999"}, "crs"),
        ({"crs": EPSG + "32650"}, "crs"),
        ({"bbox-crs": "moon", "bbox": "1,2,3,4"}, "bbox-crs"),
        ({"bbox": "1,2,3"}, "bbox"),
        ({"bbox": "1,2,3,4,5"}, "bbox"),
        ({"bbox": "inf,2,3,4"}, "bbox"),
        ({"bbox": "1,50,2,40"}, "bbox"),
        ({"bbox": "1,2,9e9,4", "bbox-crs": EPSG + "4549"}, "bbox"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "9" * 40}, "limit"),
        ({"sortby": "geom"}, "sortby"),
        ({"sortby": "--name"}, "sortby"),
        ({"sortby": "name,name"}, "sortby"),
        ({"sortby": "features"}, "sortby"),
        ({"properties": "nothing"}, "properties"),
        ({"skipGeometry": "maybe"}, "skipGeometry"),
        ({"datetime": "2026-13-01T00:00:00Z"}, "datetime"),
        ({"f": "xml"}, "f"),
        ({"name": "a\0b"}, "name"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_named(
    api: Api, params: dict[str, str], parameter: str
) -> None:
    done = api.get(ITEMS, **params)
    assert done.status_code == 400, done.text
    assert done.headers["content-type"] == "application/problem+json"
    assert done.json()["parameter"] == parameter


def test_one_feature_has_a_version_that_saves_the_way(api: Api) -> None:
    path = f"{ITEMS}/{first(api)['id']}"
    done = api.get(path)
    again = api.http.get(
        path, headers={**api.headers("dispatcher"), "If-None-Match": done.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert api.get(path, crs=EPSG + "4326").json()["geometry"]["coordinates"][0] < 90
    assert api.get(f"{ITEMS}/00000000-0000-0000-0000-000000000000").status_code == 404
    assert api.get(f"{ITEMS}/{'x' * 300}").status_code == 404
