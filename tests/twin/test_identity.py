"""Accounts: lock after five failures, nothing readable kept, sessions end when they must."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from twin import db, identity
from twin.errors import BadRequest, NotFound, Unauthorized

pytestmark = pytest.mark.usefixtures("database")
PASSWORD = "Correct-horse-4"


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    name = f"u{abs(hash(request.node.name)) % 10**8}"
    with db.engine("app").begin() as conn:
        identity.add_account(
            conn, user=name, name={"zh": "测试", "en": "Test"}, password=PASSWORD,
            roles=["dispatcher"], districts=None, clearance=2, crew=None, actor="t",
        )  # fmt: skip
    return name


def log_in(user: str, password: str) -> Any:
    with db.engine("app").connect() as conn:
        try:
            return identity.log_in(conn, user, password, "127.0.0.1")
        finally:
            conn.commit()


def test_five_failures_lock_even_the_right_password(user: str) -> None:
    assert log_in(user, PASSWORD)
    for _ in range(5):
        with pytest.raises(Unauthorized):
            log_in(user, "wrong")
    with pytest.raises(Unauthorized, match="locked"):
        log_in(user, PASSWORD)


def test_an_unknown_user_gets_the_same_answer(user: str) -> None:
    with pytest.raises(Unauthorized) as unknown:
        log_in("nobody-here", PASSWORD)
    with pytest.raises(Unauthorized) as wrong:
        log_in(user, "wrong")
    assert unknown.value.detail == wrong.value.detail


def test_neither_password_nor_token_is_kept(user: str) -> None:
    token, _ = log_in(user, PASSWORD)
    with db.engine("owner").connect() as conn:
        for table in ("account", "session", "journal"):
            rows = conn.execute(text(f"select t::text from twin.{table} t")).scalars()
            assert not any(PASSWORD in row or token in row for row in rows)


def test_disabling_and_a_new_password_end_sessions(user: str) -> None:
    for end in (
        lambda c: identity.set_password(c, user, "Another-one-5", "t"),
        lambda c: identity.disable(c, user, "t"),
    ):
        with db.engine("app").begin() as conn:
            token = identity.issue_token(conn, user, 1, "t")
            assert identity.session(conn, token) is not None
            end(conn)
            assert identity.session(conn, token) is None


def test_a_browser_session_ends_after_thirty_idle_minutes(user: str) -> None:
    token, _ = log_in(user, PASSWORD)
    with db.engine("app").begin() as conn:
        conn.execute(text("update twin.session set seen_at = now() - interval '31 minutes'"))
        assert identity.session(conn, token) is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"password": "short"}, BadRequest),
        ({"roles": ["emperor"]}, BadRequest),
        ({"roles": []}, BadRequest),
        ({"user": "admin"}, BadRequest),
    ],
)
def test_bad_accounts_are_refused(change: dict[str, Any], error: type[Exception]) -> None:
    said = {"user": "new", "name": {"zh": "新"}, "password": PASSWORD, "roles": ["patrol"],
            "districts": None, "clearance": 2, "crew": None, "actor": "t"}  # fmt: skip
    with pytest.raises(error), db.engine("app").begin() as conn:
        identity.add_account(conn, **(said | change))


def test_no_token_for_nobody() -> None:
    with pytest.raises(NotFound), db.engine("app").begin() as conn:
        identity.issue_token(conn, "nobody", 1, "t")
