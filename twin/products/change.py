"""Publishing a product while the city runs: a job of the worker, which may make tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import catalogue, db, jobs
from twin.errors import BadRequest
from twin.jobs import Job
from twin.products import published, reading
from twin.products.model import Product
from twin.telemetry import store

TASK = "product.publish"


def check(conn: Connection, source: str) -> Product:
    """Read a declaration against what runs; what cannot be published is refused with its reason."""
    product = reading.read_source(source, "product")
    check_kind(conn, product)
    running = published.running(conn, fresh=True).get(product.key)
    if running is not None:
        for why in published.narrowed(running, product):
            raise published.WouldNarrow(why)
    return product


def check_kind(conn: Connection, product: Product) -> None:
    """Refuse a product whose devices would be things of a kind that is not there."""
    if product.kind not in catalogue.all_kinds(conn):
        raise BadRequest(f"No kind is called {product.kind!r}; devices are things of a kind.")


def apply(product: Product, *, actor: str, origin: str = "local") -> int | None:
    """Publish a product and make or widen its tables, in one transaction."""
    with db.engine("owner").begin() as conn:
        return publish(conn, product, origin=origin, actor=actor)


def publish(conn: Connection, product: Product, *, origin: str, actor: str) -> int | None:
    """Publish in the owner's transaction; None where exactly this runs already."""
    number = published.publish(conn, product, origin=origin, actor=actor)
    store.ensure(conn, product)
    return number


@jobs.task(TASK)
def _publish(job: Job) -> Mapping[str, Any]:
    product = reading.read_source(job.args["declaration"], "product")
    number = apply(product, actor=job.actor)
    return {"product": product.key, "version": number, "unchanged": number is None}
