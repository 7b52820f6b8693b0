"""Pushes of machines and partners, patches of satellites: signed, mapped, one by one, again without harm."""

from __future__ import annotations

import base64
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
import shapely
from PIL import Image
from sqlalchemy import text

from ingest import reports
from tests import minicity
from tests.services.conftest import Api
from twin import cases, db, keys, pushes
from twin.errors import Unreadable
from twin.scope import SYSTEM

GB = "31010100001320000001"
PATH = "/api/v1/intake/cameras_isc/push"


@pytest.fixture(scope="module")
def secret(api: Api) -> str:
    with db.engine("app").begin() as conn:
        minicity.write(conn, "camera", {
            "source_key": ["c1"], "name": ["南门球机"], "gb_code": [GB],
            "geom": [minicity.ewkb(shapely.Point(121.4203, 31.2203))]})  # fmt: skip
        return pushes.renew(conn, "cameras_isc", actor="t")


def picture() -> str:
    raw = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(raw, "JPEG")
    return base64.b64encode(raw.getvalue()).decode()


def notice(number: str, **data: Any) -> dict[str, Any]:
    """Return one notice in the platform's own shape."""
    event = {"eventId": number, "eventType": 131659, "happenTime": "2026-11-20T09:30:00.000+08:00",
             "srcIndex": GB, "srcName": "南门球机", "status": 0,
             "data": {"eventName": "暴露垃圾", "confidence": 0.93, "image": picture()} | data}  # fmt: skip
    return {"method": "OnEventNotify", "params": {"ability": "event_ai", "events": [event]}}


def push(
    api: Api, secret: str, body: Any, *, moment: int | None = None, path: str = PATH, **forged: str
) -> Any:
    raw = json.dumps(body).encode()
    at = int(time.time()) if moment is None else moment
    headers = {"webhook-id": "n1", "webhook-timestamp": str(at),
               "webhook-signature": pushes.signature(secret, "n1", at, raw)}  # fmt: skip
    return api.http.post(path, content=raw, headers=headers | forged)


def of(code: str) -> dict[str, Any]:
    with db.engine("app").connect() as conn:
        return cases.find(conn, SYSTEM, code)


def test_a_sure_detection_is_accepted_with_its_picture_at_its_camera(api: Api, secret: str) -> None:
    done = push(api, secret, notice("e1")).json()
    assert (done["accepted"], done["refused"]) == (1, 0)
    case = of(done["results"][0]["code"])
    data = case["data"]
    assert (case["source"], case["category"], case["state"]) == ("camera", "litter", "assigned")
    assert (case["lon"], case["lat"], data["place_from"]) == (121.4203, 31.2203, "camera")
    assert (data["camera_name"], data["sure"], data["confidence"]) == ("南门球机", True, 0.93)
    assert len(data["photos"]) == 1
    assert case["opened_at"].isoformat().startswith("2026-11-20T")
    again = push(api, secret, notice("e1")).json()["results"][0]
    assert (again["result"], again["code"]) == ("known", case["code"])


@pytest.mark.parametrize(
    ("data", "doubt"),
    [
        ({"confidence": 0.4}, "低于"),
        ({"confidence": None}, "未给出"),
        ({"image": "bm8gcGljdHVyZQ=="}, "图片不可读"),
        ({"image": "http://10.0.0.1/secret.jpg"}, "图片不可读"),
        ({"cameraIndexCode": "nobody"}, "目录中没有"),
    ],
)
def test_what_is_not_sure_waits_for_a_person_who_sees_why(
    api: Api, secret: str, data: dict[str, Any], doubt: str
) -> None:
    done = push(api, secret, notice(f"d{doubt}{sorted(data.values(), key=str)}", **data)).json()
    one = done["results"][0]
    assert doubt in one["doubt"]
    assert of(one["code"])["state"] == "collected"
    shown = api.get(f"/api/v1/events/{one['code']}").json()
    assert doubt in shown["doubt"]


def test_a_push_that_is_not_signed_now_by_its_source_is_refused(api: Api, secret: str) -> None:
    body = notice("f1")
    assert push(api, "f" * 64, body).status_code == 401
    assert push(api, secret, body, moment=int(time.time()) - 3600).status_code == 401
    assert push(api, secret, body, **{"webhook-signature": ""}).status_code == 401
    assert push(api, secret, body, **{"webhook-timestamp": "soon"}).status_code == 401
    assert push(api, secret, body, path="/api/v1/intake/partner/push").status_code == 401
    with db.engine("app").begin() as conn:
        assert pushes.renew(conn, "cameras_isc", actor="t") != secret
    assert push(api, secret, body).status_code == 401
    with db.engine("app").begin() as conn:  # back to a known one for the tests after this
        conn.execute(text("update twin.push_secret set round = 1"))


@pytest.mark.parametrize(
    "body", [[], {}, {"params": {"events": 7}}, {"params": {"events": [1]}}, 5]
)
def test_a_body_of_another_shape_is_refused_with_the_place(
    api: Api, secret: str, body: Any
) -> None:
    said = push(api, secret, body)
    assert said.status_code in (200, 400), said.text
    if said.status_code == 200:
        assert said.json()["accepted"] == 0
    else:
        assert "params.events" in said.json()["detail"]


# --- partners


@pytest.fixture(scope="module")
def partners(api: Api) -> list[dict[str, str]]:
    with db.engine("app").begin() as conn:
        made = [
            keys.issue(conn, keys.Wanted(name=f"P{i}", acts=("event.report",), districts=where), "t")
            for i, where in enumerate((None, [minicity.WEST]))
        ]  # fmt: skip
    return [{"Authorization": f"Bearer {token}"} for _, token in made]


def item(number: int, **said: Any) -> dict[str, Any]:
    return {"id": number, "category": "litter", "description": f"合作方上报 {number}", "lon": 121.42,
            "lat": 31.235, "at": "2026-11-20T08:00:00+08:00"} | said  # fmt: skip


def send(api: Api, caller: dict[str, str], *items: Any) -> Any:
    return api.http.post("/api/v1/intake/partner", json={"items": list(items)}, headers=caller)


def test_a_partner_gets_an_answer_for_each(api: Api, partners: list[dict[str, str]]) -> None:
    sent = [item(1), item(2, lat="north"), item(3, lon=None), item(4, category="ufo"),
            item(5, at="2036-01-01T00:00:00Z"), {"category": "litter"}]  # fmt: skip
    done = send(api, partners[0], *sent).json()
    assert (done["read"], done["accepted"], done["refused"]) == (6, 3, 3)
    results = done["results"]
    assert [r["result"][0] for r in results] == list("araarr")
    assert results[2]["missing"] == ["place"] and results[3]["missing"] == ["category"]
    assert "clock" in results[4]["why"] and "lat" in results[1]["why"]
    again = send(api, partners[0], *sent).json()
    assert (again["accepted"], again["known"]) == (0, 3)
    other = send(api, partners[1], item(1)).json()
    assert other["accepted"] == 1, "the number 1 of another partner is another report"


def test_a_key_of_one_district_reports_only_there(api: Api, partners: list[dict[str, str]]) -> None:
    done = send(api, partners[1], item(70), item(71, lon=121.47), item(72, lon=None)).json()
    assert [r["result"] for r in done["results"]] == ["accepted", "refused", "refused"]
    assert done["results"][1]["error"] == "forbidden"
    with db.engine("app").connect() as conn:
        left = conn.execute(
            text("select count(*) from twin.\"case\" where source_id like '% 71'")
        ).scalar_one()
    assert left == 0


def test_the_door_of_partners_asks_for_the_act_and_the_source(
    api: Api, partners: list[dict[str, str]]
) -> None:
    assert send(api, {}, item(9)).status_code == 401
    assert send(api, api.headers("planner"), item(9)).status_code == 403
    path = "/api/v1/intake/hotline12345"
    assert api.http.post(path, json=[], headers=partners[0]).status_code == 404
    assert api.http.post("/api/v1/intake/none", json=[], headers=partners[0]).status_code == 404
    assert api.http.post("/api/v1/intake/partner", content=b"{", headers=partners[0]).status_code == 400  # fmt: skip
    many = [item(i) for i in range(501)]
    assert send(api, partners[0], *many).status_code == 400


# --- satellites


def square(lon: float, lat: float, size: float = 0.0005) -> dict[str, Any]:
    a, b = lon + size, lat + size
    return {"type": "Polygon", "coordinates": [[[lon, lat], [a, lat], [a, b], [lon, b], [lon, lat]]]}  # fmt: skip


def patch(number: str, geometry: Any, **said: Any) -> dict[str, Any]:
    known = {"class": "clearing", "confidence": 0.95, "date": "2026-11-15", "sensor": "GF-2"}
    return {"type": "Feature", "id": number, "properties": known | said, "geometry": geometry}


def load(tmp_path: Path, *features: Any) -> Any:
    path = tmp_path / "patches.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return reports.load(path, "patches")


def test_patches_become_events_with_their_outline(api: Api, tmp_path: Path) -> None:
    bow = {
        "type": "Polygon",
        "coordinates": [
            [
                [121.43, 31.21],
                [121.431, 31.211],
                [121.431, 31.21],
                [121.43, 31.211],
                [121.43, 31.21],
            ]
        ],
    }
    features = [
        patch("p1", square(121.411, 31.221)), patch("p2", square(121.412, 31.225), confidence=0.5),
        patch("p3", bow), patch("p4", None), patch("p5", {"type": "Point", "coordinates": [121.4, 31.2]}),
        patch("p6", square(121.42, 31.21), confidence=7), patch("p7", square(121.416, 31.229), **{"class": "?"}),
    ]  # fmt: skip
    done = load(tmp_path, *features)
    assert (done.read, done.accepted, done.unsure, done.refused) == (7, 5, 1, 2), done
    assert load(tmp_path, *features).duplicates == 5
    with db.engine("app").connect() as conn:
        found = {r.source_id: r for r in conn.execute(text(
            'select * from twin."case" where source = \'satellite\''))}  # fmt: skip
    sure, unsure = found["patch:p1"], found["patch:p2"]
    assert (sure.category, sure.state, unsure.state) == ("forest_clearing", "assigned", "collected")
    assert sure.data["area_m2"] == pytest.approx(47.64 * 55.44, rel=0.01)
    assert "0.5" in unsure.data["doubt"]
    assert found["patch:p4"].data["missing"] == ["place"]
    assert found["patch:p7"].data["missing"] == ["category"]
    shown = api.get(f"/api/v1/events/{sure.code}").json()
    assert shown["shape"]["type"] == "MultiPolygon"
    assert shown["area_m2"] == sure.data["area_m2"]
    assert 121.411 < shown["point"][0] < 121.4115


@pytest.mark.parametrize("raw", ["", "{", '{"features": 5}', "[1]", '{"type": "Point"}'])
def test_a_file_that_is_no_collection_is_refused_whole(tmp_path: Path, raw: str) -> None:
    path = tmp_path / "x.geojson"
    path.write_text(raw)
    with pytest.raises(Unreadable):
        reports.load(path, "patches")
