"""Products as screens need them: with their devices counted, checked before they are published."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sqlalchemy import Connection, text

from ingest.codecs import Undecodable, decode
from ingest.codecs.explain import explain, not_in_model, wrong_vectors
from twin import catalogue, products
from twin.errors import BadRequest, NotFound
from twin.products import Product, change, forms
from twin.scope import Actor, scope_sql

MAX_PAYLOAD = 4_096


def readable(conn: Connection, actor: Actor) -> dict[str, Product]:
    """Return the products whose devices the actor may see, by key."""
    kinds = catalogue.readable(conn, actor)
    return {key: one for key, one in products.running(conn).items() if one.kind in kinds}


def one(conn: Connection, actor: Actor, key: str) -> Product:
    """Return one product that the actor may see; NotFound otherwise."""
    found = readable(conn, actor).get(key)
    if found is None:
        found = products.running(conn, fresh=True).get(key)
        if found is None or found.kind not in catalogue.readable(conn, actor):
            raise NotFound(f"There is no product {key!r} that you may see.")
    return found


def listed(conn: Connection, actor: Actor) -> list[dict[str, Any]]:
    """Return the products with how many devices each has in the actor's scope."""
    scope, params = scope_sql(actor, "t")
    rows = conn.execute(
        text(
            "select d.product, count(*) as devices, count(*) filter (where not d.enabled) as revoked "
            "from twin.device d join twin.thing t on t.num = d.num "
            f"where t.gone_at is null and {scope} group by d.product"
        ),
        params,
    )
    counts = {row.product: row for row in rows}
    return [
        forms.shown(product)
        | {
            "devices": counts[key].devices if key in counts else 0,
            "revoked": counts[key].revoked if key in counts else 0,
        }
        for key, product in sorted(readable(conn, actor).items())
    ]


def checked(conn: Connection, source: str) -> dict[str, Any]:
    """Return what a declaration would be: new or a change, and the vectors its codec does not meet."""
    product = change.check(conn, source)
    old = products.running(conn).get(product.key)
    wrong = wrong_vectors(product)
    known = set(old.by_name) if old else set()
    return {
        "product": forms.shown(product),
        "new": old is None,
        "unchanged": old is not None and old.doc == product.doc,
        "added": [one.name for one in product.properties if one.name not in known],
        "vectors": len(product.codec.vectors),
        "wrong_vectors": wrong,
        "example": forms.example(product),
    }


def decoded(conn: Connection, actor: Actor, said: dict[str, Any]) -> dict[str, Any]:
    """Return every step from a payload to values: by a product that runs, or by a draft of one."""
    product = (
        change.check(conn, said["declaration"])
        if said.get("declaration")
        else one(conn, actor, said["product"] or "")
    )
    raw = _bytes(said["payload"], said["form"])
    if said["form"] == "json":
        return _json(product, raw)
    return explain(product, raw, said["port"]).json()


def _json(product: Product, raw: bytes) -> dict[str, Any]:
    made: dict[str, Any] = {
        "payload": raw.hex().upper(), "bytes": len(raw), "codec": "json", "answer": None,
        "records": [], "ignored": {}, "refused": {}, "error": None, "us": 0.0,
    }  # fmt: skip
    try:
        made["records"] = decode(product, raw)
    except Undecodable as why:
        made["error"] = str(why)
    for record in made["records"]:
        made["refused"] |= not_in_model(product, record["values"])
    return made


def _bytes(said: str, form: str) -> bytes:
    try:
        if form == "json":
            return said.encode()
        if form == "base64":
            raw = base64.b64decode(said, validate=True)
        else:
            raw = bytes.fromhex(said.removeprefix("0x"))
    except (ValueError, binascii.Error) as why:
        raise BadRequest(f"The payload is not {form}; check what was copied.") from why
    if len(raw) > MAX_PAYLOAD:
        raise BadRequest(f"A payload has at most {MAX_PAYLOAD} bytes.")
    return raw
