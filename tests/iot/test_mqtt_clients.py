"""The MQTT door spoken to by clients that nobody here wrote: mosquitto, paho, aiomqtt, gmqtt."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import gmqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text

from tests.iot.conftest import PRODUCT, Doors, ask, rows, until
from tests.support import run_async
from twin import db, devices

pytestmark = pytest.mark.timeout(120)


def payload(level: float) -> str:
    return json.dumps({"t": datetime.now(UTC).isoformat(), "values": {"level_m": level}})


def pub(doors: Doors, device: str, *words: str, topic: str = "", secret: str = "") -> Any:
    own = f"{PRODUCT}/{device}"
    return subprocess.run(
        ["mosquitto_pub", "-p", str(doors.mqtt_port), "-u", own, "-P", secret or doors.secrets[device],
         "-t", topic or f"twin/v1/{own}/telemetry", *words],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_mosquitto_pub(doors: Doors, version: str, qos: int) -> None:
    before = rows()
    done = pub(doors, "d00000", "-V", version, "-q", str(qos), "-m", payload(1.5))
    assert done.returncode == 0, done.stderr
    if qos:
        assert rows() == before + 1, "acknowledged means committed"
    until(lambda: rows() == before + 1)


def test_a_wrong_secret_is_refused(doors: Doors) -> None:
    for version in ("mqttv311", "mqttv5"):
        done = pub(doors, "d00000", "-V", version, "-q", "1", "-m", payload(1), secret="wrong")
        assert done.returncode != 0
    done = pub(doors, "d00000", "-V", "mqttv311", "-q", "1", "-m", payload(1), secret="wrong")
    assert "bad user name or password" in done.stderr.lower()


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_another_devices_topic_is_refused(doors: Doors, version: str) -> None:
    before, other = rows(), doors.nums["d00002"]
    done = pub(
        doors, "d00001", "-V", version, "-q", "1", "-m", payload(9),
        topic=f"twin/v1/{PRODUCT}/d00002/telemetry",
    )  # fmt: skip
    if version == "mqttv5":
        assert "not authorized" in (done.stderr + done.stdout).lower()
    assert rows() == before
    assert not ask(f"select 1 from iot.up_{PRODUCT} where num = :n", n=other)
    [last] = ask("select * from iot.reject order by id desc limit 1")
    assert (last.num, last.reason) == (doors.nums["d00001"], "not its own topic")


def test_a_refused_payload_has_a_reason_code(doors: Doors) -> None:
    done = pub(doors, "d00001", "-V", "mqttv5", "-q", "1", "-m", '{"values": {"level_m": 99}}')
    assert "payload format invalid" in (done.stderr + done.stdout).lower()


def client(doors: Doors, device: str, name: str = "", **more: Any) -> paho.Client:
    made = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, **more)
    made.username_pw_set(f"{PRODUCT}/{device}", doors.secrets[device])
    made.connect("127.0.0.1", doors.mqtt_port)
    made.loop_start()
    return made


def test_paho_sends_many_at_once(doors: Doors) -> None:
    before = rows()
    made = client(doors, "d00003")
    own = f"twin/v1/{PRODUCT}/d00003/telemetry"
    said = [made.publish(own, payload(i / 1000), qos=1 + i % 2) for i in range(1000)]
    for one in said:
        one.wait_for_publish(20)
    assert rows() == before + 1000
    made.disconnect()
    made.loop_stop()


def test_a_revoked_device_is_out_at_once(doors: Doors) -> None:
    gone = threading.Event()
    made = client(doors, "d00004")
    made.on_disconnect = lambda *_: gone.set()
    until(made.is_connected)
    with db.engine("app").begin() as conn:
        devices.revoke(conn, PRODUCT, "d00004", actor="test")
    assert gone.wait(20)
    made.disconnect()
    made.loop_stop()
    assert pub(doors, "d00004", "-q", "1", "-m", payload(1)).returncode != 0
    with db.engine("app").begin() as conn:
        fresh = devices.enable(conn, PRODUCT, "d00004", actor="test")
    # The doors are told with the commit, and hear of it a moment later.
    until(lambda: pub(doors, "d00004", "-q", "1", "-m", payload(1), secret=fresh).returncode == 0)


def test_a_will_is_said_for_a_client_that_vanishes(doors: Doors) -> None:
    before = rows()
    made = paho.Client(CallbackAPIVersion.VERSION2)
    made.username_pw_set(f"{PRODUCT}/d00005", doors.secrets["d00005"])
    made.will_set(f"twin/v1/{PRODUCT}/d00005/telemetry", payload(2.5), qos=1)
    made.connect("127.0.0.1", doors.mqtt_port)
    made.loop_start()
    until(made.is_connected)
    raw = made.socket()
    assert raw is not None
    made.loop_stop()
    raw.close()
    until(lambda: rows() == before + 1)


def test_commands_reach_the_device_and_its_acknowledgement_counts(doors: Doors) -> None:
    heard = subprocess.Popen(
        ["mosquitto_sub", "-p", str(doors.mqtt_port), "-u", f"{PRODUCT}/d00006", "-P",
         doors.secrets["d00006"], "-i", "sub", "-q", "1", "-C", "1", "-W", "20",
         "-t", f"twin/v1/{PRODUCT}/d00006/command"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: bool(ask("select 1 from twin.device where device = 'd00006' and online")))
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into iot.command (id, num, name, actor, expires_at) values "
                "(gen_random_uuid(), :n, 'measure', 'test', now() + interval '1 minute')"
            ),
            {"n": doors.nums["d00006"]},
        )
        conn.execute(text(f"notify twin_downlink, '{doors.nums['d00006']}'"))
    said, _ = heard.communicate(timeout=25)
    assert json.loads(said)["name"] == "measure"
    until(
        lambda: (
            ask("select state from iot.command where num = :n", n=doors.nums["d00006"])[0].state
            == "delivered"
        )
    )


def test_other_topics_cannot_be_subscribed(doors: Doors) -> None:
    for wanted in ("#", "twin/v1/#", f"twin/v1/{PRODUCT}/+/command", "$share/x/a", "twin/v1/out/#"):
        done = subprocess.run(
            ["mosquitto_sub", "-p", str(doors.mqtt_port), "-u", f"{PRODUCT}/d00007", "-P",
             doors.secrets["d00007"], "-t", wanted, "-W", "2", "-E"],
            capture_output=True, text=True, check=False, timeout=20,
        )  # fmt: skip
        assert "denied" in (done.stdout + done.stderr).lower() or done.returncode, wanted


def test_aiomqtt(doors: Doors) -> None:
    async def speak() -> None:
        async with aiomqtt.Client(
            "127.0.0.1", doors.mqtt_port, username=f"{PRODUCT}/d00008",
            password=doors.secrets["d00008"], protocol=aiomqtt.ProtocolVersion.V5,
        ) as made:  # fmt: skip
            for i in range(20):
                await made.publish(f"twin/v1/{PRODUCT}/d00008/telemetry", payload(i / 10), qos=1)

    before = rows()
    run_async(speak())
    assert rows() == before + 20


def test_gmqtt(doors: Doors) -> None:
    async def speak() -> None:
        made = gmqtt.Client("gm")
        made.set_auth_credentials(f"{PRODUCT}/d00009", doors.secrets["d00009"])
        await made.connect("127.0.0.1", doors.mqtt_port)
        for i in range(20):
            made.publish(f"twin/v1/{PRODUCT}/d00009/telemetry", payload(i / 10), qos=1)
        await asyncio.sleep(1)
        await made.disconnect()

    before = rows()
    run_async(speak())
    until(lambda: rows() == before + 20)


def test_a_client_that_comes_back_takes_its_place(doors: Doors) -> None:
    lost = threading.Event()
    first = client(doors, "d00010", "same", clean_session=False)
    first.on_disconnect = lambda *_: lost.set()
    until(first.is_connected)
    first.reconnect_delay_set(60, 60)
    second = client(doors, "d00010", "same", clean_session=False)
    assert lost.wait(20)
    until(second.is_connected)
    for one in (first, second):
        one.disconnect()
        one.loop_stop()
