"""Set-up of a new or newer installation: publish what is shipped, make tables, first accounts."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import Connection, text

from twin import (
    alter,
    db,
    declarations,
    identity,
    kinds,
    ledger,
    organisations,
    passwords,
    policies,
    products,
    schema,
)
from twin.alarms import published as alarms
from twin.kinds import Kind
from twin.products import Product
from twin.settings import settings
from twin.telemetry import store

log = structlog.get_logger("setup")

ACTOR = "system:setup"


def publish_shipped(*, people: bool = True) -> dict[str, int]:
    """Publish every shipped declaration and make its tables; doing it again changes nothing.

    Without `people` no account is made: their passwords would be written beside those of the city.
    """
    counts = {"kinds": 0, "processes": 0, "products": 0, "accounts": 0}
    with db.engine("owner").begin() as conn:
        conn.execute(text("select pg_advisory_xact_lock(7003)"))
        schema.ensure_topics(conn)
        running = kinds.catalogue(conn)
        for kind in kinds.shipped():
            counts["kinds"] += _publish(conn, kind, running.get(kind.kind))
        for product in products.shipped():
            counts["products"] += _publish_product(conn, product)
        for product in products.running(conn, fresh=True).values():
            store.ensure(conn, product)
        counts["rules"] = alarms.publish_shipped(conn, ACTOR)
        counts["policies"] = policies.publish_shipped(conn, ACTOR)
    ledger.ensure_key(settings().home)
    with db.engine("app").begin() as conn:
        organisations.seed(conn, demo=settings().demo_people, actor=ACTOR)
        identity.seal_all(conn, ACTOR)
    if people:
        counts["accounts"] = _demo_accounts()
    return counts


def _publish(conn: Connection, kind: Kind, old: Kind | None) -> bool:
    """Publish a shipped kind and bring its table along; what would lose data waits for a person."""
    if old is not None and not declarations.differs(conn, "kind", kind.kind, dict(kind.doc)):
        return False
    try:
        if old is None:
            # A table may stand from a home whose declarations were lost: it is only widened.
            schema.ensure_table(conn, kind)
        alter.carry_out(conn, kind, ACTOR, allow_loss=False, origin="shipped")
    except alter.WouldLose as why:
        log.warning("a shipped kind was left as it runs", kind=kind.kind, why=why.detail)
        return False
    return True


def _publish_product(conn: Connection, product: Product) -> bool:
    """Publish a shipped product; one that would take stored values away is left as it runs."""
    try:
        done = products.publish(conn, product, origin="shipped", actor=ACTOR)
    except products.WouldNarrow as why:
        log.warning("a shipped product was left as it runs", product=product.key, why=why.detail)
        return False
    return done is not None


def _demo_accounts() -> int:
    if not settings().demo_people:
        return _first_admin()
    declared, _ = declarations.read_yaml(declarations.DATA / "roles.yaml")
    return _make(declared["demo"])


def _first_admin() -> int:
    declared, _ = declarations.read_yaml(declarations.DATA / "roles.yaml")
    return _make({"admin": declared["demo"]["admin"]})


def _make(people: dict[str, dict[str, Any]]) -> int:
    """Make the accounts that are missing, with passwords nobody chose, kept in demo-logins."""
    made: dict[str, str] = {}
    with db.engine("app").begin() as conn:
        known = set(conn.scalars(text('select "user" from twin.account')))
        for user, said in people.items():
            if user in known:
                continue
            made[user] = passwords.made()
            identity.add_account(
                conn,
                user=user,
                name=said["name"],
                password=made[user],
                roles=said["roles"],
                districts=said.get("districts"),
                clearance=said["clearance"],
                crew=said.get("crew"),
                organisation=said.get("organisation"),
                actor=ACTOR,
            )
    if made:
        path = settings().home / "secrets" / "demo-logins"
        path.parent.mkdir(parents=True, exist_ok=True)
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        path.touch(mode=0o600)
        path.write_text(old + "".join(f"{u} {p}\n" for u, p in made.items()), encoding="utf-8")
        path.chmod(0o600)
    return len(made)


def assign_crews() -> int:
    """Give accounts that wait for the first crew (`crew: first`) a crew that is there now."""
    with db.engine("app").begin() as conn:
        return conn.execute(
            text(
                "update twin.account set crew = (select code from twin.thing where kind = 'crew' "
                "and gone_at is null and district = '310101' order by num limit 1) "
                "where crew = 'first' and exists (select 1 from twin.thing where kind = 'crew')"
            )
        ).rowcount
