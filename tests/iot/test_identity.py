"""Identity: signatures of the usual clouds, dynamic registration, certificates, lists of devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import Connection

from ingest.devices import Registry
from ingest.doors import psk
from ingest.doors.packets import packet
from ingest.doors.packets import text as text_of
from tests.iot.conftest import PRODUCT, Doors, answers, ask, enter, rows, until
from tests.support import Servers, environment, free_port
from twin import db, devices
from ui.terminal import sheets, tls
from ui.terminal.cluster import as_user
from ui.terminal.supervisor import Part, Supervisor

pytestmark = pytest.mark.timeout(120)


class Knock:
    """One connection by paho, as some device: its answer, and what it hears."""

    def __init__(self, port: int, client: str, user: str, password: str) -> None:
        self.code: Any = None
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.told, self.rung = threading.Event(), threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client)
        self.client.username_pw_set(user, password)
        self.client.on_connect = self._connected
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self.told.wait(5)

    def _connected(self, *said: Any) -> None:
        self.code = said[3]
        self.told.set()

    def _message(self, _client: Any, _data: Any, said: paho.MQTTMessage) -> None:
        self.heard.append((said.topic, json.loads(said.payload)))
        self.rung.set()

    @property
    def is_in(self) -> bool:
        return not self.code.is_failure

    def leave(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("method", ["hmacsha256", "hmacsm3", "hmacsha1"])
def test_the_signature_of_the_usual_clouds(doors: Doors, method: str) -> None:
    device = "d00011"
    said = {"clientId": "c1", "deviceName": device, "productKey": PRODUCT, "timestamp": "789"}
    sign = devices.sign(doors.secrets[device], said, method)
    client = f"c1|securemode=2,signmethod={method},timestamp=789|"
    for password, right in ((sign, True), (sign.upper(), True), ("0" * len(sign), False)):
        knock = Knock(doors.mqtt_port, client, f"{device}&{PRODUCT}", password)
        assert knock.is_in is right
        knock.leave()


def test_dynamic_registration_by_mqtt_happens_once(doors: Doors) -> None:
    with db.engine("app").begin() as conn:
        shared = devices.product_secret(conn, PRODUCT, listed=True, actor="test")
    device = "d00012"
    sign = devices.sign(shared, {"deviceName": device, "productKey": PRODUCT, "random": "5"})
    client = "x|securemode=2,authType=register,random=5,signmethod=hmacsha256|"
    knock = Knock(doors.mqtt_port, client, f"{device}&{PRODUCT}", sign)
    assert knock.rung.wait(5)
    topic, answer = knock.heard[0]
    assert (topic, answer["deviceName"]) == ("/ext/register", device)
    knock.leave()
    again = Knock(doors.mqtt_port, client, f"{device}&{PRODUCT}", sign)
    assert not again.rung.wait(1), "a device that has its secret gets no other"
    again.leave()
    own = Knock(doors.mqtt_port, "y", f"{PRODUCT}/{device}", answer["deviceSecret"])
    assert own.is_in
    own.leave()
    assert ask("select state from twin.device where device = :d", d=device)[0].state == "active"


def test_registration_on_our_own_topic(doors: Doors) -> None:
    with db.engine("app").begin() as conn:
        shared = devices.product_secret(conn, PRODUCT, listed=True, actor="test")
    knock = Knock(doors.mqtt_port, "r", f"_register/{PRODUCT}", shared)
    topic = f"twin/v1/_register/{PRODUCT}"
    knock.client.subscribe(topic + "/reply")
    knock.client.publish(topic, json.dumps({"device": "d00013"}), qos=1)
    assert knock.rung.wait(5)
    answer = knock.heard[0][1]
    knock.leave()
    own = Knock(doors.mqtt_port, "y", f"{PRODUCT}/d00013", answer["deviceSecret"])
    assert own.is_in
    own.leave()


def test_secrets_are_sealed(doors: Doors) -> None:
    for row in ask("select device, secret_sealed from twin.device where secret_sealed is not null"):
        assert doors.secrets.get(row.device, "?") not in row.secret_sealed


def test_a_list_of_devices(database: str, tmp_path: Path) -> None:
    _, nums = enter(3, prefix="list")
    codes = [
        row.code
        for row in ask(
            "select code from twin.thing where num = any(:n) order by 1", n=list(nums.values())
        )
    ]
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in [("Name", "Thing"), *((f"b{i}", code) for i, code in enumerate(codes))]:
        book.active.append(row)
    book.save(tmp_path / "in.xlsx")
    done = subprocess.run(
        [sys.executable, "-m", "ui.terminal.main", "device", "import", str(tmp_path / "in.xlsx"),
         "--product", PRODUCT, "--out", str(tmp_path / "out.xlsx"), "--json"],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").worksheets[0]
    listed = list(sheet.iter_rows(values_only=True))
    assert listed[0] == sheets.HEADS
    assert [row[1] for row in listed[1:]] == ["b0", "b1", "b2"]
    assert (tmp_path / "out.xlsx").stat().st_mode & 0o077 == 0


@pytest.fixture(scope="module")
def secure(servers: Servers, database: str) -> Iterator[dict[str, Any]]:
    """A door with TLS, and a device with a certificate."""
    secrets, _ = enter(2, prefix="tls")
    cert = tls.make(servers.home, ["localhost"])
    pem, der = tls.device_certificate(servers.home, PRODUCT, "tls00000")
    with db.engine("app").begin() as conn:
        devices.bind_certificate(conn, PRODUCT, "tls00000", der, actor="test")
    (servers.home / "device.pem").write_bytes(pem)
    ports = {name: free_port() for name in ("TWIN_MQTT_PORT", "TWIN_COAP_PORT", "TWIN_MQTTS_PORT")}
    names = {name: str(port) for name, port in ports.items()}
    with environment(
        **names, TWIN_TLS_CERT=str(cert), TWIN_TLS_KEY=str(cert.with_name("host.key"))
    ):
        supervisor = Supervisor(servers.home, os.environ)
        supervisor.start(Part("ingest", [*as_user(None), sys.executable, "-m", "ingest.doors"]))
        try:
            supervisor.wait(lambda: answers(ports["TWIN_MQTTS_PORT"]), 20, "no door")
            yield {"port": ports["TWIN_MQTTS_PORT"], "home": servers.home, "secrets": secrets}
        finally:
            supervisor.stop()


def test_tls_and_certificates(secure: dict[str, Any]) -> None:
    home: Path = secure["home"]

    def pub(device: str, *words: str) -> int:
        said = json.dumps({"t": datetime.now(UTC).isoformat(), "values": {"level_m": 1}})
        return subprocess.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(secure["port"]), "--cafile",
             str(home / "tls" / "authority.pem"), "-u", f"{PRODUCT}/{device}", "-q", "1",
             "-t", f"twin/v1/{PRODUCT}/{device}/telemetry", "-m", said, *words],
            check=False, capture_output=True, timeout=20,
        ).returncode  # fmt: skip

    before = rows()
    own = ["--cert", str(home / "device.pem"), "--key", str(home / "device.pem")]
    assert pub("tls00000", *own) == 0
    assert pub("tls00001", "-P", secure["secrets"]["tls00001"]) == 0
    assert pub("tls00001", *own) != 0, "the certificate is another device's"
    assert pub("tls00000") != 0
    assert rows() == before + 2
    with db.engine("app").begin() as conn:
        devices.revoke(conn, PRODUCT, "tls00000", actor="test")
    until(lambda: pub("tls00000", *own) != 0)


def test_a_key_instead_of_a_certificate(secure: dict[str, Any]) -> None:
    """mosquitto_pub with --psk: who holds the device's key is the device, and no other."""
    own = psk.key(secure["secrets"]["tls00001"]).hex()

    def pub(identity: str, key: str, *more: str, device: str = "tls00001") -> int:
        return subprocess.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(secure["port"]), "--psk-identity", identity,
             "--psk", key, "-q", "1", "-t",
             f"twin/v1/{PRODUCT}/{device}/telemetry", "-m", '{"values":{"level_m":1}}', *more],
            capture_output=True, check=False, timeout=20,
        ).returncode  # fmt: skip

    mine, before = f"{PRODUCT}/tls00001", rows()
    assert pub(mine, own) == 0
    assert pub(mine, own, "-u", mine) == 0
    assert rows() == before + 2
    assert pub(mine, own, "-u", f"{PRODUCT}/tls00000") != 0, "names itself another"
    assert pub(f"{PRODUCT}/tls00000", own) != 0
    assert pub(mine, "00" * 32) != 0
    pub(mine, own, device="tls00000")
    assert rows() == before + 2
    hello = packet(1, text_of("MQTT") + b"\x04\x02\0\x3c" + text_of("tiny"))
    for key, answer in ((own, b"\x20\x02\0\0"), ("00" * 32, b"")):
        small = ["openssl", "s_client", "-quiet", "-tls1_2", "-psk_identity", mine, "-psk", key,
                 "-connect", f"localhost:{secure['port']}"]  # fmt: skip
        done = subprocess.run(
            small, input=hello + b"\xe0\0", capture_output=True, check=False, timeout=20
        )
        assert done.stdout == answer


def test_an_older_look_never_overwrites_a_newer_one(doors: Doors) -> None:
    """A device is revoked while all are being read: what was read before does not let it in again."""
    registry = Registry()
    reading, go_on = threading.Event(), threading.Event()

    class Slow:
        """A connection that has its answer and is slow to hand it over."""

        def __init__(self, conn: Connection) -> None:
            self.conn = conn

        def execute(self, statement: Any) -> Any:
            found = self.conn.execute(statement).all()
            if not reading.is_set():
                reading.set()
                go_on.wait(20)
            return Rows(found)

    class Rows(list[Any]):
        """Rows as a result gives them."""

        def all(self) -> list[Any]:
            return list(self)

    with db.engine("ingest").connect() as one, db.engine("ingest").connect() as other:
        whole = threading.Thread(target=registry.refresh, args=(Slow(one),))
        whole.start()
        assert reading.wait(20)
        with db.engine("app").begin() as conn:
            devices.revoke(conn, PRODUCT, "d00007", actor="test")
        news = threading.Thread(target=registry.reload, args=(other, [(PRODUCT, "d00007")]))
        news.start()
        news.join(0.3)
        go_on.set()
        whole.join(20)
        news.join(20)
    assert registry.find(PRODUCT, "d00007") is None
    assert registry.find(PRODUCT, "d00008") is not None
