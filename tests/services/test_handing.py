"""Events handed on to a partner's Open311: once each, whoever is killed; how they stand there comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.open311 import handing
from tests.services.conftest import Api
from tests.services.test_accounts import PASSWORD, Browser
from tests.support import free_port
from twin import cases, db, declarations, identity, policies, sealing
from twin.scope import SYSTEM
from ui.terminal.paths import ROOT

NAME = "water_partner"


class Peer:
    """The partner as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its endpoint."""
        return f"http://127.0.0.1:{self.port}/open311/v2"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("open311_peer.py")), str(self.port), str(self.folder)]
        )  # fmt: skip
        end = time.monotonic() + 20
        while True:
            try:
                httpx.get(f"{self.url}/requests.json", timeout=1)
                return
            except httpx.HTTPError:
                assert time.monotonic() < end
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def mode(self, said: str) -> None:
        """Ask it to behave so."""
        (self.folder / "mode").write_text(said)

    def kept(self) -> list[dict[str, Any]]:
        """Return what it has."""
        files = sorted(self.folder.glob("*.json"), key=lambda p: int(p.stem))
        return [json.loads(p.read_text()) for p in files]

    def change(self, number: str, **said: str) -> None:
        """Let somebody there work on a request."""
        path = self.folder / f"{number[1:]}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | said))


@pytest.fixture
def peer(api: Api, tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path)
    made.start()
    wait_sealed()
    handing.add(NAME, made.url, "k1", actor="t")
    with db.engine("app").begin() as conn:
        conn.execute(
            text("update twin.partner set seq = (select max(seq) from twin.sealed), fails = 0")
        )
        conn.execute(text("update twin.handed set state = 'closed' where state <> 'closed'"))
    publish()
    yield made
    made.kill()


def publish(**said: Any) -> None:
    path = declarations.DATA / "outgoing" / f"{NAME}.yaml"
    doc = declarations.read_yaml(path)[0] | {"retry_s": 1, "poll_s": 1} | said
    with db.engine("app").begin() as conn:
        policies.publish(conn, "outgoing", NAME, doc, actor="t")
    declarations._newest.clear()


def wait_sealed() -> None:
    """Wait until the journal is sealed: partners read what is."""
    end = time.monotonic() + 20
    with db.engine("app").connect() as conn:
        while conn.execute(text("select exists (select 1 from twin.unsealed)")).scalar_one():
            conn.rollback()
            assert time.monotonic() < end
            time.sleep(0.02)


def floating(api: Api, n: int = 0) -> str:
    """Report what is the partner's by the duty list."""
    new = {"category": "floating_waste", "description": f"河面漂浮物 {n}", "lon": 121.41 + 0.004 * (n % 20),
           "lat": 31.205 + 0.003 * (n // 20)}  # fmt: skip
    code = api.post("/api/v1/events", new).json()["code"]
    wait_sealed()
    return str(code)


def serve() -> int:
    """Serve the partner now, whatever it waits for."""
    with db.engine("app").begin() as conn:
        conn.execute(text("update twin.partner set next_at = now(), polled_at = null"))
        conn.execute(text("update twin.handed set next_at = now()"))
    return handing.once()


def of(code: str) -> dict[str, Any]:
    with db.engine("app").connect() as conn:
        return cases.find(conn, SYSTEM, code)


def test_an_event_is_handed_on_and_comes_back_to_be_reviewed(api: Api, peer: Peer) -> None:
    code = floating(api, 1)
    new = {"category": "litter", "description": "不是水面", "lon": 121.43, "lat": 31.23}
    other = api.post("/api/v1/events", new).json()["code"]
    serve()
    serve()
    there = peer.kept()
    assert [code in r["description"] for r in there] == [True]
    assert there[0]["service_code"] == "FLOATING_WASTE"
    assert not {"reporter", "email", "phone", "first_name"} & set(there[0])
    assert of(code)["data"]["partners"][NAME]["id"] == "P1"
    assert "partners" not in of(other)["data"]
    peer.change("P1", status_notes="船已出发")
    serve()
    case = of(code)
    assert (case["state"], case["data"]["partners"][NAME]["notes"]) == ("assigned", "船已出发")
    peer.change("P1", status="closed", status_notes="已打捞")
    serve()
    assert of(code)["state"] == "verifying"
    assert serve() == 0
    told = [e["action"] for e in api.get(f"/api/v1/events/{code}/timeline").json()["entries"]]
    assert told[-4:] == ["handed", "handed_news", "handed_news", "handed_back"]
    assert api.act(code, "close").status_code == 200


def test_a_partner_killed_before_it_answers_has_each_event_once(api: Api, peer: Peer) -> None:
    codes = [floating(api, n) for n in range(20, 24)]
    peer.mode("die")
    serve()
    assert len(peer.kept()) == 1
    serve()  # nobody there
    with db.engine("app").connect() as conn:
        row = handing.listed(conn)[0]
    assert row["waiting"] == 4 and row["last_error"]
    peer.mode("")
    peer.kill()
    peer.start()
    serve()
    there = peer.kept()
    assert len(there) == 4
    assert all(sum(code in r["description"] for r in there) == 1 for code in codes)
    assert {of(c)["data"]["partners"][NAME]["id"] for c in codes} == {"P1", "P2", "P3", "P4"}


def test_we_killed_before_the_answer_hand_on_once(api: Api, peer: Peer) -> None:
    code = floating(api, 30)
    peer.mode("hang")
    words = "from services.open311 import handing; handing.once()"
    with db.engine("app").begin() as conn:
        conn.execute(text("update twin.partner set next_at = now()"))
    ours = subprocess.Popen([sys.executable, "-c", words], env=os.environ, cwd=ROOT)
    end = time.monotonic() + 60
    while not peer.kept():
        assert time.monotonic() < end and ours.poll() is None
        time.sleep(0.02)
    ours.send_signal(signal.SIGKILL)
    ours.wait(10)
    peer.mode("")
    end = time.monotonic() + 20
    while of(code)["data"].get("partners") is None:
        assert time.monotonic() < end
        serve()
    assert len(peer.kept()) == 1
    assert of(code)["data"]["partners"][NAME]["id"] == "P1"


def test_what_a_partner_refuses_is_left_to_a_person_with_the_reason(api: Api, peer: Peer) -> None:
    code = floating(api, 40)
    peer.mode("broken")
    serve()
    assert "partners" not in of(code)["data"]
    peer.mode("refuse")
    serve()
    said = of(code)["data"]["partners"][NAME]
    assert said["status"] == "refused" and "no such service" in said["why"]
    peer.mode("")
    serve()
    assert peer.kept() == []
    assert api.get("/api/v1/partners", "commander").json()[0]["refused"] == 1
    assert api.get("/api/v1/partners", "planner").status_code == 403


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_number_that_comes_later_and_xml_are_understood(api: Api, peer: Peer, form: str) -> None:
    publish(form=form, on_closed="settle")
    code = floating(api, 50 + (form == "xml"))
    peer.mode("token")
    serve()
    serve()
    assert of(code)["data"]["partners"][NAME]["id"] == "P1"
    peer.change("P1", status="closed", status_notes="好了")
    serve()
    assert of(code)["state"] == "closed"


def test_a_broken_rule_hands_nothing_on_and_says_so(api: Api, peer: Peer) -> None:
    publish(when="c.nothing.here > 3")
    code = floating(api, 60)
    serve()
    assert peer.kept() == []
    assert of(code)["data"]["rule_fault"]["rule"] == f"outgoing {NAME}"


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """Answer anything with the same bytes."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Odd(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST

    server = HTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"", "json"), (b"[1]", "json"), (b"{", "json"), (b"[{}]", "json"), (b"x" * (5 << 20), "json"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a><r><token>&b;</token></r></a>', "xml"), (b"<a>", "xml"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_tried_again(raw: bytes, form: str) -> None:
    from services.open311.partner import NotReached, Partner

    with (
        answering(raw) as url,
        Partner(url, "", form, "") as partner,
        pytest.raises(NotReached),
    ):
        partner.post({"service_code": "x", "description": "y"}, "token")


def test_a_partner_is_joined_rekeyed_and_stopped_through_its_door(api: Api) -> None:
    client = Browser(api)
    with db.engine("app").begin() as conn:
        for user in ("commander", "dispatcher"):
            identity.set_password(conn, user, PASSWORD, "t")
    client.log_in("commander")
    bad = client("POST", "/api/v1/partners", {"name": NAME, "url": "file:///etc/passwd"})
    assert bad.status_code == 400
    assert client("POST", "/api/v1/partners", {"name": "none", "url": "https://p.example"}).is_error
    assert client("POST", f"/api/v1/partners/{NAME}x/key", {"key": "k"}).status_code == 404
    said = {"name": NAME, "url": "https://p.example/open311/v2", "key": "first"}
    assert client("POST", "/api/v1/partners", said).status_code == 201
    assert client("POST", f"/api/v1/partners/{NAME}/key", {"key": "second"}).status_code == 204
    with db.engine("app").connect() as conn:
        row = conn.execute(text("select * from twin.partner where name = :n"), {"n": NAME}).one()
        assert row.enabled and sealing.opened(handing.USE, row.secret, NAME) == "second"
        told = conn.scalars(
            text("select action from twin.journal where note->>'partner' = :n order by at desc"),
            {"n": NAME},
        ).all()
    assert told[:2] == ["partner.key", "partner.add"]
    assert "second" not in client("GET", "/api/v1/partners").text
    assert client("DELETE", f"/api/v1/partners/{NAME}").status_code == 204
    assert client("DELETE", f"/api/v1/partners/{NAME}").status_code == 404
    client.log_in("dispatcher")
    assert client("POST", "/api/v1/partners", said).status_code == 403
