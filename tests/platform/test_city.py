"""The whole installation with the small demo city: parts come back, positions arrive."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from tests.support import City
from ui.terminal.paths import ROOT

pytestmark = pytest.mark.timeout(400)


def publish(
    city: City, topic: str, said: object, login: tuple[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    user, password = login or city.broker_login()
    return subprocess.run(
        ["mosquitto_pub", "-p", str(city.mqtt_port), "-u", user, "-P", password, "-q", "1",
         "-t", topic, "-m", json.dumps(said)],
        check=login is None,
        capture_output=True,
        timeout=30,
    )  # fmt: skip


def first_vehicle(city: City, token: str, index: int = 0) -> dict[str, object]:
    page = city.get("/ogc/collections/vehicle/items?limit=9&f=json", token)
    found: dict[str, object] = page["features"][index]["properties"]
    return found


def test_every_part_is_up(city: City) -> None:
    parts = city.status()["parts"]
    assert {name: part["state"] for name, part in parts.items()} == {
        name: "up" for name in ("postgres", "mosquitto", "sequencer", "ingest", "worker", "api")
    }
    assert city.get("/readyz")["kinds"] >= 15


def test_commands_find_the_installation_by_its_home(city: City) -> None:
    env = {
        k: v
        for k, v in city.env.items()
        if k not in ("TWIN_PORT", "TWIN_DB_PORT", "TWIN_MQTT_PORT")
    }
    done = subprocess.run(
        [sys.executable, "-m", "ui.terminal.main", "user", "list", "--json"],
        env=env, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {u["user"] for u in json.loads(done.stdout)["users"]} >= {
        "admin",
        "dispatcher",
        "patrol",
    }


def test_a_published_position_is_in_the_frame_within_two_seconds(city: City) -> None:
    token = city.token()
    vehicle = first_vehicle(city, token)
    num = city.get(f"/api/v1/things/{vehicle['code']}", token)["num"]
    said = {"t": datetime.now(UTC).isoformat(), "lon": 121.4737, "lat": 31.2304, "speed_kmh": 31}
    began = time.monotonic()
    publish(city, f"twin/v1/vehicle/{vehicle['code']}/position", said)
    while (seen := seen_at(city, token, num)) != pytest.approx((121.4737, 31.2304), abs=1e-5):
        assert time.monotonic() - began < 2, seen
        time.sleep(0.05)


def test_a_device_has_an_account_of_its_own(city: City) -> None:
    token = city.token()
    vehicle = first_vehicle(city, token, 5)
    num = city.get(f"/api/v1/things/{vehicle['code']}", token)["num"]
    made = city.twin("device", "add", "--product", "vehicle", "--name", str(vehicle["code"]))
    login = (made["username"], made["password"])
    topic = f"twin/v1/{made['username']}/position"
    time.sleep(1)
    assert publish(city, topic, {"lon": 121.40, "lat": 31.20}, login).returncode == 0
    end = time.monotonic() + 5
    while seen_at(city, token, num) != pytest.approx((121.40, 31.20), abs=1e-5):
        assert time.monotonic() < end
        time.sleep(0.1)
    city.twin("device", "revoke", "--product", "vehicle", "--name", str(vehicle["code"]))
    time.sleep(1)
    assert publish(city, topic, {"lon": 121.41, "lat": 31.21}, login).returncode != 0


def seen_at(city: City, token: str, num: int) -> tuple[float, float] | None:
    import urllib.request

    asked = urllib.request.Request(
        city.url + "/api/v1/positions", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        raw = answer.read()
    _, count, lon0, lat0, _ = struct.unpack_from("<IIddd", raw)
    for i in range(count):
        found, dlon, dlat = struct.unpack_from("<Iff", raw, 32 + 16 * i)
        if found == num:
            return lon0 + dlon, lat0 + dlat
    return None


@pytest.mark.parametrize("name", ["api", "ingest", "sequencer"])
def test_a_killed_part_is_back_in_seconds(city: City, name: str) -> None:
    part = city.status()["parts"][name]
    os.kill(part["pid"], signal.SIGKILL)
    end = time.monotonic() + 20
    while True:
        now = city.status()["parts"][name]
        if now["state"] == "up" and now["pid"] not in (None, part["pid"]):
            break
        assert time.monotonic() < end, now
        time.sleep(0.1)
    assert now["last_exit"] == "SIGKILL"
    while True:
        try:
            city.get("/readyz")
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)


def test_bad_messages_are_kept_with_their_reasons(city: City) -> None:
    from urllib.parse import quote

    import psycopg

    vehicle = str(first_vehicle(city, city.token())["code"])
    topic = f"twin/v1/vehicle/{vehicle}/position"
    place = {"lon": 121.4, "lat": 31.2}
    publish(city, topic, {**place, "t": "2030-01-01T00:00:00Z"})
    publish(city, topic, {**place, "t": "2026-11-20T08:00:00"})
    publish(city, topic, {**place, "lat": 131})
    publish(city, topic, [1])
    publish(city, "twin/v1/vehicle/nobody/position", place)
    address = (
        f"postgresql://postgres:{quote(city.secret('db-super'))}@127.0.0.1:{city.db_port}/twin"
    )
    expected = {
        "t lies more than 5 minutes in the future",
        "t has no offset from UTC",
        "lat 131 is not within -90 to 90",
        "not a JSON object",
        "no such device, or it is disabled",
    }
    end = time.monotonic() + 10
    while True:
        with psycopg.connect(address) as conn:
            found = {row[0] for row in conn.execute("select reason from iot.reject")}
        if found >= expected:
            return
        assert time.monotonic() < end, expected - found
        time.sleep(0.1)


def test_the_simulator_moves_the_city(city: City) -> None:
    done = city.twin(
        "simulate", "--seconds", "6", "--vehicles", "40", "--crews", "10", "--sensors", "10"
    )
    assert done["positions"] > 200
    assert done["refused"] == 0


def test_the_journal_holds_after_all_this(city: City) -> None:
    time.sleep(1)
    said = city.twin("verify")
    assert said["holds"] is True
    assert said["sealed"] > 50_000
