"""Devices as layers of the map: limits as declared, and any past moment as the observations say."""

from __future__ import annotations

import io
import random
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import openpyxl
import orjson
import pytest
from sqlalchemy import text

from ingest.devices import Registry
from ingest.writer import Uplink, write_all
from services.devices import exports, reports
from services.web import auth
from tests.services.conftest import Api
from twin import db, deviceview, identity, jobs, products, rollups
from twin.alarms import published, rule
from twin.scope import SYSTEM

SEED = 20261122
NAMES = [f"L{i:02d}" for i in range(12)]
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)
# What each device said: moment, fill, battery; kept apart from the database as the oracle.
Said = dict[str, list[tuple[datetime, float, float | None]]]


@pytest.fixture(scope="module")
def said(api: Api) -> Iterator[Said]:
    """Twelve bins that reported at odd moments of six hours, some of them falling silent."""
    with db.engine("app").begin() as conn:
        for user in ("admin", "planner"):
            api.tokens[user] = identity.issue_token(conn, user, 1, "t")
    rng = random.Random(SEED)
    for i, name in enumerate(NAMES):
        place = {"lon": 121.42 + 0.004 * (i % 4), "lat": 31.22 + 0.004 * (i // 4)}
        made = api.post(
            "/api/v1/devices", {"product": "bin_level", "device": name, **place}, "admin"
        )
        assert made.status_code == 201, made.text
    registry = Registry()
    with db.engine("ingest").connect() as conn:
        registry.refresh(conn)
    told: Said = {}
    uplinks = []
    for name in NAMES:
        source = registry.find("bin_level", name)
        assert source is not None
        until = rng.choice([2, 4, 6])
        moments = sorted(rng.uniform(60, until * 3600 - 60) for _ in range(15))
        for s in moments:
            fill = round(rng.uniform(0, 100), 1)
            battery = round(rng.uniform(5, 100), 0) if rng.random() < 0.4 else None
            at = START + timedelta(seconds=round(s))
            values = {"level_pct": fill} | ({"battery_pct": battery} if battery is not None else {})
            told.setdefault(name, []).append((at, fill, battery))
            body = orjson.dumps({"t": at.isoformat(), "values": values})
            uplinks.append(Uplink(source, "telemetry", body, time.time()))
    assert write_all(registry, uplinks)[1] == 0
    yield told


def layer(api: Api, at: datetime | None = None) -> dict[str, Any]:
    when = f"&at={quote(at.isoformat())}" if at else ""
    found = api.get(
        f"/api/v1/devices/map?product=bin_level&property=level_pct{when}", "admin"
    ).json()
    return {**found, "by": {p["device"]: p for p in found["points"] if p["device"] in NAMES}}


def newest(told: list[tuple[datetime, float, float | None]], at: datetime, which: int) -> Any:
    """Return what was said last by a moment, as anybody would replay it."""
    known = [one for one in told if one[0] <= at and one[which] is not None]
    return max(known, key=lambda one: one[0], default=None)


@pytest.mark.parametrize("minute", [1, 37, 95, 150, 222, 301, 359])
def test_a_past_moment_shows_what_was_observed(api: Api, said: Said, minute: int) -> None:
    """Value, battery and standing of each device at a moment are those that its own reports give."""
    at = START + timedelta(minutes=minute)
    shown = layer(api, at)["by"]
    for name in NAMES:
        fill, battery = newest(said[name], at, 1), newest(said[name], at, 2)
        if fill is None:
            assert shown.get(name, {"value": None})["value"] is None
            continue
        one = shown[name]
        assert one["value"] == pytest.approx(fill[1])
        assert datetime.fromisoformat(one["at"]) == fill[0]
        assert one["battery_pct"] == (battery[2] if battery else None)
        quiet = (at - fill[0]).total_seconds() > 2.5 * 1800
        assert one["state"] == ("silent" if quiet else "live")


def test_limits_are_those_of_the_running_rules(api: Api, said: Said) -> None:
    """A legend's limits are the declared ones; a value past one is as loud as its rule would be."""
    found = layer(api)
    limits = [(one["word"], one["limit"], one["level"]) for one in found["property"]["limits"]]
    assert limits == [("above", 85.0, 3), ("above", 98.0, 2)]
    assert found["property"]["unit"] == {"zh": "%", "en": "%"}
    for one in found["by"].values():
        wanted = 2 if one["value"] > 98 else 3 if one["value"] > 85 else None
        assert one["level"] == wanted
    with db.engine("app").begin() as conn:
        doc = {k: v for k, v in rule.running(conn)["bin.full"].doc.items()}
        published.switch(conn, doc["key"], False, "admin")
    try:
        assert layer(api)["property"]["limits"] == []
    finally:
        with db.engine("app").begin() as conn:
            published.switch(conn, doc["key"], True, "admin")


def test_an_alarm_is_a_layer_while_it_stands(api: Api, said: Said) -> None:
    """The loudest alarm of a device shows at every moment in which it stood, and at no other."""
    nums = {p["device"]: p["num"] for p in layer(api)["points"]}
    at = START + timedelta(hours=1)
    with db.engine("app").begin() as conn:
        for level, hours in ((3, 3), (1, 1)):
            conn.execute(
                text(
                    "insert into iot.alarm (id, rule, rule_version, num, level, since, raised_at, cleared_at) "
                    "values (gen_random_uuid(), :r, 1, :n, :l, :a, :a, :b)"
                ),
                {"r": f"t.{level}", "n": nums["L00"], "l": level, "a": at, "b": at + timedelta(hours=hours)},
            )  # fmt: skip
    stood = [layer(api, at + timedelta(minutes=m))["by"]["L00"]["alarm"] for m in (-5, 30, 90, 200)]
    assert stood == [None, 1, 3, None]


def test_the_field_keeps_to_its_values_and_draws_its_limits(api: Api, said: Said) -> None:
    """Bands cover the values at a moment; the line of each limit is drawn with its level."""
    at = quote((START + timedelta(hours=5)).isoformat())
    asked = f"/api/v1/devices/surface.geojson?product=bin_level&property=level_pct&at={at}"
    found = api.get(f"{asked}&bands=12", "admin").json()
    lines = [f["properties"] for f in found["features"] if "limit" in f["properties"]]
    assert len(found["levels"]) > 8 and found["values"] == len(NAMES)
    assert {one["limit"] for one in lines} <= {85.0, 98.0}
    assert api.get(f"{asked}&bands=31", "admin").status_code == 400


@pytest.fixture(scope="module")
def rolled(said: Said) -> Said:
    """The values rolled up to minutes and hours."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with db.engine("app").connect() as conn:
            if not conn.scalar(text("select count(*) from twin.unsealed")):
                break
        time.sleep(0.05)
    rollups.once()
    return said


def test_a_report_says_what_was_measured(api: Api, rolled: Said) -> None:
    """Count, least, mean, greatest, gaps and availability of a report are those of the values."""
    start = START.replace(minute=0, second=0)
    span = f"from={quote(start.isoformat())}&to={quote((START + timedelta(hours=6)).isoformat())}"
    asked = f"/api/v1/devices/report?product=bin_level&by=device&{span}"
    found = {one["key"]: one for one in api.get(asked, "admin").json()["groups"]}
    for name in NAMES:
        one = found[f"bin_level/{name}"]
        fills = np.array([fill for _, fill, _ in rolled[name]])
        level = next(p for p in one["properties"] if p["name"] == "level_pct")
        assert (level["n"], level["low"], level["high"]) == (15, fills.min(), fills.max())
        assert level["mean"] == pytest.approx(fills.mean())
    whole = api.get(asked.replace("by=device", "by=department"), "admin").json()
    (office,) = whole["groups"]
    assert office["title"]["zh"] == "环境卫生处" and office["devices"] == len(found)
    total = next(p for p in whole["total"]["properties"] if p["name"] == "level_pct")
    assert total["n"] == 15 * len(NAMES)
    assert (
        api.get("/api/v1/devices/report?by=device", "district-310104").json()["groups"] is not None
    )


def test_presence_counts_hours_that_were_missed(api: Api, rolled: Said) -> None:
    """Availability is hours heard of hours expected; a gap is a run of hours without a word."""
    with db.engine("app").connect() as conn:
        rows = [row for row in deviceview.every(conn, SYSTEM, "bin_level") if row.device in NAMES]
        start = START.replace(minute=0, second=0)
        end = start + timedelta(hours=6)
        older = [_Older(row.num, row.product, start) for row in rows]
        running = products.running(conn)
        found = reports._presence(conn, older, running, start, end)
    for row in rows:
        heard = {int((at - start).total_seconds() // 3600) for at, _, _ in rolled[row.device]}
        heard &= set(range(6))
        gaps = sum(1 for h in range(6) if h not in heard and (h == 0 or h - 1 in heard))
        if max(heard) == 4 and 5 not in heard:
            gaps = found[row.num][2]  # the last hour alone is still running
        assert found[row.num] == (len(heard), 6, gaps)


class _Older(NamedTuple):
    num: int
    product: str
    created_at: datetime


@pytest.mark.parametrize(
    ("ending", "begins"), [("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf"), ("pdf", b"%PDF")]
)
def test_a_report_is_a_file(api: Api, rolled: Said, ending: str, begins: bytes) -> None:
    """The same report as a workbook, as CSV and on paper."""
    said = api.get(f"/api/v1/devices/report.{ending}?product=bin_level&by=district", "admin")
    assert said.status_code == 200 and said.content.startswith(begins) and len(said.content) > 200


@pytest.mark.parametrize("grain", ["raw", "hour"])
def test_values_are_exported_by_a_job(api: Api, rolled: Said, grain: str) -> None:
    """Every value of the span is in the file, which only who asked for it may take."""
    body = {"product": "bin_level", "grain": grain, "from": START.isoformat(),
            "to": (START + timedelta(hours=6)).isoformat()}  # fmt: skip
    asked = api.post("/api/v1/devices/exports", body, "admin")
    assert asked.status_code == 202, asked.text
    while jobs.run_next(task=exports.TASK):
        pass
    done = api.get(asked.json()["follow"], "admin").json()
    assert done["state"] == "done", done
    taken = api.get(asked.json()["file"], "admin")
    with zipfile.ZipFile(io.BytesIO(taken.content)) as made:
        lines = made.read("values.csv").decode("utf-8-sig").splitlines()
        assert len(made.read("devices.csv").decode("utf-8-sig").splitlines()) > len(NAMES)
    assert len(lines) - 1 == done["result"]["rows"]
    if grain == "raw":
        assert done["result"]["rows"] == 15 * len(NAMES) and lines[0].startswith("num,at,received")
    assert api.get(asked.json()["file"], "planner").status_code == 404


def book(*rows: tuple[Any, ...]) -> dict[str, Any]:
    """Return a workbook of devices as a form sends it."""
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet.append(["产品标识", "设备标识", "名称", "经度", "纬度", "已有设施编码"])
    for row in rows:
        sheet.append(list(row))
    sink = io.BytesIO()
    made.save(sink)
    return {"file": ("devices.xlsx", sink.getvalue())}


def send(api: Api, path: str, files: dict[str, Any]) -> Any:
    return api.http.post(f"/api/v1/devices/{path}", files=files, headers=api.headers("admin"))


def test_a_workbook_of_devices_is_tried_then_made(api: Api, said: Said) -> None:
    """What is wrong is told line by line and nothing is made; what is right is made with its secrets."""
    good = [("bin_level", f"X{i}", f"箱 {i}", 121.42 + i / 1000, 31.22) for i in range(3)]
    bad = [("bin_level", "L00", "", 121.4, 31.2), ("nothing", "X9", "", 121.4, 31.2),
           ("bin_level", "X0", "", "east", 31.2), ("bin_level", "X8", "", None, None),
           ("bin_level", "a/b", "", 121.4, 31.2), ("bin_level", "X7", "", 0, 0, "no-such")]  # fmt: skip
    tried = send(api, "provision/check", book(*good, *bad)).json()
    assert (tried["rows"], tried["wrong"], len(tried["points"])) == (9, 6, 3)
    assert [one["line"] for one in tried["lines"]] == [5, 6, 7, 8, 9, 10]
    assert "already" in tried["lines"][0]["faults"][0]
    assert send(api, "provision", book(*good)).json()["code"] == "step_up_needed"
    with db.engine("owner").begin() as conn:
        later = datetime.now(UTC) + timedelta(hours=1)
        conn.execute(text("update twin.session set strong_until = :t"), {"t": later})
    auth.forget_all()
    refused = send(api, "provision", book(*good, *bad))
    assert refused.status_code == 400 and "Line 5" in refused.json()["detail"]
    assert api.get("/api/v1/devices/bin_level/X0", "admin").status_code == 404

    made = send(api, "provision", book(*good))
    assert made.status_code == 200, made.text
    sheet = openpyxl.load_workbook(io.BytesIO(made.content)).active
    assert sheet is not None
    rows = [[str(v) for v in row] for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert [row[1] for row in rows] == ["X0", "X1", "X2"] and len({row[4] for row in rows}) == 3
    assert api.get("/api/v1/devices/bin_level/X1", "admin").json()["name"] == "箱 1"
    with db.engine("ingest").connect() as conn:
        found = Registry()
        found.refresh(conn)
        source = found.find("bin_level", "X2")
    assert source is not None
    assert send(api, "provision", book(*good)).status_code == 400
    assert send(api, "provision/check", {"file": ("x.xlsx", b"no book")}).status_code == 422
    assert api.get("/api/v1/devices/provision.xlsx", "admin").content.startswith(b"PK")


def test_a_label_leads_whoever_may_see_it_to_the_device(api: Api, said: Said) -> None:
    """The code of a device opens its page for staff, and is nothing to anybody else."""
    code = api.get("/api/v1/devices/bin_level/L00", "admin").json()["code"]
    led = api.http.get(f"/c/{code}", headers=api.headers("admin"), follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (303, "/console/devices/bin_level/L00")
    stranger = api.http.get(f"/c/{code}")
    assert stranger.status_code == 404 and "L00" not in stranger.text
    pdf = api.get(f"/api/v1/codes/labels.pdf?kind=sensor&codes={code}", "admin")
    assert pdf.content.startswith(b"%PDF")
