"""The seal over the journal: sequence, hash chain, Merkle tree, signed checkpoints, verifying.

leaf  = SM3(0x00 || canonical JSON of the entry), node = SM3(0x01 || left || right) as in RFC 9162
with SM3 for SHA-256; chain(n) = SM3(chain(n-1) || leaf(n)). A checkpoint is a text with size and
root, signed SM2; copies of it held elsewhere prove any later change to an outsider.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from twin.crypto import soft
from twin.errors import Unavailable

ORIGIN = "lvrong-twin/journal"
KEY = "checkpoint-key.pem"
EMPTY = soft.sm3(b"")
# jsonb and floats as the database prints them: every byte of them is under the seal.
ENTRY = (
    "j.id, to_char(j.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), j.class, j.action, "
    "j.actor, j.subject::text, j.kind, j.version, j.district, j.level, j.lon::text, j.lat::text, "
    "j.before::text, j.after::text, j.note::text"
)


def leaf(entry: list[Any]) -> bytes:
    """Return the leaf of an entry given as the values of `ENTRY`."""
    said = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    return soft.sm3(b"\x00" + said.encode())


@dataclass
class Tree:
    """The growing end of chain and Merkle tree: size, chain value, roots of the full subtrees."""

    size: int = 0
    chain: bytes = EMPTY
    frontier: list[bytes] = field(default_factory=list)

    def add(self, one: bytes) -> bytes:
        """Append a leaf; return the chain value after it."""
        self.chain = soft.sm3(self.chain + one)
        node, size = one, self.size
        while size & 1:
            node = soft.sm3(b"\x01" + self.frontier.pop() + node)
            size >>= 1
        self.frontier.append(node)
        self.size += 1
        return self.chain

    def root(self) -> bytes:
        """Return the Merkle root over all leaves."""
        if not self.frontier:
            return EMPTY
        node = self.frontier[-1]
        for left in reversed(self.frontier[:-1]):
            node = soft.sm3(b"\x01" + left + node)
        return node


def ensure_key(home: Path) -> None:
    """Make the signing key of the checkpoints once; the public half lies beside it."""
    path = home / "secrets" / KEY
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    private, public = soft.sm2_keygen()
    path.touch(mode=0o600)
    path.write_text(private, encoding="utf-8")
    path.with_name("checkpoint-public.pem").write_text(public, encoding="utf-8")


def tree(conn: Connection) -> Tree:
    """Return the tree at the end of what is sealed, from the last checkpoint on."""
    last = conn.execute(
        text("select size, chain, frontier from twin.checkpoint order by size desc limit 1")
    ).first()
    made = Tree(last.size, bytes(last.chain), [bytes(f) for f in last.frontier]) if last else Tree()
    rows = conn.execute(
        text("select leaf from twin.sealed where seq > :n order by seq"), {"n": made.size}
    )
    for row in rows:
        made.add(bytes(row.leaf))
    return made


def seal(conn: Connection, end: Tree, limit: int = 5000) -> int:
    """Number and chain the entries that can be seen now; the caller commits. Return how many."""
    rows = conn.execute(
        text(
            f"select {ENTRY} from twin.unsealed u join twin.journal j on j.id = u.entry "
            "order by u.entry limit :n"
        ),
        {"n": limit},
    ).all()
    if not rows:
        return 0
    raw = conn.connection.driver_connection
    if raw is None:
        raise Unavailable("The database connection was lost while sealing; it will be tried again.")
    with (
        raw.cursor() as cursor,
        cursor.copy("copy twin.sealed (seq, entry, leaf, chain) from stdin (format binary)") as out,
    ):
        out.set_types(["int8", "int8", "bytea", "bytea"])
        for row in rows:
            one = leaf(list(row))
            chain = end.add(one)
            out.write_row((end.size, row[0], one, chain))
    ids = [row[0] for row in rows]
    conn.execute(text("delete from twin.unsealed where entry = any(:ids)"), {"ids": ids})
    conn.execute(text("notify twin_sealed"))
    return len(rows)


def checkpoint(conn: Connection, end: Tree, private_pem: str) -> str | None:
    """Sign the present size and root; None when nothing is new."""
    last = conn.execute(
        text("select size, root from twin.checkpoint order by size desc limit 1")
    ).first()
    if end.size == 0 or (last and last.size == end.size):
        return None
    now = conn.execute(text("select now()")).scalar_one()
    previous = bytes(last.root) if last else None
    body = "\n".join(
        (
            ORIGIN,
            str(end.size),
            end.root().hex(),
            previous.hex() if previous else "-",
            now.isoformat(),
        )
    )
    conn.execute(
        text(
            "insert into twin.checkpoint (size, root, chain, frontier, at, previous, body, signature) "
            "values (:size, :root, :chain, :frontier, :at, :previous, :body, :signature)"
        ),
        {
            "size": end.size,
            "root": end.root(),
            "chain": end.chain,
            "frontier": end.frontier,
            "at": now,
            "previous": previous,
            "body": body,
            "signature": soft.sm2_sign(private_pem, body.encode()),
        },
    )
    return body


@dataclass(frozen=True, kw_only=True)
class Report:
    """What verifying found; `bad` names the first entry that does not hold."""

    sealed: int
    unsealed: int
    checkpoints: int
    bad_seq: int | None = None
    bad_entry: int | None = None
    why: str | None = None

    @property
    def holds(self) -> bool:
        """True when chain, tree and signatures hold for every sealed entry."""
        return self.why is None


def _sealed(conn: Connection, after: int) -> Iterator[Any]:
    query = text(
        f"select s.seq, s.entry, s.leaf, s.chain, {ENTRY} from twin.sealed s "
        "left join twin.journal j on j.id = s.entry where s.seq > :after order by s.seq"
    ).execution_options(yield_per=5000)
    yield from conn.execute(query, {"after": after})


def verify(conn: Connection, public_pem: str, after: int = 0) -> Report:
    """Check every sealed entry after a sequence number, and every checkpoint from there on."""
    counts: dict[str, Any] = {
        "unsealed": int(conn.execute(text("select count(*) from twin.unsealed")).scalar_one()),
        "checkpoints": int(conn.execute(text("select count(*) from twin.checkpoint")).scalar_one()),
    }
    end, marks = _start(conn, after)
    for row in _sealed(conn, end.size):
        said = _entry_fault(row, end)
        if said:
            return Report(
                sealed=end.size, bad_seq=end.size, bad_entry=row.entry, why=said, **counts
            )
        mark = marks.pop(end.size, None)
        fault = mark and _checkpoint_fault(mark, end, public_pem)
        if fault:
            return Report(
                sealed=end.size, bad_seq=end.size, bad_entry=row.entry, why=fault, **counts
            )
    missing = _missing(conn, marks, end)
    if missing:
        return Report(
            sealed=end.size, bad_seq=end.size + 1, bad_entry=missing[0], why=missing[1], **counts
        )
    return Report(sealed=end.size, **counts)


def _start(conn: Connection, after: int) -> tuple[Tree, dict[int, Any]]:
    """Return the tree to start from (a signed checkpoint at or before `after`) and later marks."""
    rows = conn.execute(text("select * from twin.checkpoint order by size")).all()
    base = max((r for r in rows if r.size <= after), key=lambda r: r.size, default=None)
    end = Tree(base.size, bytes(base.chain), [bytes(f) for f in base.frontier]) if base else Tree()
    return end, {r.size: r for r in rows if r.size > end.size}


def _entry_fault(row: Any, end: Tree) -> str | None:
    expected = end.size + 1
    if row.seq != expected:
        end.size = expected
        return f"sequence number {expected} is missing"
    if row[4] is None:
        end.size = expected
        return "the journal entry was deleted"
    one = leaf(list(row[4:]))
    chain = end.add(one)
    if one != bytes(row.leaf):
        return "the entry was changed after it was sealed"
    if chain != bytes(row.chain):
        return "the hash chain is broken here"
    return None


def _checkpoint_fault(mark: Any, end: Tree, public_pem: str) -> str | None:
    if bytes(mark.root) != end.root() or bytes(mark.chain) != end.chain:
        return f"the signed checkpoint of size {mark.size} has another root"
    if not soft.sm2_verify(public_pem, mark.body.encode(), bytes(mark.signature)):
        return f"the signature of the checkpoint of size {mark.size} is not ours"
    if mark.body.split("\n")[1:3] != [str(mark.size), bytes(mark.root).hex()]:
        return f"the text of the checkpoint of size {mark.size} says something else"
    return None


def _missing(conn: Connection, marks: dict[int, Any], end: Tree) -> tuple[int, str] | None:
    """Find what a cut-off end or a hidden entry leaves behind."""
    if marks:
        return 0, f"sealed entries up to {max(marks)} were signed, but only {end.size} are here"
    lost = conn.execute(
        text(
            "select j.id from twin.journal j left join twin.sealed s on s.entry = j.id "
            "left join twin.unsealed u on u.entry = j.id "
            "where s.entry is null and u.entry is null order by j.id limit 1"
        )
    ).scalar()
    return (lost, "this entry was taken out of the seal") if lost is not None else None
