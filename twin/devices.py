"""Identity of devices: a secret of its own for each, sealed; one per product to come by it; revoking."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Connection, text

from twin import journal, products, sealing
from twin.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized

USE = "device-secret"
SECRET_BYTES = 24
_NAME = re.compile(r"[^\s/+#&|]{1,64}")
# What clouds call their signature methods; SM3 is the national one.
METHODS = {"hmacsha256": "sha256", "hmacsm3": "sm3", "hmacsha1": "sha1", "hmacmd5": "md5"}


class Registered(NamedTuple):
    """A device that was given its secret."""

    product: str
    device: str
    num: int
    secret: str


def sign(secret: str, said: Mapping[str, str], method: str = "hmacsha256") -> str:
    """Return the signature over parameters: names and values in order of name, one after the other."""
    algorithm = METHODS.get(method.lower().replace("-", ""))
    if algorithm is None:
        raise BadRequest(f"signMethod {method[:20]!r} is none of {', '.join(METHODS)}.")
    content = "".join(f"{name}{said[name]}" for name in sorted(said))
    return hmac.new(secret.encode(), content.encode(), algorithm).hexdigest()


def signed(secret: str, said: Mapping[str, str], method: str, signature: str) -> bool:
    """Tell whether a signature is the one over these parameters."""
    return hmac.compare_digest(sign(secret, said, method).lower(), signature.lower())


def check_names(product: str, device: str) -> None:
    """Refuse names that topics and addresses cannot carry."""
    for name in (product, device):
        if not _NAME.fullmatch(name):
            raise BadRequest(
                "Product and name have 1 to 64 characters, no blanks, none of / + # & |."
            )


def seal(product: str, device: str, secret: str) -> str:
    """Return a device's secret as the database keeps it."""
    return sealing.shut(USE, secret, f"{product}/{device}")


def unsealed(product: str, device: str, sealed: str) -> str:
    """Return what `seal` closed."""
    return sealing.opened(USE, sealed, f"{product}/{device}")


def made() -> str:
    """Return a new secret that nobody chose."""
    return secrets.token_urlsafe(SECRET_BYTES)


def give(
    conn: Connection, product: str, device: str, num: int, *, actor: str, labels: Any = None
) -> str:
    """Give a thing its device and return the secret, which is never shown again."""
    [done] = many(conn, product, [(device, num)], actor=actor, labels=labels)
    return done.secret


def many(
    conn: Connection,
    product: str,
    listed: Sequence[tuple[str, int]],
    *,
    actor: str,
    labels: Mapping[str, Any] | None = None,
) -> list[Registered]:
    """Register devices (name, thing) of a product at once; all of them or none."""
    for device, _ in listed:
        check_names(product, device)
    if len({device for device, _ in listed}) < len(listed):
        raise BadRequest("A name stands twice in this list.")
    _refuse_taken(conn, product, listed)
    done = [Registered(product, device, num, made()) for device, num in listed]
    conn.execute(
        text(
            "insert into twin.device (product, device, num, secret_sealed, labels) "
            "select :p, d, n, s, cast(:labels as jsonb) from "
            "unnest(cast(:d as text[]), cast(:n as int[]), cast(:s as text[])) as u(d, n, s) "
            "on conflict (num) do update set product = excluded.product, device = excluded.device, "
            "secret_sealed = excluded.secret_sealed, secret = null, enabled = true, "
            "state = 'registered', certificate = null, token_sealed = null, client = null"
        ),
        {
            "p": product,
            "d": [one.device for one in done],
            "n": [one.num for one in done],
            "s": [seal(product, one.device, one.secret) for one in done],
            "labels": journal.dumped(labels or {}),
        },
    )
    note = {"product": product, "count": len(done), "devices": [d for d, _ in listed[:100]]}
    if len(done) == 1:
        note = {"product": product, "device": done[0].device}
    journal.append(conn, cls="security", action="device.add", actor=actor, note=note, level=3)
    return done


def _refuse_taken(conn: Connection, product: str, listed: Sequence[tuple[str, int]]) -> None:
    taken = conn.execute(
        text(
            "select d.device from twin.device d join unnest(cast(:d as text[]), cast(:n as int[])) "
            "as u(d, n) on d.product = :p and d.device = u.d where d.num <> u.n limit 1"
        ),
        {"p": product, "d": [d for d, _ in listed], "n": [n for _, n in listed]},
    ).scalar()
    if taken is not None:
        raise Conflict(
            f"The device {product}/{taken} belongs to another thing; choose another name."
        )


def rotate(conn: Connection, product: str, device: str, *, actor: str) -> str:
    """Give a device a new secret; the old one ends at once."""
    secret = made()
    _set(
        conn, product, device, "secret_sealed = :s, secret = null, state = 'registered'",
        {"s": seal(product, device, secret)},
    )  # fmt: skip
    _note(conn, "device.rotate", product, device, actor)
    return secret


def revoke(conn: Connection, product: str, device: str, *, actor: str) -> None:
    """Close a device's account at once: doors hear of it and end its connections."""
    _set(
        conn, product, device,
        "enabled = false, state = 'revoked', secret = null, secret_sealed = null, "
        "certificate = null, token_sealed = null",
        {},
    )  # fmt: skip
    _note(conn, "device.revoke", product, device, actor)


def enable(conn: Connection, product: str, device: str, *, actor: str) -> str:
    """Open a revoked device again, with a new secret."""
    _set(conn, product, device, "enabled = true", {})
    return rotate(conn, product, device, actor=actor)


def bind_certificate(
    conn: Connection, product: str, device: str, der: bytes, *, actor: str
) -> None:
    """Let a device show this client certificate instead of its secret."""
    _set(conn, product, device, "certificate = :c", {"c": hashlib.sha256(der).digest()})
    _note(conn, "device.certificate", product, device, actor)


def _set(conn: Connection, product: str, device: str, what: str, values: Mapping[str, Any]) -> None:
    done = conn.execute(
        text(f"update twin.device set {what} where product = :p and device = :d"),
        {"p": product, "d": device, **values},
    )
    if not done.rowcount:
        raise NotFound(f"There is no device {product}/{device}; `twin device list` shows them.")


def _note(conn: Connection, action: str, product: str, device: str, actor: str) -> None:
    note = {"product": product, "device": device}
    journal.append(conn, cls="security", action=action, actor=actor, note=note, level=3)


def product_secret(conn: Connection, product: str, *, listed: bool, actor: str) -> str:
    """Open dynamic registration of a product and return the secret that its devices share.

    With `listed` only names that were entered beforehand are given a secret of their own.
    """
    products.one(conn, product)
    secret = made()
    conn.execute(
        text(
            "insert into iot.product_secret (product, secret_sealed, listed) values (:p, :s, :l) "
            "on conflict (product) do update set secret_sealed = excluded.secret_sealed, "
            "listed = excluded.listed, enabled = true, made_at = now()"
        ),
        {"p": product, "s": seal(product, "", secret), "l": listed},
    )
    note = {"product": product, "listed": listed}
    journal.append(conn, cls="security", action="product.secret", actor=actor, note=note, level=3)
    return secret


def close_registration(conn: Connection, product: str, *, actor: str) -> None:
    """Close dynamic registration of a product."""
    conn.execute(
        text("update iot.product_secret set enabled = false where product = :p"), {"p": product}
    )
    note = {"product": product}
    journal.append(
        conn, cls="security", action="product.secret.close", actor=actor, note=note, level=3
    )


class Claim(NamedTuple):
    """What a device says to be given its own secret."""

    product: str
    device: str
    random: str
    method: str
    signature: str


def register(conn: psycopg.Connection[Any], claim: Claim, *, token: bool = False) -> dict[str, str]:
    """Give a device its own secret once, by its product's secret; run as the doors' role.

    The answer has the names that devices of the usual clouds expect. With `token` a name that was
    not entered beforehand, but whose thing is there, gets a client identifier and a token.
    """
    check_names(claim.product, claim.device)
    found = conn.execute(
        "select secret_sealed, listed from iot.product_secret where product = %s and enabled",
        (claim.product,),
    ).fetchone()
    if found is None:
        raise Forbidden("Dynamic registration of this product is closed; open it first.")
    said = {"deviceName": claim.device, "productKey": claim.product, "random": claim.random}
    if not signed(unsealed(claim.product, "", found[0]), said, claim.method, claim.signature):
        raise Unauthorized("The signature is not the one of this product's secret.")
    if token and found[1]:
        raise Forbidden("This product registers only names that were entered beforehand.")
    row = conn.execute(
        "select state, enabled, num from twin.device where product = %s and device = %s for update",
        (claim.product, claim.device),
    ).fetchone()
    if row is None or not row[1]:
        raise Forbidden("This name is not entered; enter the device first.")
    if row[0] != "registered":
        raise Conflict("This device has been given its secret already; rotate it to register anew.")
    return _hand_over(conn, claim, token=token)


def _hand_over(conn: psycopg.Connection[Any], claim: Claim, *, token: bool) -> dict[str, str]:
    own = {"productKey": claim.product, "deviceName": claim.device}
    secret = made()
    sealed = seal(claim.product, claim.device, secret)
    if token:
        client = secrets.token_hex(12)
        conn.execute(
            "update twin.device set token_sealed = %s, client = %s, secret_sealed = null, "
            "state = 'active' where product = %s and device = %s",
            (sealed, client, claim.product, claim.device),
        )
        answer = {**own, "clientId": client, "deviceToken": secret}
    else:
        conn.execute(
            "update twin.device set secret_sealed = %s, state = 'active' "
            "where product = %s and device = %s",
            (sealed, claim.product, claim.device),
        )
        answer = {**own, "deviceSecret": secret}
    conn.execute(
        "insert into twin.journal (class, action, actor, level, note) "
        "values ('security', 'device.register', %s, 3, %s)",
        (f"device:{claim.product}/{claim.device}", Jsonb(own)),
    )
    return answer


def listed(conn: Connection, product: str | None = None) -> list[dict[str, Any]]:
    """Return the devices with the things behind them; never a secret."""
    rows = conn.execute(
        text(
            "select d.product, d.device, t.kind, t.code, d.num, d.enabled, d.state, d.online, "
            "d.seen_at, d.firmware, d.labels from twin.device d join twin.thing t on t.num = d.num "
            "where cast(:p as text) is null or d.product = :p order by 1, 2"
        ),
        {"p": product},
    )
    return [dict(row._mapping) for row in rows]


def numbers(conn: Connection, codes: Iterable[str]) -> dict[str, int]:
    """Return the number of each thing by its code."""
    rows = conn.execute(
        text("select code, num from twin.thing where code = any(:c) and gone_at is null"),
        {"c": list(codes)},
    )
    return {row.code: int(row.num) for row in rows}
