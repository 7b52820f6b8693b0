"""Forwarding: every event has its effect once, through refusals, killed senders and lost answers."""

from __future__ import annotations

import base64
import hmac
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import text

from services.subscriptions import service
from services.subscriptions.delivery import Delivery
from tests import minicity, support
from tests.alarms import devices
from twin import db, ledger
from twin.errors import BadRequest
from twin.scope import Actor

ADMIN = Actor(user="admin", clearance=3, acts=frozenset({"system.write"}))
WEST_ONLY = Actor(user="west", clearance=3, districts=(minicity.WEST,))


class Receiver:
    """Somebody else's system: checks signatures, knows what it has had, fails as it is told."""

    def __init__(self, secret: str, digest: str) -> None:
        self.secret, self.digest = secret, digest
        self.effects: Counter[str] = Counter()
        self.keys: dict[str, bytes] = {}
        self.events: list[dict[str, Any]] = []
        self.mood: Iterator[str] = iter(())
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(outer.take(self))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/in"

    def take(self, asked: BaseHTTPRequestHandler) -> int:
        body = asked.rfile.read(int(asked.headers["Content-Length"]))
        key, moment = asked.headers["webhook-id"], asked.headers["webhook-timestamp"]
        made = hmac.new(self.secret.encode(), f"{key}.{moment}.".encode() + body, self.digest)
        wanted = base64.b64encode(made.digest()).decode()
        word = "v1" if self.digest == "sha256" else "v1sm3"
        assert asked.headers["webhook-signature"] == f"{word},{wanted}"
        mood = next(self.mood, "good")
        if mood == "refuse":
            return 503
        # The same key is the same batch, byte for byte: a receiver may go by the key alone.
        assert self.keys.setdefault(key, body) == body
        for one in json.loads(body):
            if not self.effects[one["id"]]:
                self.events.append(one)
            self.effects[one["id"]] = 1
        return 500 if mood == "lose the answer" else 200


def seal() -> None:
    with db.engine("app").connect() as conn:
        end = ledger.tree(conn)
        while ledger.seal(conn, end):
            conn.commit()


@pytest.fixture(scope="module", autouse=True)
def city(database: str) -> None:
    minicity.build()


def subscribe(receiver_url: str, who: Actor = ADMIN, kind: str = "webhook", **words: Any) -> Any:
    with db.engine("app").begin() as conn:
        return service.make(
            conn, who, name=f"s{random.random()}", kind=kind, address=receiver_url,
            digest=words.pop("digest", "sha256"), said=words.pop("said", {}),
            secret=words.pop("secret", "s" * 20), from_start=True,
        )  # fmt: skip


def state(which: str) -> Any:
    with db.engine("app").connect() as conn:
        return conn.execute(
            text("select * from iot.subscription where id = :i"), {"i": which}
        ).one()


def go(delivery: Delivery, which: str) -> None:
    with db.engine("app").begin() as conn:
        conn.execute(text("update iot.subscription set next_at = now()"))
    delivery.serve(state(which).id)


class Killed(BaseException):
    """The sender died here."""


@pytest.mark.parametrize("digest", ["sha256", "sm3"])
def test_each_event_has_its_effect_once_whatever_happens(
    digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.subscriptions.events.EVENTS", 40)
    seal()
    receiver = Receiver("s" * 20, digest)
    made = subscribe(receiver.url, digest=digest, said={"classes": ["thing"]})
    moods = random.Random(7)
    receiver.mood = iter(moods.choices(["good", "refuse", "lose the answer"], k=200))
    delivery = Delivery()
    deaths = 0
    for _ in range(400):
        real = delivery._one
        try:
            if moods.random() < 0.3:
                # Killed after the receiver has it and before that is written down.
                monkeypatch.setattr("services.subscriptions.delivery._TAKEN", _Bomb(), raising=True)
            go(delivery, made["id"])
        except Killed:
            deaths += 1
            delivery = Delivery()
        finally:
            monkeypatch.undo()
            monkeypatch.setattr("services.subscriptions.events.EVENTS", 40)
        del real
        with db.engine("app").connect() as conn:
            end = conn.scalar(text("select max(seq) from twin.sealed"))
        if state(made["id"]).seq == end:
            break
    assert deaths > 0
    with db.engine("app").connect() as conn:
        wanted = set(
            conn.scalars(
                text(
                    "select s.seq::text from twin.sealed s join twin.journal j on j.id = s.entry "
                    "where j.class = 'thing' and j.level <= 2"
                )
            )
        )
    assert set(receiver.effects) == wanted
    order = [int(one["id"]) for one in receiver.events]
    assert order == sorted(order)


class _Bomb:
    """Stands where the statement would be that notes what was taken."""

    def __getattr__(self, name: str) -> Any:
        raise Killed


def test_telemetry_goes_record_by_record_within_the_scope() -> None:
    nums = devices.build("bin_level", [(121.42, 31.22), (121.47, 31.22)], "sub")
    now = time.time()
    devices.say(
        "bin_level", [(n, now + i, {"level_pct": 10.0 + i}) for n in nums for i in range(3)]
    )
    seal()
    receiver = Receiver("s" * 20, "sha256")
    all_of_it = subscribe(receiver.url, said={"classes": ["telemetry"]})
    go(Delivery(), all_of_it["id"])
    assert len(receiver.events) == 6
    assert receiver.events[0]["data"]["values"] == {"level_pct": 10.0}
    half = Receiver("s" * 20, "sha256")
    go(Delivery(), subscribe(half.url, WEST_ONLY, said={"classes": ["telemetry"]})["id"])
    assert len(half.events) == 3
    assert state(all_of_it["id"]).sent == 6


def test_the_lag_is_noted_and_a_receiver_that_is_away_is_asked_less_often() -> None:
    away = subscribe("http://127.0.0.1:9/in", said={"classes": ["thing"]})
    delivery = Delivery()
    go(delivery, away["id"])
    go(delivery, away["id"])
    row = state(away["id"])
    assert (row.fails, row.seq) == (2, 0)
    assert row.sending_to is not None
    assert row.last_error
    delivery.once()
    with db.engine("app").connect() as conn:
        lag = conn.execute(
            text("select * from iot.lag where subscription = :i"), {"i": away["id"]}
        ).all()
        shown = {one["id"].hex: one for one in service.listed(conn)}
    assert lag
    assert lag[0].entries > 0
    assert shown[row.id.hex]["behind"] > 0
    assert "secret" not in shown[row.id.hex]


@pytest.mark.parametrize(
    ("kind", "address"),
    [("webhook", "ftp://127.0.0.1/"), ("webhook", "http://example.com/"), ("webhook", "https://u:p@127.0.0.1/"),
     ("mqtt", "mqtt://example.com"), ("mqtt", "nowhere"), ("webhook", "http://")],
)  # fmt: skip
def test_addresses_that_are_not_sent_to(kind: str, address: str) -> None:
    with pytest.raises(BadRequest):
        subscribe(address, kind=kind)


def test_mqtt_waits_for_every_acknowledgement(servers: support.Servers) -> None:
    seal()
    made = subscribe("north", kind="mqtt", said={"classes": ["thing"], "kinds": ["crew"]})
    go(Delivery(), made["id"])
    row = state(made["id"])
    assert (row.sent, row.fails, row.last_error) == (3, 0, None)
