"""Pictures of others through this house: snapshots of cameras, tiles of a base map; from real small servers."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import shapely
from PIL import Image
from sqlalchemy import text

from ingest.city import snapshots as drawn
from services.basemap import service as basemap
from services.wall import snapshots
from services.web import outward
from tests import minicity, pictures
from tests.pictures import Source
from tests.services.conftest import Api
from tests.support import environment
from twin import db
from twin.settings import settings

KEY = "a-key-that-must-not-be-seen"


@pytest.fixture
def source() -> Iterator[Source]:
    with (
        pictures.serving() as made,
        environment(TWIN_CAMERA_NETS="127.0.0.0/8", TWIN_TIANDITU_KEY=KEY, TWIN_TIANDITU_URL=made.address),
    ):  # fmt: skip
        snapshots.forget()
        yield made
    snapshots.forget()


@pytest.fixture
def cameras(api: Api, source: Source) -> dict[str, str]:
    place = minicity.ewkb(shapely.Point(minicity.IN_WEST))
    with db.engine("app").begin() as conn:
        minicity.write(conn, "camera", {
            "source_key": ["snap", "bare"], "name": ["路口一", "路口二"], "geom": [place] * 2,
            "snapshot_url": [f"{source.address}/one.jpg", None],
        })  # fmt: skip
        rows = conn.execute(
            text("select source_key, code from appearance.camera where source = 'mini'")
        )
        return {row.source_key: row.code for row in rows}


def snap(api: Api, code: str, user: str = "dispatcher", **headers: str) -> Any:
    said = api.headers(user) | headers
    return api.http.get(f"/api/v1/cameras/{code}/snapshot", headers=said)


def test_a_snapshot_is_fetched_once_marked_and_audited(
    api: Api, source: Source, cameras: dict[str, str]
) -> None:
    source.body = pictures.png(size=400)
    first = snap(api, cameras["snap"])
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "image/jpeg"
    taken = datetime.fromisoformat(first.headers["x-taken-at"])
    assert (datetime.now(UTC) - taken).total_seconds() < 5
    with Image.open(io.BytesIO(first.content)) as image:
        assert image.size == (400, 400)
        assert len(set(image.convert("L").getdata())) > 10  # the mark of who looks
    other = snap(api, cameras["snap"], "commander")
    assert other.content != first.content and source.asked == ["/one.jpg"]
    again = snap(api, cameras["snap"], **{"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    seen = api.get("/api/v1/audit", "auditor", action="camera.view").json()["entries"]
    assert sorted(e["actor"] for e in seen) == ["commander", "dispatcher"]
    assert snap(api, cameras["snap"], "district-310104").status_code == 404
    assert snap(api, cameras["snap"], "patrol").status_code == 403
    assert snap(api, "nothing").status_code == 404 and snap(api, cameras["bare"]).status_code == 404


@pytest.mark.parametrize("mood", ["broken", "html", "half", "large", "elsewhere"])
def test_what_is_no_picture_is_refused_and_makes_the_camera_ill(
    api: Api, source: Source, cameras: dict[str, str], mood: str
) -> None:
    lon, lat = minicity.IN_WEST

    def state() -> dict[str, Any]:
        rows = api.get("/api/v1/cameras/seeing", lon=lon, lat=lat).json()["cameras"]
        return next(dict(c) for c in rows if c["code"] == cameras["snap"])

    assert snap(api, cameras["snap"]).status_code == 200
    assert state()["online"] is True and state()["picture"]["ok"]
    snapshots.forget()
    source.mood = mood
    done = snap(api, cameras["snap"])
    assert (done.status_code, done.json()["code"]) == (503, "no_picture")
    assert source.address not in done.text
    assert state()["online"] is False and state()["picture"]["why"] == done.json()["detail"]


def test_only_allowed_networks_are_asked(api: Api, source: Source, cameras: dict[str, str]) -> None:
    with environment(TWIN_CAMERA_NETS="10.0.0.0/8"):
        done = snap(api, cameras["snap"])
    assert done.status_code == 503 and "networks" in done.json()["detail"] and source.asked == []
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "http://[::1"):
        with pytest.raises(outward.NoPicture):
            outward.picture(address, most=100, within_s=1, networks=settings().camera_nets)


def test_a_camera_that_does_not_answer_is_given_up(source: Source) -> None:
    source.mood = "slow"
    with pytest.raises(outward.NoPicture, match="in time"):
        outward.picture(source.address, most=1 << 20, within_s=0.2, networks=None)


def test_a_pattern_serves_cameras_without_an_address(
    api: Api, source: Source, cameras: dict[str, str]
) -> None:
    with environment(TWIN_SNAPSHOT_URL=f"{source.address}/c/{{code}}"):
        assert snap(api, cameras["bare"]).status_code == 200
    assert source.asked == [f"/c/{cameras['bare']}"]


def test_pictures_of_the_demo_are_the_same_street_for_the_same_camera() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    one, again = drawn.picture("CM1", noon), drawn.picture("CM1", noon)
    assert one == again != drawn.picture("CM2", noon)
    assert drawn.picture("CM1", noon.replace(hour=0)) != one


def tile(api: Api, path: str, user: str | None = "dispatcher") -> Any:
    return api.http.get(f"/basemap/{path}", headers=api.headers(user))


def test_a_tile_is_asked_for_once_and_given_while_the_provider_is_away(
    api: Api, source: Source, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    path = "tianditu/vec/12/3430/1673"
    first = tile(api, path)
    assert first.status_code == 200 and first.headers["content-type"] == "image/png", first.text
    assert tile(api, path).content == first.content == source.body
    assert len(source.asked) == 1 and f"tk={KEY}" in source.asked[0]
    assert "TILEMATRIX=12&TILEROW=1673&TILECOL=3430" in source.asked[0]
    source.mood = "broken"
    assert tile(api, path).status_code == 200
    away = tile(api, "tianditu/vec/12/3431/1673")
    assert (away.status_code, away.json()["code"]) == (503, "no_picture")
    said = api.http.get("/api/v1/config")
    assert [b["id"] for b in said.json()["basemaps"]] == [
        "tianditu_vec",
        "tianditu_img",
        "tianditu_ter",
    ]
    told = "".join(capfd.readouterr()) + caplog.text + said.text + away.text + repr(settings())
    assert KEY not in told


@pytest.mark.parametrize(
    "path",
    ["tianditu/vec/0/0/0", "tianditu/vec/3/8/1", "tianditu/vec/12/100/100", "tianditu/abc/3/1/1",
     "google/vec/3/1/1", "tianditu/vec/19/1/1", "tianditu/vec/12/3430/-1"],
)  # fmt: skip
def test_tiles_out_of_bounds_are_not_asked_for(api: Api, source: Source, path: str) -> None:
    assert tile(api, path).status_code in (400, 404) and source.asked == []


def test_without_a_key_there_is_no_base_map_and_the_cache_is_bounded(
    api: Api, source: Source
) -> None:
    assert tile(api, "tianditu/img/5/26/13").status_code == 200
    assert tile(api, "tianditu/img/5/27/13").status_code == 200
    assert tile(api, "tianditu/img/5/26/13", None).status_code == 401
    size = len(source.body)
    assert basemap.clean(size) >= 1 and basemap.clean(size) == 0
    with environment(TWIN_TIANDITU_KEY=None):
        assert tile(api, "tianditu/img/5/26/13").status_code == 404
        assert api.http.get("/api/v1/config").json()["basemaps"] == []
