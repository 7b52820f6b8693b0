"""The seal: a single changed byte, a deleted entry, a cut end are found and named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import text

from tests.support import Servers
from twin import db, journal, ledger
from twin.crypto import soft
from twin.settings import settings

pytestmark = pytest.mark.usefixtures("database")
PRIVATE, PUBLIC = soft.sm2_keygen()


def seal_all() -> None:
    with db.engine("app").begin() as conn:
        end = ledger.tree(conn)
        while ledger.seal(conn, end):
            pass
        ledger.checkpoint(conn, end, PRIVATE)


def verify() -> ledger.Report:
    with db.engine("audit").connect() as conn:
        return ledger.verify(conn, PUBLIC)


@pytest.fixture(scope="module", autouse=True)
def sealed(database: str) -> None:
    # The template was sealed by nobody yet: this module signs with a key of its own.
    for i in range(40):
        with db.engine("app").begin() as conn:
            journal.append(conn, cls="test", action="step", actor="t", note={"i": i, "x": 1.10})
        if i % 10 == 9:
            seal_all()


@contextmanager
def tampered(servers: Servers, database: str, *statements: str) -> Iterator[None]:
    """Do what only a database administrator with ill intent can, and undo it afterwards."""
    password = servers.secret("db-super")
    with psycopg.connect(f"{database.replace('//', f'//postgres:{password}@')}") as conn:
        conn.execute("create schema if not exists kept")
        for table in ("journal", "sealed", "checkpoint", "unsealed"):
            conn.execute(f"drop table if exists kept.{table}")
            conn.execute(f"create table kept.{table} as table twin.{table}")
        conn.execute("set session_replication_role = replica")
        for statement in statements:
            assert conn.execute(statement).rowcount > 0, statement
        conn.commit()
        try:
            yield
        finally:
            for table in ("sealed", "checkpoint", "unsealed", "journal"):
                conn.execute(f"delete from twin.{table}")
            for table in ("journal", "sealed", "checkpoint", "unsealed"):
                over = " overriding system value" if table == "journal" else ""
                conn.execute(f"insert into twin.{table}{over} table kept.{table}")
            conn.commit()


def entry(seq: int) -> int:
    with db.engine("audit").connect() as conn:
        found = conn.execute(text("select entry from twin.sealed where seq = :s"), {"s": seq})
        return int(found.scalar_one())


def test_an_untouched_journal_holds() -> None:
    report = verify()
    assert report.holds
    assert report.sealed >= 40
    assert report.checkpoints == 4
    assert report.unsealed == 0


@pytest.mark.parametrize(
    "change",
    [
        "set note = jsonb_set(note, '{i}', '-7')",
        "set note = jsonb_set(note, '{x}', '1.10')",  # equal as a number, another byte
        "set actor = 'T'",
        "set at = at + interval '1 microsecond'",
        "set level = 2",
        "set lon = 121.4",
    ],
)
def test_one_changed_byte_is_found_and_named(servers: Servers, database: str, change: str) -> None:
    seq = verify().sealed - 20
    with tampered(servers, database, f"update twin.journal {change} where id = {entry(seq)}"):
        report = verify()
    assert (report.bad_seq, report.bad_entry) == (seq, entry(seq))
    assert "changed" in str(report.why)
    assert verify().holds


def test_a_deleted_entry_is_found(servers: Servers, database: str) -> None:
    seq = verify().sealed - 20
    with tampered(servers, database, f"delete from twin.journal where id = {entry(seq)}"):
        assert verify().bad_seq == seq


def test_an_entry_taken_out_of_the_seal_is_found(servers: Servers, database: str) -> None:
    seq = verify().sealed - 20
    with tampered(servers, database, f"delete from twin.sealed where seq = {seq}"):
        report = verify()
    assert report.bad_seq == seq


def test_a_cut_end_is_found_by_the_signed_checkpoint(servers: Servers, database: str) -> None:
    size = verify().sealed
    cut = [
        f"delete from twin.journal where id > {entry(size - 3)}",
        f"delete from twin.sealed where seq > {size - 3}",
    ]
    with tampered(servers, database, *cut):
        report = verify()
    assert not report.holds
    assert "signed" in str(report.why)


def test_a_whole_new_chain_needs_our_signature(servers: Servers, database: str) -> None:
    forged, _ = soft.sm2_keygen()
    with db.engine("audit").connect() as conn:
        body = conn.execute(
            text("select body from twin.checkpoint order by size desc limit 1")
        ).scalar_one()
    signature = soft.sm2_sign(forged, body.encode()).hex()
    change = (
        f"update twin.checkpoint set signature = '\\x{signature}' "
        "where size = (select max(size) from twin.checkpoint)"
    )
    with tampered(servers, database, change):
        assert "not ours" in str(verify().why)


def test_unsealed_entries_are_counted() -> None:
    with db.engine("app").begin() as conn:
        journal.append(conn, cls="test", action="late", actor="t")
    assert verify().unsealed == 1
    seal_all()
    assert verify().unsealed == 0


@pytest.mark.parametrize("role", ["app", "ingest", "audit", "owner"])
@pytest.mark.parametrize(
    "statement", ["update twin.journal set actor = 'x'", "delete from twin.journal"]
)
def test_no_role_may_rewrite_the_journal(role: str, statement: str) -> None:
    from sqlalchemy.exc import DBAPIError

    with pytest.raises(DBAPIError), db.engine(role).begin() as conn:
        conn.execute(text(statement))


def test_the_tree_is_that_of_rfc_9162() -> None:
    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        k = 1 << (len(leaves) - 1).bit_length() - 1
        return soft.sm3(b"\x01" + root(leaves[:k]) + root(leaves[k:]))

    tree = ledger.Tree()
    leaves: list[bytes] = []
    for i in range(70):
        leaves.append(soft.sm3(bytes([i])))
        tree.add(leaves[-1])
        assert tree.root() == root(leaves)


def test_sm3_and_sm2_against_the_standard_and_openssl() -> None:
    # GB/T 32905-2016, appendix A.1
    expected = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert soft.sm3(b"abc").hex() == expected
    signature = soft.sm2_sign(PRIVATE, b"message")
    assert soft.sm2_verify(PUBLIC, b"message", signature)
    assert not soft.sm2_verify(PUBLIC, b"massage", signature)
    assert not soft.sm2_verify(PUBLIC, b"message", signature[:-1] + bytes([signature[-1] ^ 1]))


def test_settings_keep_the_key_closed() -> None:
    path = settings().home / "secrets" / ledger.KEY
    assert path.stat().st_mode & 0o077 == 0
