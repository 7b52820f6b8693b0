"""The HTTP and CoAP doors: curl and coap-client send, 204 and 2.04 mean committed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.doors import coap
from ingest.doors.identity import mac
from tests.iot.conftest import PRODUCT, Doors, answers, ask, rows
from tests.support import Servers, environment, free_port
from twin import db, devices
from ui.terminal.cluster import as_user
from ui.terminal.supervisor import Part, Supervisor

pytestmark = pytest.mark.timeout(120)


def record(second: float, level: float = 1.5) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=second)
    return {"t": at.isoformat(), "values": {"level_m": level}}


@pytest.fixture(scope="module")
def api(servers: Servers, doors: Doors) -> Iterator[int]:
    """The API process, with the HTTP door in it."""
    port = free_port()
    with environment(TWIN_PORT=str(port)):
        supervisor = Supervisor(servers.home, os.environ)
        command = [*as_user(None), sys.executable, "-m", "ui.serve", "--port", str(port)]
        supervisor.start(Part("api", command))
        try:
            supervisor.wait(lambda: answers(port), 30, "the API does not answer")
            yield port
        finally:
            supervisor.stop()


def curl(port: int, device: str, secret: str, body: Any, *, path: str = "") -> tuple[int, str]:
    raw = body if isinstance(body, str) else json.dumps(body)
    where = path or f"/iot/v1/{PRODUCT}/{device}/telemetry"
    done = subprocess.run(
        ["curl", "-sS", "-w", "\n%{http_code}", "-u", f"{PRODUCT}/{device}:{secret}", "--data-binary",
         "@-", f"http://127.0.0.1:{port}{where}"],
        input=raw, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    said, _, status = done.stdout.rpartition("\n")
    return int(status), said


def test_curl(api: int, doors: Doors) -> None:
    before, own = rows(), doors.secrets["d00000"]
    assert curl(api, "d00000", own, record(1))[0] == 204
    assert rows() == before + 1
    many = [record(10 + i) for i in range(1000)]
    assert curl(api, "d00000", own, many, path=f"/iot/v1/{PRODUCT}/d00000/batch")[0] == 204
    assert rows() == before + 1001


def test_what_is_refused_by_http(api: int, doors: Doors) -> None:
    own = doors.secrets["d00001"]
    before = rows()
    assert curl(api, "d00001", "wrong", record(1))[0] == 401
    assert curl(api, "d99999", own, record(1))[0] == 401
    other = f"/iot/v1/{PRODUCT}/d00002/telemetry"
    assert curl(api, "d00001", own, record(1), path=other)[0] == 403
    status, said = curl(api, "d00001", own, '{"values": {"level_m": 99}}')
    assert status == 422
    assert "not within" in json.loads(said)["detail"]
    assert curl(api, "d00001", own, "x" * 70_000)[0] == 413
    assert curl(api, "d00001", own, record(1), path=f"/iot/v1/{PRODUCT}/d00001/x")[0] == 404
    assert rows() == before


def test_a_device_gets_its_own_secret_by_its_products(api: int, doors: Doors) -> None:
    with db.engine("app").begin() as conn:
        shared = devices.product_secret(conn, PRODUCT, listed=True, actor="test")
    for method, device in (("hmacsha256", "d00017"), ("hmacsm3", "d00018")):
        said = {"deviceName": device, "productKey": PRODUCT, "random": "r1"}
        sign = devices.sign(shared, said, method)
        form = "&".join(f"{k}={v}" for k, v in {**said, "signMethod": method, "sign": sign}.items())
        status, body = curl(api, "d00000", "", form, path="/auth/register/device")
        assert status == 200, body
        own = json.loads(body)["data"]["deviceSecret"]
        assert curl(api, device, own, record(5))[0] == 204
        assert curl(api, "d00000", "", form, path="/auth/register/device")[0] == 409
        bad = form.replace(sign, "0" * len(sign))
        assert curl(api, "d00000", "", bad, path="/auth/register/device")[0] == 401


def query(
    secret: str, device: str, counter: int, payload: bytes, method: str = "hmacsha256"
) -> str:
    signature = mac(secret, f"{PRODUCT}/{device}", "telemetry", counter, payload, method)
    return f"c={counter}&s={signature}" + ("" if method == "hmacsha256" else f"&h={method}")


CLIENT = next((c for c in ("coap-client-notls", "coap-client-openssl") if shutil.which(c)), None)


@pytest.mark.skipif(CLIENT is None, reason="coap-client (libcoap3-bin) is not installed")
@pytest.mark.parametrize("method", ["hmacsha256", "hmacsm3"])
def test_coap_client(doors: Doors, method: str) -> None:
    before = rows()
    body = json.dumps(record(100 + len(method)))
    url = (f"coap://127.0.0.1:{doors.coap_port}/v1/{PRODUCT}/d00003/telemetry?"
           + query(doors.secrets["d00003"], "d00003", len(method), body.encode(), method))  # fmt: skip
    done = subprocess.run(
        [str(CLIENT), "-m", "post", "-v", "6", "-B", "5", "-e", body, url],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert "2.04" in done.stdout + done.stderr
    assert rows() == before + 1


def datagram(
    doors: Doors, device: str, number: int, payload: bytes, said: str, *, code: int = coap.POST
) -> bytes:
    """Send one confirmable message and return the answer."""
    raw = struct.pack(">BBH", 0x42, code, number) + b"tk"
    option = 0
    parts = [(11, p) for p in ("v1", PRODUCT, device, "telemetry")]
    for key, value in [*parts, *((15, q) for q in said.split("&") if q)]:
        body = value.encode()
        size = len(body)
        head = bytes([(key - option) << 4 | (size if size < 13 else 13)])
        raw += head + (bytes([size - 13]) if size >= 13 else b"") + body
        option = key
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 20_000 + number % 10_000))
        sock.settimeout(5)
        sock.sendto(raw + (b"\xff" + payload if payload else b""), ("127.0.0.1", doors.coap_port))
        return sock.recv(2000)


def test_unsigned_coap_does_not_exist(doors: Doors) -> None:
    before, body = rows(), json.dumps(record(200)).encode()
    assert datagram(doors, "d00004", 1, body, "")[1] == coap.UNAUTHORIZED
    right = query(doors.secrets["d00004"], "d00004", 7, body)
    assert datagram(doors, "d00004", 2, body + b" ", right)[1] == coap.UNAUTHORIZED
    assert datagram(doors, "d00005", 3, body, right)[1] == coap.UNAUTHORIZED
    assert datagram(doors, "d00004", 4, body, right, code=1)[1] == coap.NOT_ALLOWED
    assert rows() == before
    answer = datagram(doors, "d00004", 5, body, right)
    assert (answer[0] >> 4, answer[1], answer[4:6]) == (6, coap.CHANGED, b"tk")
    assert datagram(doors, "d00004", 5, body, right) == answer, "a repetition gets the same answer"
    assert datagram(doors, "d00004", 6, body, right)[1] == coap.CHANGED
    assert rows() == before + 1, "sent again under another number it is known by its content"


def test_a_copied_message_without_a_time_is_refused(doors: Doors) -> None:
    body = b'{"values": {"level_m": 1}}'
    said = query(doors.secrets["d00006"], "d00006", 9, body)
    assert datagram(doors, "d00006", 21, body, said)[1] == coap.CHANGED
    assert datagram(doors, "d00006", 22, body, said)[1] == coap.CONFLICT
    assert ask("select counter from iot.counter where num = :n", n=doors.nums["d00006"])[0][0] == 9


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_datagram_is_read_or_refused(raw: bytes) -> None:
    for data in (raw, b"\x42\x02\x00\x01" + raw):
        try:
            coap.read(data)
        except coap.Broken:
            pass
