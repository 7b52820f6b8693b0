"""Verifying the journal: entries a second against bare SM3 over as many entries."""

from __future__ import annotations

import time

from sqlalchemy import text

from twin import db, ledger
from twin.crypto import soft
from twin.settings import settings
from ui.terminal.benchmarks import Figure

SAMPLE = 50_000


def run(size: int) -> list[Figure]:
    """Verify the whole journal, then hash as many entries of the same mean length bare."""
    public = (settings().home / "secrets" / "checkpoint-public.pem").read_text(encoding="utf-8")
    with db.engine("audit").connect() as conn:
        begun = time.perf_counter()
        report = ledger.verify(conn, public)
        took = time.perf_counter() - begun
        length = conn.execute(
            text("select avg(octet_length(coalesce(after::text, ''))) from twin.journal")
        ).scalar_one()
    block = b"x" * (int(length) + 200)
    count = min(size or SAMPLE, max(report.sealed, 1))
    begun = time.perf_counter()
    for _ in range(count):
        soft.sm3(block)
    limit = count / (time.perf_counter() - begun)
    rate = report.sealed / took
    return [
        Figure(name="entries verified", figure=round(rate), unit="1/s", limit=round(limit),
               ratio=round(rate / limit, 3))
    ]  # fmt: skip
