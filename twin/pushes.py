"""Who may push to the intake: a secret for each source, and the signature that every push carries."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Mapping

from sqlalchemy import Connection, text

from twin import journal, sealing
from twin.errors import Unauthorized

USE = "push"
# A push that was signed longer ago is an old one, whoever sends it.
MAX_AGE_S = 300
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def secret(conn: Connection, source: str) -> str | None:
    """Return the secret of a source; None when nobody was given one."""
    number = conn.execute(
        text("select round from twin.push_secret where source = :s"), {"s": source}
    ).scalar()
    return None if number is None else sealing.mac(USE, source, int(number)).hex()


def renew(conn: Connection, source: str, *, actor: str) -> str:
    """Give a source a new secret; the one before opens nothing from now on."""
    conn.execute(
        text(
            "insert into twin.push_secret (source, set_by) values (:s, :by) on conflict (source) "
            "do update set round = twin.push_secret.round + 1, set_at = now(), set_by = :by"
        ),
        {"s": source, "by": actor},
    )
    journal.append(
        conn, cls="security", action="push.secret", actor=actor, note={"source": source}, level=3
    )
    made = secret(conn, source)
    assert made is not None
    return made


def signature(secret_of: str, key: str, moment: int, body: bytes) -> str:
    """Return the signature of a push (Standard Webhooks, HMAC-SHA256)."""
    signed = f"{key}.{moment}.".encode() + body
    return (
        f"v1,{base64.b64encode(hmac.new(secret_of.encode(), signed, 'sha256').digest()).decode()}"
    )


def check(conn: Connection, source: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the id of a push whose signature holds; Unauthorized otherwise, and never why exactly."""
    key, moment, given = (headers.get(name, "") for name in HEADERS)
    held = secret(conn, source)
    if held is None or not (key and given and moment.isdigit()) or len(moment) > 12:
        raise Unauthorized(f"A push to {source[:40]} carries {', '.join(HEADERS)}.")
    if abs(time.time() - int(moment)) > MAX_AGE_S:
        raise Unauthorized("The time of this push is not now; check the clock of the sender.")
    wanted = signature(held, key[:128], int(moment), body)
    try:
        fits = any(
            hmac.compare_digest(one.encode(), wanted.encode()) for one in given.split(" ")[:4]
        )
    except (UnicodeEncodeError, binascii.Error):
        fits = False
    if not fits:
        raise Unauthorized("The signature does not fit; sign id.timestamp.body with the secret.")
    return key[:128]
