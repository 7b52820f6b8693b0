"""Idempotency-Key: the same key of the same caller gives the same answer, one effect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from fastapi.encoders import jsonable_encoder
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin.errors import BadRequest
from twin.scope import Actor


def once(
    conn: Connection,
    actor: Actor,
    key: str | None,
    asked: Mapping[str, Any],
    do: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Do something once per key, in the caller's transaction; a repeat gets the first answer."""
    if not key:
        return do()
    if len(key) > 128:
        raise BadRequest("Idempotency-Key is longer than 128 characters.")
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
    # The lock makes a repeat that overtakes the first wait for its answer.
    conn.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:k, 7))"), {"k": f"{actor.user} {key}"}
    )
    known = conn.execute(
        text("select digest, answer from twin.idempotency where actor = :a and key = :k"),
        {"a": actor.user, "k": key},
    ).first()
    if known:
        if known.digest != digest:
            raise BadRequest("This Idempotency-Key was used for another request; make a new one.")
        return dict(known.answer)
    answer: dict[str, Any] = jsonable_encoder(do())
    conn.execute(
        text(
            "insert into twin.idempotency (actor, key, digest, answer) values (:a, :k, :d, :j)"
        ).bindparams(bindparam("j", type_=JSONB)),
        {"a": actor.user, "k": key, "d": digest, "j": answer},
    )
    return answer
