"""The shadow for people: read it, desire something else of it, one revision at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from twin import journal
from twin.errors import BadRequest, PreconditionFailed
from twin.products import NotInModel, Product
from twin.scope import Actor
from twin.shadow import patch

_EMPTY: dict[str, Any] = {
    "reported": {}, "desired": {}, "reported_rev": 0, "desired_rev": 0, "delivered_rev": 0,
    "told_at": None, "tries": 0, "reported_at": None, "desired_at": None,
}  # fmt: skip
_ONE = "select * from iot.shadow where num = :num"


def read(conn: Connection, num: int) -> dict[str, Any]:
    """Return the shadow of a device with what is still lacking; empty where none has been made."""
    row = conn.execute(text(_ONE), {"num": num}).first()
    said = dict(row._mapping) if row else {"num": num, **_EMPTY}
    said["lacking"] = patch.lacking(said["desired"], said["reported"])
    said["delivered"] = said["delivered_rev"] >= said["desired_rev"]
    return said


def desire(
    conn: Connection,
    num: int,
    change: Mapping[str, Any],
    *,
    actor: Actor,
    product: Product | None,
    revision: int | None = None,
) -> dict[str, Any]:
    """Apply a merge patch to what is desired; with a revision only if it still is that one."""
    _fits(change, product)
    conn.execute(
        text("insert into iot.shadow (num) values (:n) on conflict do nothing"), {"n": num}
    )
    row = conn.execute(text(_ONE + " for update"), {"num": num}).one()
    if revision is not None and revision != row.desired_rev:
        raise PreconditionFailed(
            f"What is desired is at revision {row.desired_rev}, you changed {revision}; "
            "read it again and repeat.",
            revision=row.desired_rev,
        )
    after = patch.merged(row.desired, change)
    if len(orjson.dumps(after)) > patch.MAX_BYTES:
        raise BadRequest(f"The shadow would be longer than {patch.MAX_BYTES} bytes.")
    if after == row.desired:
        return read(conn, num)
    conn.execute(
        text(
            "update iot.shadow set desired = :d, desired_rev = desired_rev + 1, desired_at = now(), "
            "tries = 0 where num = :num"
        ).bindparams(bindparam("d", type_=JSONB)),
        {"d": after, "num": num},
    )
    journal.append_many(
        conn,
        "select 'device', 'shadow.desired', :actor, null, t.kind, null, t.district, t.level, "
        "st_x(t.point), st_y(t.point), cast(:before as jsonb), cast(:after as jsonb), "
        "jsonb_build_object('num', t.num, 'code', t.code, 'revision', cast(:rev as bigint)) "
        "from twin.thing t where t.num = :num",
        {
            "actor": actor.user,
            "before": journal.dumped(row.desired),
            "after": journal.dumped(after),
            "rev": row.desired_rev + 1,
            "num": num,
        },
    )
    conn.execute(text("select pg_notify('twin_downlink', :n)"), {"n": str(num)})
    return read(conn, num)


def _fits(change: Mapping[str, Any], product: Product | None) -> None:
    """Refuse what the product does not let anybody set; a product without settings takes all."""
    if "version" in change:
        raise BadRequest("version is a word of the protocol, no setting.")
    if patch.deep(change):
        raise BadRequest(f"The patch nests deeper than {patch.MAX_DEPTH}.")
    if product is None or not product.settings:
        return
    known = {one.name: one for one in product.settings}
    for name, value in change.items():
        if name not in known:
            raise BadRequest(
                f"{product.key} declares no setting {name}.", known=sorted(known), parameter=name
            )
        if value is not None:
            try:
                (known[name].number if known[name].is_numeric else known[name].text)(value)
            except NotInModel as why:
                raise BadRequest(f"{why}.", parameter=name) from why
