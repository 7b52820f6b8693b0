"""Loads by HTTP: sent in parts, described, mapped, checked, corrected, committed; exports and templates."""

from __future__ import annotations

import io
import json
from typing import Any

import openpyxl
import pytest

from ingest.files import uploads
from tests.services.conftest import Api
from twin import jobs

CSV = (
    "公厕名称,经度,纬度,等级,女厕位,谁管\n甲,121.41,31.21,一类,4,环卫一队\n"
    "乙,121.42,31.21,九类,3,环卫一队\n丙,121.43,31.21,二类,四,环卫二队\n丁,121.44,31.21,三类,2,环卫二队\n"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads of a test lie in its own folder."""
    monkeypatch.setattr(uploads, "_root", lambda: tmp_path / "uploads")


def send(api: Api, raw: bytes, name: str, user: str = "planner") -> dict[str, Any]:
    said = api.http.post(f"/api/v1/loads?name={name}", content=raw, headers=api.headers(user))
    assert said.status_code == 201, said.text
    found: dict[str, Any] = said.json()
    return found


def post(api: Api, path: str, body: Any, user: str = "planner", code: int = 200) -> Any:
    said = api.post(f"/api/v1/loads/{path}", body, user)
    assert said.status_code == code, said.text
    return said.json()


def test_the_whole_way(api: Api) -> None:
    found = send(api, CSV.encode("gbk"), "公厕.csv")
    assert (found["format"], found["encoding"], found["total"]) == ("csv", "gb18030", 4)
    assert found["kinds"][0]["kind"] == "toilet" and found["sample"][0]["公厕名称"] == "甲"
    upload = found["upload"]
    said = post(api, f"{upload}/suggest", {"kind": "toilet"})
    assert said["mapping"]["公厕名称"] == "name" and "谁管" not in said["mapping"]
    assert (said["x"], said["y"], said["key"]) == ("经度", "纬度", None)
    asked = {"kind": "toilet", "mapping": said["mapping"] | {"谁管": "manager"}, "source": "web",
             "key": "公厕名称"}  # fmt: skip
    result = post(api, f"{upload}/check", asked)["result"]
    assert (result["read"], result["inserted"], result["quarantined"]) == (4, 2, 2)
    wrong = {row["row"]: row["reason"] for row in result["refused"]}
    assert "九类" in wrong[2] and "四" in wrong[3]
    post(api, f"{upload}/corrections", {"rows": {"2": {"等级": "一类"}, "3": {"女厕位": "4"}}})
    result = post(api, f"{upload}/check", asked)["result"]
    assert (result["inserted"], result["quarantined"]) == (4, 0)
    job = post(api, f"{upload}/commit", asked, code=202)["job"]
    assert post(api, f"{upload}/commit", asked, code=202)["job"] == job
    assert jobs.run_next(only=job)
    done = api.get(f"/api/v1/loads/jobs/{job}", "planner").json()
    assert done["state"] == "done" and done["result"]["inserted"] == 4
    assert "quarantine_path" not in done["result"]
    listed = api.get("/api/v1/loads", "planner").json()["loads"]
    assert listed[0]["id"] == done["result"]["loads"][0] and listed[0]["file"] == "公厕.csv"
    items = api.get("/ogc/collections/toilet/items", "planner", filter="source = 'web'").json()
    assert {f["properties"]["manager"] for f in items["features"]} == {"环卫一队", "环卫二队"}
    # The next file of this source needs no words any more.
    again = send(api, CSV.replace("一类", "二类").encode(), "web.csv")
    said = post(api, f"{again['upload']}/suggest", {"kind": "toilet", "source": "web"})
    assert said["remembered"] and said["mapping"]["谁管"] == "manager" and said["key"] == "公厕名称"
    result = post(api, f"{again['upload']}/check", asked)["result"]
    changes = {row["name"]: row["changes"] for row in result["diff"]}
    assert changes["甲"]["grade"] == ["1", "2"] and result["unchanged"] == 1


def test_a_file_comes_in_parts_and_goes_on_where_it_broke_off(api: Api) -> None:
    raw = CSV.encode()
    begun = api.http.post(
        f"/api/v1/loads?name=p.csv&bytes={len(raw)}", headers=api.headers("planner")
    ).json()
    path = f"/api/v1/loads/{begun['upload']}"
    assert api.get(path, "planner").status_code == 409

    def part(offset: int, piece: bytes) -> Any:
        headers = api.headers("planner") | {"Upload-Offset": str(offset)}
        return api.http.patch(path, content=piece, headers=headers)

    assert part(0, raw[:50]).json()["offset"] == 50
    lost = part(0, raw[:50])
    assert lost.status_code == 409 and lost.json()["offset"] == 50
    assert part(50, raw[50:] + b"more").status_code == 400
    assert part(50, raw[50:]).json()["offset"] == len(raw)
    assert api.get(path, "planner").json()["total"] == 4


def test_who_may_not_load_and_whose_upload_it_is(api: Api) -> None:
    for user in ("dispatcher", "patrol", "auditor", "district-310104"):
        said = api.http.post(
            "/api/v1/loads?name=a.csv", content=b"a,b\n1,2\n", headers=api.headers(user)
        )
        assert said.status_code == 403
        assert api.get("/api/v1/loads", user).status_code == 403
    assert api.get("/api/v1/loads", None).status_code == 401
    assert (
        api.get("/api/v1/loads/00000000-0000-0000-0000-000000000000", "planner").status_code == 404
    )
    assert api.get(f"/api/v1/loads/{'../' * 12}", "planner").status_code in (404, 422)


@pytest.mark.parametrize(
    ("raw", "word"),
    [(b"\xd0\xcf\x11\xe0" + bytes(600), "save it as .xlsx"), (b"%PDF-1.7", "PDF"),
     (b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x/>', "entities")],
)  # fmt: skip
def test_a_file_that_is_no_data_says_why(api: Api, raw: bytes, word: str) -> None:
    said = api.http.post("/api/v1/loads?name=a.csv", content=raw, headers=api.headers("planner"))
    assert said.status_code == 422 and word in said.json()["detail"]


def test_a_check_of_many_rows_is_a_job(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from services.loads import service

    monkeypatch.setattr(service, "AT_ONCE_ROWS", 1)
    upload = send(api, CSV.encode(), "many.csv")["upload"]
    job = post(api, f"{upload}/check", {"kind": "toilet"})["job"]
    assert jobs.run_next(only=job)
    done = api.get(f"/api/v1/loads/jobs/{job}", "planner").json()
    assert done["result"]["dry_run"] and done["result"]["quarantined"] == 2
    assert api.get(f"/api/v1/loads/jobs/{job}/quarantine.gpkg", "planner").status_code == 404


def test_the_rows_left_out_are_a_geopackage(api: Api) -> None:
    upload = send(api, CSV.encode(), "left.csv")["upload"]
    asked = {"kind": "toilet", "source": "left"}
    job = post(api, f"{upload}/commit", asked, code=202)["job"]
    jobs.run_next(only=job)
    assert api.get(f"/api/v1/loads/jobs/{job}", "planner").json()["result"]["has_quarantine"]
    said = api.get(f"/api/v1/loads/jobs/{job}/quarantine.gpkg", "planner")
    assert said.status_code == 200 and said.content.startswith(b"SQLite format 3")


def test_templates_and_exports(api: Api) -> None:
    said = api.get("/api/v1/templates/toilet.xlsx", "planner")
    book = openpyxl.load_workbook(io.BytesIO(said.content))
    assert book.worksheets[0]["B1"].value == "名称" and len(book.worksheets) == 2
    assert "经度" in api.get("/api/v1/templates/toilet.csv", "planner").content.decode("utf-8-sig")
    assert api.get("/api/v1/templates/nothing.xlsx", "planner").status_code == 404
    said = api.get("/api/v1/exports/toilet.geojson", "planner", filter="source = 'mini'")
    assert len(json.loads(said.content)["features"]) == 190
    assert api.get("/api/v1/exports/toilet.xyz", "planner").status_code == 404
    assert api.get("/api/v1/exports/toilet.csv", "dispatcher").status_code == 403
    assert api.get("/api/v1/exports/toilet.csv", "planner", filter="nothing = 1").status_code == 400


def test_a_template_that_was_filled_loads(api: Api) -> None:
    book = openpyxl.load_workbook(
        io.BytesIO(api.get("/api/v1/templates/toilet.xlsx", "planner").content)
    )
    sheet = book.worksheets[0]
    titles = [c.value for c in sheet[1]]
    row = dict.fromkeys(titles) | {
        "自有编号": "A-1",
        "名称": "新厕",
        "经度": 121.41,
        "纬度": 31.22,
        "等级": "一类",
    }
    sheet.append([row[t] for t in titles])
    out = io.BytesIO()
    book.save(out)
    upload = send(api, out.getvalue(), "filled.xlsx")["upload"]
    said = post(api, f"{upload}/suggest", {"kind": "toilet"})
    assert said["key"] == "自有编号"
    result = post(api, f"{upload}/check", {"kind": "toilet", "mapping": said["mapping"]})["result"]
    assert (result["read"], result["inserted"], result["quarantined"]) == (1, 1, 0)
