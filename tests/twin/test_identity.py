"""Accounts: lock after five failures, nothing readable kept, sessions end when they must."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from sqlalchemy import text

from twin import db, identity, passwords, secondfactor, sessions
from twin.errors import BadRequest, CodeNeeded, Conflict, NotFound, Unauthorized
from twin.settings import settings

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


def log_in(user: str, password: str, code: str | None = None) -> Any:
    with db.engine("app").connect() as conn:
        try:
            return identity.log_in(conn, user, password, "127.0.0.1", code=code)
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


def codes_of(user: str) -> tuple[str, list[str]]:
    """Set up a second factor and return its secret and the recovery codes."""
    with db.engine("app").begin() as conn:
        secret, address = identity.begin_totp(conn, user)
        assert secret in address and f":{user}?" in address
        with pytest.raises(BadRequest):
            identity.confirm_totp(
                conn, user, "000000" if now_code(secret) != "000000" else "111111"
            )
        return secret, identity.confirm_totp(conn, user, now_code(secret))


def now_code(secret: str, steps: int = 0) -> str:
    return secondfactor.code_at(secret, int(time.time() // 30) + steps)


def test_the_codes_are_those_of_rfc_6238() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    for at, code in [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"),
                     (20000000000, "353130")]:  # fmt: skip
        assert secondfactor.code_at(secret, at // 30) == code
        assert secondfactor.step_of(secret, code, at, 0) == at // 30
        assert secondfactor.step_of(secret, code, at + 120, 0) is None
        assert secondfactor.step_of(secret, code, at, at // 30) is None
    for junk in ("", "12345", "1234567", "abcdef", "１２３４５６", "-12345"):
        assert secondfactor.step_of(secret, junk, 59, 0) is None


def test_a_second_factor_is_asked_and_a_code_counts_once(user: str) -> None:
    secret, _ = codes_of(user)
    with pytest.raises(CodeNeeded):
        log_in(user, PASSWORD)
    with pytest.raises(Unauthorized, match="wrong"):
        log_in(user, "wrong", now_code(secret, 1))
    code = now_code(secret, 1)
    assert log_in(user, PASSWORD, code)
    with pytest.raises(Unauthorized, match="code"):
        log_in(user, PASSWORD, code)
    with pytest.raises(Conflict), db.engine("app").begin() as conn:
        identity.begin_totp(conn, user)


def test_wrong_codes_lock_like_wrong_passwords(user: str) -> None:
    codes_of(user)
    for _ in range(5):
        with pytest.raises(Unauthorized):
            log_in(user, PASSWORD, "999999x")
    with pytest.raises(Unauthorized, match="locked"):
        log_in(user, PASSWORD, "999999")
    with db.engine("app").begin() as conn:
        identity.unlock(conn, user, "t")
    with pytest.raises(CodeNeeded):
        log_in(user, PASSWORD)


def test_a_recovery_code_opens_once(user: str) -> None:
    _, codes = codes_of(user)
    assert len(set(codes)) == 10
    assert log_in(user, PASSWORD, codes[3].upper())
    with pytest.raises(Unauthorized):
        log_in(user, PASSWORD, codes[3])
    with db.engine("owner").connect() as conn:
        kept = conn.execute(
            text('select a::text from twin.account a where "user" = :u'), {"u": user}
        )
        said = kept.scalar_one()
    assert not any(code in said for code in codes)
    with db.engine("app").begin() as conn:
        identity.remove_totp(conn, user, "t")
    assert log_in(user, PASSWORD)


def test_the_secret_of_a_second_factor_is_not_readable(user: str) -> None:
    secret, _ = codes_of(user)
    with db.engine("owner").connect() as conn:
        for table in ("account", "session", "journal"):
            rows = conn.execute(text(f"select t::text from twin.{table} t")).scalars()
            assert not any(secret in row for row in rows)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("Ab1-", "length"), ("a" * 257, "length"), ("alllowercase", "classes"),
        ("LOWERandUPPER", "classes"), ("Password1234!", "common"), ("1qaz2wsx-A", None),
        ("aaaaaaaaaaaaaaaaaaaa", "common"), ("Anna.likes.7up", "name"), ("Qwertyuiop1!", "common"),
        ("correct horse battery", None), ("Tr0ub4dor&3", None), ("园林绿化局大家好 2026 年", None),
    ],
)  # fmt: skip
def test_the_rules_of_passwords(password: str, rule: str | None) -> None:
    if rule is None:
        passwords.check(password, "anna")
        return
    with pytest.raises(BadRequest) as why:
        passwords.check(password, "anna")
    assert why.value.extra["rule"] == rule


def test_made_passwords_keep_the_rules_and_old_ones_are_not_used_again(user: str) -> None:
    for _ in range(50):
        passwords.check(passwords.made(), "anna")
    with db.engine("app").begin() as conn:
        identity.set_password(conn, user, "Another-one-5", "t")
        for old in (PASSWORD, "Another-one-5"):
            with pytest.raises(BadRequest, match="last 5"):
                identity.set_password(conn, user, old, "t")


def test_an_old_or_given_password_must_be_changed_first(user: str) -> None:
    for change in (
        "must_change = true",
        "must_change = false, password_at = now() - interval '91 d'",
    ):
        with db.engine("app").begin() as conn:
            conn.execute(text(f'update twin.account set {change} where "user" = :u'), {"u": user})
        token, _ = log_in(user, PASSWORD)
        with db.engine("app").begin() as conn:
            actor = identity.actor_of(conn, identity.session(conn, token))
            assert actor.wants == "password" and not actor.acts and actor.clearance == 1
            bearer = identity.issue_token(conn, user, 1, "t")
            assert identity.actor_of(conn, identity.session(conn, bearer)).wants is None


def test_a_role_may_ask_for_a_second_factor_outside_the_demo(
    user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.engine("app").begin() as conn:
        identity.change(conn, user, {"roles": ["security_admin"]}, "t")
    monkeypatch.delenv("TWIN_DEMO_ACCOUNTS", raising=False)
    token, _ = log_in(user, PASSWORD)
    for demo, wants in (("small", None), ("none", "totp")):
        monkeypatch.setenv("TWIN_DEMO", demo)
        settings.cache_clear()
        with db.engine("app").begin() as conn:
            assert identity.actor_of(conn, identity.session(conn, token)).wants == wants
    settings.cache_clear()


def test_a_token_may_carry_fewer_acts_and_nobody_raises_themselves(user: str) -> None:
    with db.engine("app").begin() as conn:
        token = identity.issue_token(conn, user, 1, "t", acts=["map.read", "system.write"])
        actor = identity.actor_of(conn, identity.session(conn, token))
        assert actor.acts == {"map.read"}
        with pytest.raises(BadRequest):
            identity.change(conn, user, {"roles": ["system_admin"]}, user)
        with pytest.raises(BadRequest):
            identity.change(conn, user, {"password": "x"}, "t")


def test_sessions_are_listed_and_ended_one_by_one(user: str) -> None:
    first, _ = log_in(user, PASSWORD)
    second, _ = log_in(user, PASSWORD)
    with db.engine("app").begin() as conn:
        found = sessions.of_user(conn, user)
        assert len(found) == 2 and found[0]["address"] == "127.0.0.1"
        sessions.end(conn, user, found[0]["id"], user)
        assert identity.session(conn, second) is None
        assert identity.session(conn, first) is not None
        for other in (found[0]["id"], "x", "00000000-0000-0000-0000-000000000000"):
            with pytest.raises(NotFound):
                sessions.end(conn, user, other, user)
        assert sessions.end_all(conn, user, "t") == 1


def test_every_change_of_a_grant_is_written(user: str) -> None:
    with db.engine("app").begin() as conn:
        identity.change(conn, user, {"clearance": 3, "organisation": "zoo"}, "chief")
        identity.unlock(conn, user, "chief")
        identity.disable(conn, user, "chief")
    with db.engine("owner").connect() as conn:
        rows = conn.execute(
            text("select action, before, after from twin.journal where actor = 'chief' order by id")
        ).all()
    assert [r.action for r in rows] == ["account.change", "account.unlock", "account.disable"]
    assert rows[0].before["clearance"] == 2 and rows[0].after["organisation"] == "zoo"
