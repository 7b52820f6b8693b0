"""Proofs for outsiders: the path from one journal entry to a signed checkpoint (RFC 9162 with SM3 for SHA-256)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, text

from twin import ledger
from twin.crypto import soft

# A stretch between two checkpoints longer than this is not read for one proof.
LONGEST = 200_000


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


class Nodes:
    """Hashes of subtrees: the left ones from a checkpoint's frontier, the rest from the leaves after it."""

    def __init__(self, start: int, frontier: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        """Take the size of a checkpoint, its full subtrees, and all leaves that follow."""
        self.start, self.leaves = start, leaves
        self.known: dict[tuple[int, int], bytes] = {}
        begin = 0
        for bit, node in zip(reversed(_bits(start)), frontier, strict=True):
            self.known[(begin, begin + bit)] = node
            begin += bit
        self.hash = lru_cache(maxsize=None)(self._hash)

    def _hash(self, begin: int, end: int) -> bytes:
        found = self.known.get((begin, end))
        if found is not None:
            return found
        if end - begin == 1:
            return self.leaves[begin - self.start]
        middle = begin + _split(end - begin)
        return soft.sm3(b"\x01" + self.hash(begin, middle) + self.hash(middle, end))

    def path(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of the leaf at an index (from 0) in the tree of a size."""
        begin, end, found = 0, size, []
        while end - begin > 1:
            middle = begin + _split(end - begin)
            if index < middle:
                found.append(self.hash(middle, end))
                end = middle
            else:
                found.append(self.hash(begin, middle))
                begin = middle
        return found[::-1]


def _bits(size: int) -> list[int]:
    """Return the powers of two that a size is made of, the smallest first."""
    return [1 << i for i in range(size.bit_length()) if size >> i & 1]


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a leaf and its path lead to; None when the path does not fit the size."""
    at, last, node = index, size - 1, leaf
    for one in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            node = soft.sm3(b"\x01" + one + node)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = soft.sm3(b"\x01" + node + one)
        at, last = at >> 1, last >> 1
    return node if last == 0 else None


def of_case(conn: Connection, case_id: Any) -> list[dict[str, Any]]:
    """Return every entry of a case as it stands under the seal, with its proof where one is signed."""
    rows = conn.execute(
        text(
            f"select s.seq, {ledger.ENTRY} from twin.journal j "
            "left join twin.sealed s on s.entry = j.id where j.subject = :id order by j.version"
        ),
        {"id": case_id},
    ).all()
    made: dict[int, Any] = {}
    return [_one(conn, row, made) for row in rows]


def _one(conn: Connection, row: Any, made: dict[int, Any]) -> dict[str, Any]:
    entry = list(row[1:])
    said: dict[str, Any] = {"entry": entry, "leaf": ledger.leaf(entry).hex(), "seq": row.seq}
    if row.seq is None:
        return said | {"proof": None, "why": "not sealed yet"}
    mark = conn.execute(
        text("select * from twin.checkpoint where size >= :n order by size limit 1"), {"n": row.seq}
    ).first()
    if mark is None:
        return said | {"proof": None, "why": "sealed, the next checkpoint is not signed yet"}
    if mark.size not in made:
        made[mark.size] = _nodes(conn, mark)
    nodes = made[mark.size]
    if nodes is None:
        return said | {"proof": None, "why": "too many entries under one checkpoint"}
    path = nodes.path(row.seq - 1, mark.size)
    return said | {"proof": {"size": mark.size, "path": [p.hex() for p in path]}}


def _nodes(conn: Connection, mark: Any) -> Nodes | None:
    before = conn.execute(
        text(
            "select size, frontier from twin.checkpoint where size < :n order by size desc limit 1"
        ),
        {"n": mark.size},
    ).first()
    start = int(before.size) if before else 0
    if mark.size - start > LONGEST:
        return None
    leaves = conn.scalars(
        text("select leaf from twin.sealed where seq > :a and seq <= :b order by seq"),
        {"a": start, "b": mark.size},
    )
    frontier = [bytes(f) for f in before.frontier] if before else []
    return Nodes(start, frontier, [bytes(one) for one in leaves])


def checkpoints(conn: Connection, proofs: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the signed texts that proofs lead to."""
    sizes = sorted({p["proof"]["size"] for p in proofs if p["proof"]})
    rows = conn.execute(
        text("select body, signature from twin.checkpoint where size = any(:n) order by size"),
        {"n": sizes},
    )
    return [{"body": r.body, "signature": bytes(r.signature).hex()} for r in rows]
