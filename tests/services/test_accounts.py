"""Doors of people: log-in by cookie, origin, second factor, step-up, sessions, tree, audit."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from services.identity import endpoints
from services.web import audit, auth
from tests.services.conftest import Api
from twin import db, identity, secondfactor

PASSWORD = "Demo-Password-7!"
HERE = {"Origin": "http://testserver"}


@pytest.fixture(scope="module")
def known(api: Api) -> Api:
    with db.engine("app").begin() as conn:
        for user in ("admin", "auditor", "dispatcher"):
            identity.set_password(conn, user, PASSWORD, "t")
    return api


class Browser:
    """A browser at one of our pages: cookies and Origin as browsers send them."""

    def __init__(self, api: Api) -> None:
        self.http = TestClient(api.http.app, base_url="http://testserver")

    def log_in(self, user: str, password: str | None = None, **more: Any) -> Any:
        body = {"user": user, "password": password or PASSWORD, **more}
        return self.http.post("/api/v1/session", json=body, headers=HERE)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.http.request(method, path, json=body, headers=HERE | headers)


@pytest.fixture
def browser(known: Api) -> Iterator[Browser]:
    auth.forget_all()
    audit._told.clear()
    endpoints._attempts._buckets.clear()
    made = Browser(known)
    yield made
    made.http.close()


@pytest.fixture
def admin(browser: Browser) -> Browser:
    assert browser.log_in("admin").status_code == 200
    return browser


def test_the_cookie_is_for_this_host_and_no_script(browser: Browser) -> None:
    done = browser.log_in("dispatcher")
    said = done.headers["set-cookie"].lower()
    assert said.startswith("twin_session=") and "httponly" in said and "samesite=lax" in said
    assert "domain" not in said and "path=/" in said
    assert done.json()["acts"] and done.json()["first"] is None


def test_by_tls_the_cookie_takes_the_host_prefix(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "by_tls", lambda: True)
    done = browser.log_in("dispatcher")
    said = done.headers["set-cookie"]
    assert said.startswith("__Host-twin_session=") and "Secure" in said and "Path=/" in said
    token = said.split("=", 1)[1].split(";")[0]
    path = "/api/v1/session"
    assert browser("GET", path, Cookie=f"__Host-twin_session={token}").status_code == 200
    # A cookie that a neighbour set under the plain name counts for nothing.
    assert browser("GET", path, Cookie=f"twin_session={token}").status_code == 401


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example", None]
)
def test_a_change_from_another_page_is_refused(browser: Browser, origin: str | None) -> None:
    assert browser.log_in("dispatcher").status_code == 200
    headers = {"Origin": origin} if origin else {}
    done = browser.http.request("DELETE", "/api/v1/sessions", headers=headers)
    assert done.status_code == 403
    assert browser("GET", "/api/v1/session").status_code == 200


def test_sessions_are_seen_and_ended_at_once(known: Api, browser: Browser) -> None:
    other = Browser(known)
    assert browser.log_in("dispatcher").status_code == other.log_in("dispatcher").status_code == 200
    found = browser("GET", "/api/v1/sessions").json()["sessions"]
    assert sum(s["this"] for s in found) == 1
    assert all(s["agent"] == "testclient" for s in found if not s["bearer"])
    newest = next(s for s in found if not s["this"] and not s["bearer"])
    assert other("GET", "/api/v1/session").status_code == 200
    assert browser("DELETE", f"/api/v1/sessions/{newest['id']}").status_code == 204
    assert other("GET", "/api/v1/session").status_code == 401
    assert browser("DELETE", "/api/v1/sessions/nothing").status_code == 404
    assert browser("DELETE", "/api/v1/session").status_code == 204
    assert browser("GET", "/api/v1/session").status_code == 401


def test_a_password_is_changed_by_its_owner(known: Api, admin: Browser) -> None:
    made = admin("POST", "/api/v1/accounts", {"user": "new.person", "name": {"zh": "新人", "en": "New"},
                 "roles": ["patrol"], "organisation": "d-310104"}).json()  # fmt: skip
    person = Browser(known)
    said = person.log_in("new.person", made["password"]).json()
    assert said["first"] == "password" and said["acts"] == []
    done = person("GET", "/api/v1/movers")
    assert done.status_code == 403 and done.json()["first"] == "password"
    listed = person("GET", "/ogc/collections").json()["collections"]
    assert not {"crew", "camera"} & {c["id"] for c in listed}
    for old, new, status in [("wrong", "Brand-new-8", 403), (made["password"], "short", 400),
                             (made["password"], made["password"], 400),
                             (made["password"], "Brand-new-8", 200)]:  # fmt: skip
        done = person("POST", "/api/v1/session/password", {"old": old, "new": new})
        assert done.status_code == status, done.text
    assert done.json()["first"] is None and "event.handle" in done.json()["acts"]
    assert done.json()["districts"] == ["310104"]
    assert person("GET", "/api/v1/movers").status_code == 200


def test_a_second_factor_from_setting_up_to_a_lost_phone(known: Api, admin: Browser) -> None:
    made = admin("POST", "/api/v1/accounts", {"user": "second", "name": {"zh": "二", "en": "Two"},
                 "roles": ["dispatcher"]}).json()  # fmt: skip
    person = Browser(known)
    person.log_in("second", made["password"])
    person("POST", "/api/v1/session/password", {"old": made["password"], "new": "Brand-new-8"})
    begun = person("POST", "/api/v1/session/totp").json()
    assert begun["picture"].startswith("<svg") and begun["secret"] in begun["address"]
    assert person("PUT", "/api/v1/session/totp", {"code": "abcdef"}).status_code == 400
    step = int(time.time() // 30)
    code = secondfactor.code_at(begun["secret"], step)
    recovery = person("PUT", "/api/v1/session/totp", {"code": code}).json()["recovery"]
    assert len(recovery) == 10
    again = Browser(known)
    asked = again.log_in("second", "Brand-new-8")
    assert asked.status_code == 401 and asked.json()["code"] == "code_needed"
    assert again.log_in("second", "Brand-new-8", code=recovery[0]).status_code == 200
    assert admin("DELETE", "/api/v1/accounts/second/totp").status_code == 204
    assert Browser(known).log_in("second", "Brand-new-8").status_code == 200


def test_weighty_acts_ask_again_after_a_while(admin: Browser) -> None:
    from sqlalchemy import text

    with db.engine("owner").begin() as conn:
        conn.execute(text("update twin.session set strong_until = now() where \"user\" = 'admin'"))
    auth.forget_all()
    body = {"user": "later", "name": {"zh": "后", "en": "Later"}, "roles": ["patrol"]}
    done = admin("POST", "/api/v1/accounts", body)
    assert done.status_code == 403 and done.json()["code"] == "step_up_needed"
    assert admin("GET", "/api/v1/accounts").status_code == 200
    wrong = admin("POST", "/api/v1/session/step-up", {"proof": "wrong"})
    assert wrong.status_code == 403 and wrong.json()["reason"] == "step_up"
    assert admin("POST", "/api/v1/session/step-up", {"proof": PASSWORD}).status_code == 200
    assert admin("POST", "/api/v1/accounts", body).status_code == 201


def test_a_change_of_grants_counts_at_once(known: Api, admin: Browser) -> None:
    made = admin("POST", "/api/v1/accounts", {"user": "mover", "name": {"zh": "动", "en": "Mover"},
                 "roles": ["dispatcher"]}).json()  # fmt: skip
    person = Browser(known)
    person.log_in("mover", made["password"])
    person("POST", "/api/v1/session/password", {"old": made["password"], "new": "Brand-new-8"})
    assert person("GET", "/api/v1/events").status_code == 200
    assert admin("PATCH", "/api/v1/accounts/mover", {"roles": ["auditor"]}).status_code == 204
    assert person("GET", "/api/v1/events").status_code == 401
    person.log_in("mover", "Brand-new-8")
    assert person("GET", "/api/v1/events").status_code == 403
    assert admin("PATCH", "/api/v1/accounts/mover", {"disabled": True}).status_code == 204
    assert person.log_in("mover", "Brand-new-8").status_code == 401
    row = next(
        a for a in admin("GET", "/api/v1/accounts").json()["accounts"] if a["user"] == "mover"
    )
    assert row["disabled"] and row["unaltered"] and "password" not in row and "mac" not in row


def test_a_live_socket_ends_with_its_session(known: Api, browser: Browser) -> None:
    with db.engine("app").begin() as conn:
        token = identity.issue_token(conn, "commander", 1, "t")
    with known.http.websocket_connect(
        "/live", headers={"Authorization": f"Bearer {token}"}
    ) as socket:
        assert "hello" in socket.receive_text()
        with db.engine("app").begin() as conn:
            identity.change(conn, "commander", {"clearance": 2}, "t")
        with pytest.raises(WebSocketDisconnect):
            while True:
                socket.receive_text()


def test_the_tree_is_read_and_changed(admin: Browser) -> None:
    tree = admin("GET", "/api/v1/organisations").json()["organisations"]
    assert {"city", "unit", "district", "street", "grid", "village", "contractor"} == {
        o["type"] for o in tree
    }
    new = {"code": "g-new", "type": "grid", "parent": "s-310104014", "name": {"zh": "新网格", "en": "New"},
           "shape": [121.45, 31.2, 121.46, 31.21]}  # fmt: skip
    assert admin("POST", "/api/v1/organisations", new).status_code == 201
    assert admin("POST", "/api/v1/organisations", new).status_code == 400
    change = {"version": 1, "name": {"zh": "改名", "en": "Renamed"}}
    assert admin("PATCH", "/api/v1/organisations/g-new", change).status_code == 204
    assert admin("PATCH", "/api/v1/organisations/g-new", change).status_code == 409
    assert admin("PATCH", "/api/v1/organisations/none", change).status_code == 404


def test_the_auditor_sees_what_happened(known: Api, browser: Browser) -> None:
    for _ in range(2):
        browser.log_in("dispatcher", "wrong")
    browser.log_in("auditor")
    browser("GET", "/api/v1/events")
    found = browser("GET", "/api/v1/audit?limit=1000").json()["entries"]
    assert [e["id"] for e in found] == sorted((e["id"] for e in found), reverse=True)
    actions = {e["action"] for e in found}
    assert {"login", "login.refused", "refused", "password.set", "account.add"} <= actions
    only = browser("GET", "/api/v1/audit?action=login.refused,refused&limit=2").json()
    assert {e["action"] for e in only["entries"]} <= {"login.refused", "refused"} and only["next"]
    more = browser(
        "GET", f"/api/v1/audit?action=login.refused,refused&limit=2&before={only['next']}"
    ).json()
    assert not {e["id"] for e in more["entries"]} & {e["id"] for e in only["entries"]}
    mine = browser("GET", "/api/v1/audit?actor=dispatcher").json()["entries"]
    assert mine and all("dispatcher" in str(e) for e in mine)
    rows = list(csv.reader(io.StringIO(browser("GET", "/api/v1/audit?f=csv").text)))
    assert rows[0][-1] == "note" and len(rows) > 5
    assert {
        a["action"] for a in browser("GET", "/api/v1/audit/actions").json()["actions"]
    } >= actions


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v1/accounts", {"user": "x y", "name": {"zh": "a", "en": "a"}, "roles": ["patrol"]}, 400),
        ("POST", "/api/v1/accounts", {"user": "a", "name": {"zh": "a"}, "roles": ["patrol"]}, 400),
        ("POST", "/api/v1/accounts", {"user": "a", "name": {"zh": "a", "en": "a"}, "roles": ["king"]}, 400),
        ("POST", "/api/v1/accounts", {"user": "admin", "name": {"zh": "a", "en": "a"}, "roles": ["patrol"]}, 400),
        ("POST", "/api/v1/accounts", {"user": "a", "name": {"zh": "a", "en": "a"}, "roles": ["patrol"],
                                      "organisation": "none"}, 400),
        ("POST", "/api/v1/accounts", {"user": "a" * 65, "name": {"zh": "a", "en": "a"}, "roles": []}, 400),
        ("POST", "/api/v1/accounts", [], 400),
        ("PATCH", "/api/v1/accounts/admin", {"roles": ["patrol"]}, 400),
        ("PATCH", "/api/v1/accounts/nobody", {"clearance": 3}, 404),
        ("PATCH", "/api/v1/accounts/auditor", {"clearance": 9}, 400),
        ("PATCH", "/api/v1/accounts/auditor", {"password": "x"}, 400),
        ("POST", "/api/v1/accounts/nobody/password", None, 404),
        ("POST", "/api/v1/keys", {"name": "a", "rate_per_s": -1}, 400),
        ("POST", "/api/v1/keys", {"name": "a", "kinds": ["none"]}, 400),
        ("DELETE", "/api/v1/keys/none", None, 404),
        ("POST", "/api/v1/organisations", {"code": "A b", "type": "grid", "parent": "x"}, 400),
        ("GET", "/api/v1/audit", None, 403),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_plain_words(
    admin: Browser, method: str, path: str, body: Any, status: int
) -> None:
    done = admin(method, path, body)
    assert done.status_code == status, done.text
    assert done.json()["code"] and done.json()["detail"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "before=0", "since=yesterday", "f=xml",
                                   "actor=" + "x" * 81, "before=99999999999999999999"])  # fmt: skip
def test_bounds_of_the_audit(browser: Browser, query: str) -> None:
    browser.log_in("auditor")
    assert browser("GET", f"/api/v1/audit?{query}").status_code == 400
