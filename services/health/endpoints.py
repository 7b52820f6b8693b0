"""Liveness, readiness and metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from twin import db

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz() -> dict[str, Any]:
    """The database answers and the kinds are published."""
    with db.engine("app").connect() as conn:
        row = conn.execute(
            text(
                "select (select count(distinct key) from twin.declaration where kind_of = 'kind'), "
                "(select count(*) from twin.unsealed), (select coalesce(max(seq), 0) from twin.sealed)"
            )
        ).one()
    return {"status": "ready", "kinds": row[0], "unsealed": row[1], "sealed": row[2]}


@router.get("/metrics")
def metrics() -> Response:
    """Prometheus figures of this process."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
