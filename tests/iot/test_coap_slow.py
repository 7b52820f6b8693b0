"""What is slow of CoAP: observe, blocks up and down, discovery, OSCORE; with clients of others."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import select
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import aiocoap
import pytest
from aiocoap import oscore
from sqlalchemy import text

from ingest.doors.identity import mac
from ingest.doors.oscore import identifier, master
from tests.iot.conftest import PRODUCT, Doors, rows
from tests.iot.test_http_coap import CLIENT, record
from tests.support import run_async
from twin import db
from twin.settings import settings

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(CLIENT is None, reason="coap-client (libcoap3-bin) is not installed"),
]


def url(doors: Doors, device: str, channel: str, counter: int, body: bytes = b"") -> str:
    own = mac(doors.secrets[device], f"{PRODUCT}/{device}", channel, counter, body, "hmacsha256")
    return f"coap://127.0.0.1:{doors.coap_port}/v1/{PRODUCT}/{device}/{channel}?c={counter}&s={own}"


def client(*words: str) -> str:
    done = subprocess.run(
        [str(CLIENT), "-v", "6", "-B", "10", *words],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    return done.stdout + done.stderr


def desire(doors: Doors, device: str, revision: int) -> None:
    num = doors.nums[device]
    with db.engine("owner").begin() as conn:
        conn.execute(
            text(
                "insert into iot.shadow (num, desired, desired_rev) values "
                "(:n, jsonb_build_object('report_s', cast(:r as int)), :r) on conflict (num) "
                "do update set desired = excluded.desired, desired_rev = excluded.desired_rev"
            ),
            {"n": num, "r": revision},
        )
        conn.execute(text(f"notify twin_downlink, '{num}'"))


def heard(observer: subprocess.Popen[bytes], wanted: bytes) -> None:
    """Read what an observer prints until it has been told something."""
    assert observer.stdout is not None
    said, end = b"", time.monotonic() + 50
    while wanted not in said:
        assert time.monotonic() < end, said
        ready, _, _ = select.select([observer.stdout], [], [], 1)
        if ready:
            more = os.read(observer.stdout.fileno(), 4096)
            assert more, said
            said += more


def test_coap_client_observes_what_is_desired(doors: Doors) -> None:
    desire(doors, "d00014", 600)
    with subprocess.Popen(
        ["stdbuf", "-o0", str(CLIENT), "-m", "get", "-s", "60", "-B", "70",
         url(doors, "d00014", "shadow/desired", 5)],
        stdout=subprocess.PIPE,
    ) as observer:  # fmt: skip
        heard(observer, b'{"report_s":600,"version":600}')
        desire(doors, "d00014", 900)
        heard(observer, b'{"report_s":900,"version":900}')
        observer.terminate()
    assert "4.01" in client("-m", "get", url(doors, "d00014", "command", 5)), "a count used before"
    assert "4.01" in client("-m", "get", url(doors, "d00014", "command", 6).replace("s=", "s=0"))


def test_coap_client_sends_and_fetches_by_blocks(doors: Doors, tmp_path: Path) -> None:
    before = rows()
    body = json.dumps([record(500 + i, i / 100) for i in range(40)])
    sent = tmp_path / "body"
    sent.write_text(body, encoding="utf-8")
    assert "2.04" in client(
        "-m", "post", "-b", "64", "-f", str(sent),
        url(doors, "d00015", "telemetry", 3, body.encode()),
    )  # fmt: skip
    assert rows() == before + 40
    image = bytes(range(256)) * 20
    digest = hashlib.sha256(image).hexdigest()
    folder = settings().home / "ota" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(image)
    got = tmp_path / "image"
    client("-m", "get", "-b", "256", "-o", str(got), url(doors, "d00015", f"ota/{digest}", 4))
    assert got.read_bytes() == image
    assert "4.04" in client("-m", "get", url(doors, "d00015", f"ota/{'0' * 64}", 5))


def test_what_there_is_is_told(doors: Doors) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for raw in (b"\x40\x01\0\1\x32\xff\xfe", b"\x40\x01\0\2\x92\xff\xfe", b"\x42\x45\0\3zz"):
            sock.sendto(raw, ("127.0.0.1", doors.coap_port))  # a host of no text, a broken OSCORE
    said = client("-m", "get", f"coap://127.0.0.1:{doors.coap_port}/.well-known/core")
    assert "shadow/desired>" in said
    assert "obs" in said


def context(folder: Path, doors: Doors, device: str, secret: str) -> Any:
    """Return aiocoap's own client context of a device."""
    folder.mkdir()
    made = {
        "sender-id_hex": identifier(f"{PRODUCT}/{device}").hex(),
        "recipient-id_hex": "",
        "secret_hex": master(secret).hex(),
    }
    (folder / "settings.json").write_text(json.dumps(made), encoding="utf-8")
    return oscore.FilesystemSecurityContext(str(folder))


def test_oscore_of_another_client(doors: Doors, tmp_path: Path) -> None:
    if not shutil.which("coap-client-notls"):
        pytest.skip("no CoAP tools here")
    base = f"coap://127.0.0.1:{doors.coap_port}/v1/{PRODUCT}"
    before = rows()

    async def speak(secret: str, folder: str) -> list[Any]:
        own = await aiocoap.Context.create_client_context()
        held = context(tmp_path / folder, doors, "d00016", secret)
        own.client_credentials[f"coap://127.0.0.1:{doors.coap_port}/*"] = held
        answers = []
        for path, body in (
            ("d00016/telemetry", json.dumps(record(700)).encode()),
            ("d00016/telemetry", json.dumps([record(710 + i) for i in range(30)]).encode()),
            ("d00017/telemetry", json.dumps(record(702)).encode()),
        ):
            said = aiocoap.Message(code=aiocoap.POST, uri=f"{base}/{path}", payload=body)
            answers.append((await asyncio.wait_for(own.request(said).response, 20)).code)
        said = aiocoap.Message(code=aiocoap.GET, uri=f"{base}/d00016/shadow/desired")
        answers.append((await asyncio.wait_for(own.request(said).response, 20)).payload)
        await own.shutdown()
        return answers

    desire(doors, "d00016", 7)
    answers = run_async(speak(doors.secrets["d00016"], "right"))
    assert answers[:3] == [aiocoap.CHANGED, aiocoap.CHANGED, aiocoap.FORBIDDEN]
    assert json.loads(answers[3]) == {"report_s": 7, "version": 7}
    assert rows() == before + 31
    with pytest.raises(
        (aiocoap.error.Error, oscore.ProtectionInvalid, oscore.NotAProtectedMessage)
    ):
        run_async(speak("another secret", "wrong"))
    assert rows() == before + 31
