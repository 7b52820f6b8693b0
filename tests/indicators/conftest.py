"""The API over the whole demo city, with events of several days, alarms and messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from ingest import demo
from services.app import create_app
from services.web import auth
from tests.services.conftest import Api
from twin import cases, catalogue, counts, db, identity, inspection, ledger, names
from twin.indicators import published
from twin.indicators.cells import Follower
from twin.scope import SYSTEM

PLACES = ((121.475, 31.23), (121.437, 31.188), (121.51, 31.28), (121.40, 31.10))
FOLLOWER = Follower()
CATEGORIES = ("litter", "fallen_tree", "illegal_stall", "lamp_out", "forest_clearing")


@pytest.fixture(scope="module")
def city(database: str) -> Iterator[Api]:
    """Load the demo city, let some events happen, count everything once."""
    demo.load_demo("small")
    catalogue.forget()
    names.forget()
    published.forget()
    auth._seen.clear()
    _events()
    with db.engine("app").begin() as conn:
        counts.follow(conn, catalogue.all_kinds(conn))
    inspection.follow()
    with db.engine("app").begin() as conn:
        tokens = {u: identity.issue_token(conn, u, 1, "test")
                  for u in ("commander", "district-310104", "planner", "admin")}  # fmt: skip
    follow()
    with TestClient(create_app(), base_url="http://localhost") as http:
        yield Api(http, tokens)


def follow() -> int:
    """Seal what happened, and count what is due now, however long the last count took."""
    with db.engine("app").begin() as conn:
        end = ledger.tree(conn)
        while ledger.seal(conn, end):
            pass
    return FOLLOWER.once(patient=False)


def _events() -> None:
    now = datetime.now(UTC)
    with db.engine("app").begin() as conn:
        for i in range(24):
            lon, lat = PLACES[i % len(PLACES)]
            case = cases.open_case(
                conn, cases.CITY, actor=SYSTEM, category=CATEGORIES[i % len(CATEGORIES)],
                title=f"事件{i}", lon=lon + 0.001 * i, lat=lat, source="test", source_id=str(i),
                data={"description": "x", "reporter_kind": ("staff", "citizen", "machine")[i % 3]},
            )  # fmt: skip
            opened = now - timedelta(hours=7 * i)
            closed = opened + timedelta(hours=3 * i + 1) if i % 2 else None
            conn.execute(
                text(
                    'update twin."case" set opened_at = :o, closed_at = :c, due_at = :d, state = '
                    "case when cast(:c as timestamptz) is null then state else 'closed' end where id = :id"
                ),
                {"o": opened, "c": min(closed, now) if closed else None,
                 "d": opened + timedelta(hours=30), "id": case["id"]},
            )  # fmt: skip
