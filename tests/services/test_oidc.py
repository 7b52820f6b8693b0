"""Single sign-on against a real small house: the way there and back, what claims give, and every false proof."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from sqlalchemy import text
from starlette.testclient import TestClient

from services.identity import oidc, sign_in
from services.web import auth
from tests import provider, support
from tests.services.conftest import Api
from twin import db
from twin.settings import settings

PERSON = {"sub": "p-1", "preferred_username": "zhang.san", "name": "张三", "groups": ["twin-dispatchers", "other"],
          "department": "310104"}  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[provider.House]:
    with provider.house() as made:
        yield made


@pytest.fixture
def house(api: Api, running: provider.House) -> Iterator[provider.House]:
    made = running
    made.person, made.spoil = dict(PERSON), {}
    secret = settings().home / "secrets" / "oidc-client"
    secret.write_text(provider.SECRET, encoding="utf-8")
    address = str(settings().database_url)
    with support.environment(
        TWIN_OIDC_ISSUER=made.issuer, TWIN_OIDC_CLIENT=provider.CLIENT,
        TWIN_DATABASE_URL=address, TWIN_PUBLIC_URL="http://testserver",
    ):  # fmt: skip
        oidc.forget()
        auth.forget_all()
        sign_in._tries._buckets.clear()
        yield made


def browser(api: Api) -> TestClient:
    return TestClient(api.http.app, base_url="http://testserver", follow_redirects=False)


def walk(http: TestClient, next_: str = "/console/me") -> Any:
    """Go to the house and back; return the last answer."""
    away = http.get("/api/v1/sign-in", params={"next": next_})
    assert away.status_code == 303, away.text
    back = httpx.get(away.headers["location"])
    return http.get(back.headers["location"].removeprefix("http://testserver"))


def test_a_person_comes_in_with_the_place_and_roles_of_the_claims(
    api: Api, house: provider.House
) -> None:
    http = browser(api)
    assert http.get("/api/v1/config").json()["single_sign_on"]["title"]["zh"]
    done = walk(http)
    assert done.status_code == 303 and done.headers["location"] == "/console/me"
    me = http.get("/api/v1/session").json()
    assert me["user"] == "zhang.san" and me["name"]["zh"] == "张三"
    assert me["roles"] == ["dispatcher"] and me["districts"] == ["310104"] and me["first"] is None
    asked = house.asked[-1]
    assert len(asked["state"]) > 30 and len(asked["nonce"]) > 20 and asked["code_challenge"]
    # No password opens this account.
    said = http.post("/api/v1/session", json={"user": "zhang.san", "password": ""})
    assert said.status_code == 400
    assert (
        http.post("/api/v1/session", json={"user": "zhang.san", "password": "x"}).status_code == 401
    )


def test_claims_are_followed_at_every_sign_in(api: Api, house: provider.House) -> None:
    walk(browser(api))
    house.person |= {"groups": ["twin-planners"], "department": "bureau"}
    http = browser(api)
    walk(http)
    me = http.get("/api/v1/session").json()
    assert me["roles"] == ["planner"] and me["districts"] is None
    with db.engine("owner").connect() as conn:
        actions = set(
            conn.scalars(
                text("select action from twin.journal where actor = 'system:single-sign-on'")
            )
        )
        count = conn.scalar(text("select count(*) from twin.account where external is not null"))
    assert {"account.add", "account.change"} <= actions and count == 1


def test_a_name_that_is_taken_here_is_not_taken_over(api: Api, house: provider.House) -> None:
    house.person |= {"sub": "p-2", "preferred_username": "admin"}
    http = browser(api)
    walk(http)
    me = http.get("/api/v1/session").json()
    assert me["user"].startswith("admin.") and "system_admin" not in me["roles"]


@pytest.mark.parametrize("said", [{"groups": []}, {"groups": ["other"]}, {"department": "999999"}])
def test_who_fits_nothing_does_not_come_in(
    api: Api, house: provider.House, said: dict[str, Any]
) -> None:
    house.person |= {"sub": "p-3"} | said
    http = browser(api)
    assert walk(http).headers["location"] == "/login?sso=no_grant"
    assert http.get("/api/v1/session").status_code == 401


def none(token: str) -> str:
    """Return the token without a signature, as the old attack does."""
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def hmac_by_public(token: str) -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "one"}).encode()).decode()
    return f"{head.rstrip('=')}.{token.split('.')[1]}.AAAA"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda h: {"claims": {"nonce": "another"}}, lambda h: {"claims": {"nonce": None}},
        lambda h: {"claims": {"aud": "another-client"}}, lambda h: {"claims": {"iss": "https://evil.example"}},
        lambda h: {"claims": {"exp": 1}}, lambda h: {"claims": {"exp": None}}, lambda h: {"claims": {"sub": None}},
        lambda h: {"key": RSAKey.generate_key(2048, {"kid": "one"})},
        lambda h: {"token": none}, lambda h: {"token": hmac_by_public}, lambda h: {"token": lambda t: "x"},
        lambda h: {"token": lambda t: t[:-4] + "AAAA"},
    ],
)  # fmt: skip
def test_no_false_proof_opens(
    api: Api, house: provider.House, spoil: Callable[[Any], dict[str, Any]]
) -> None:
    house.spoil = spoil(house)
    http = browser(api)
    assert walk(http).headers["location"] == "/login?sso=proof"
    assert http.get("/api/v1/session").status_code == 401


def test_a_state_counts_once_and_in_its_own_browser(api: Api, house: provider.House) -> None:
    http = browser(api)
    away = http.get("/api/v1/sign-in")
    back = httpx.get(away.headers["location"]).headers["location"].removeprefix("http://testserver")
    stranger = browser(api)
    assert stranger.get(back).headers["location"] == "/login?sso=browser"
    state = parse_qs(urlsplit(back).query)["state"][0]
    cookie = {"Cookie": f"twin_sign_in={state}"}
    assert http.get(back, headers=cookie).headers["location"] == "/wall"
    assert http.get(back, headers=cookie).headers["location"] == "/login?sso=state"
    assert http.get("/api/v1/sign-in/return").headers["location"] == "/login?sso=browser"


@pytest.mark.parametrize(
    "next_", ["https://evil.example", "//evil.example", "/\\evil", "javascript:x", "/a\nb"]
)
def test_nobody_is_sent_elsewhere_afterwards(api: Api, house: provider.House, next_: str) -> None:
    assert walk(browser(api), next_).headers["location"] == "/wall"


def test_a_house_under_another_name_or_without_tls_is_not_trusted(
    api: Api, house: provider.House
) -> None:
    for spoil in ({"issuer": "https://another.example"}, {"jwks_uri": "http://192.0.2.1/jwks"}):
        house.spoil = spoil
        oidc.forget()
        assert browser(api).get("/api/v1/sign-in").headers["location"] == "/login?sso=unavailable"


def test_a_disabled_person_stays_outside(api: Api, house: provider.House) -> None:
    from twin import identity

    walk(browser(api))
    with db.engine("app").begin() as conn:
        identity.disable(conn, "zhang.san", "t")
    assert walk(browser(api)).headers["location"] == "/login?sso=disabled"


def test_without_a_house_there_is_no_door(api: Api) -> None:
    assert api.get("/api/v1/sign-in", None).status_code == 404
    assert api.get("/api/v1/sign-in/return?code=x&state=y", None).status_code == 404
