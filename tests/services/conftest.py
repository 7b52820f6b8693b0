"""The API over a mini city, with callers of several roles; the journal is sealed in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from services.app import create_app
from services.web import auth
from tests import minicity
from twin import catalogue, db, declarations, identity, ledger, names, policies


@dataclass
class Api:
    """A client for each caller; `None` is the anonymous one."""

    http: TestClient
    tokens: dict[str, str] = field(default_factory=dict)

    def headers(self, user: str | None) -> dict[str, str]:
        """Return the headers of a caller."""
        return {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}

    def get(self, path: str, user: str | None = "dispatcher", **params: Any) -> Any:
        """GET as a caller."""
        return self.http.get(path, headers=self.headers(user), params=params or None)

    def post(
        self, path: str, body: Any = None, user: str | None = "dispatcher", **headers: str
    ) -> Any:
        """POST JSON as a caller."""
        return self.http.post(path, json=body, headers=self.headers(user) | headers)

    def act(self, code: str, action: str, user: str = "dispatcher", **body: Any) -> Any:
        """Perform an action on an event."""
        return self.post(f"/api/v1/events/{code}/actions/{action}", body, user)


@pytest.fixture(scope="module")
def api(database: str) -> Iterator[Api]:
    """Run the API in this process over a fresh database."""
    minicity.build()
    catalogue.forget()
    auth._seen.clear()
    users = {"dispatcher": None, "commander": None, "patrol": None, "planner": None,
             "auditor": None, "district-310104": None}  # fmt: skip
    with db.engine("app").begin() as conn:
        crew = conn.execute(
            text("select code from twin.thing where kind = 'crew' and name = '东一组'")
        )
        conn.execute(
            text("update twin.account set crew = :c where \"user\" = 'patrol'"),
            {"c": crew.scalar_one()},
        )
        tokens = {u: identity.issue_token(conn, u, 1, "t") for u in users}
        # Tests report the same thing at the same place on purpose, and each means a case of its own.
        merge = policies.clean(declarations.current(conn, "merge")["event.city"])
        policies.publish(conn, "merge", "event.city", merge | {"auto": []}, actor="t")
    names.forget()
    stop = threading.Event()
    sealer = threading.Thread(target=_seal, args=(stop,))
    sealer.start()
    try:
        with TestClient(create_app(), base_url="http://testserver") as http:
            yield Api(http, tokens)
    finally:
        stop.set()
        sealer.join()


def _seal(stop: threading.Event) -> None:
    with db.engine("app").connect() as conn:
        end = ledger.tree(conn)
        while not stop.wait(0.02):
            while ledger.seal(conn, end):
                conn.commit()
            conn.commit()


@pytest.fixture
def photo(api: Api) -> str:
    """Upload a small picture as the patrol and return its url."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (320, 240), (40, 120, 60)).save(out, "JPEG")
    done = api.http.post("/api/v1/files", content=out.getvalue(), headers=api.headers("patrol"))
    assert done.status_code == 201, done.text
    return str(done.json()["url"])
