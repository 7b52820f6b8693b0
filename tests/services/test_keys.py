"""Partner keys: kinds, districts, fields, rate, quota, networks, expiry; what is not opened stays shut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import pytest
from sqlalchemy import text

from gis.tiles import tile_of
from services.web import audit, auth, meters
from tests import minicity
from tests.services.conftest import Api
from twin import db, keys
from twin.errors import BadRequest, NotFound


@pytest.fixture(autouse=True)
def fresh(api: Api) -> Iterator[None]:
    meters.forget()
    auth.forget_all()
    audit._told.clear()
    yield


def key(api: Api, **said: Any) -> str:
    """Make a key and return its name as a caller of the Api."""
    with db.engine("app").begin() as conn:
        key_id, token = keys.issue(conn, keys.Wanted(**({"name": "partner"} | said)), "t")
    api.tokens[key_id] = token
    return key_id


def test_a_key_reads_its_kinds_districts_and_fields_only(api: Api) -> None:
    mine = key(api, kinds=["toilet"], districts=[minicity.EAST], fields={"toilet": ["grade"]},
               clearance=3)  # fmt: skip
    listed = api.get("/ogc/collections", mine).json()["collections"]
    assert {c["id"] for c in listed} <= {"toilet", "catalogue", "datasets"}
    found = api.get("/ogc/collections/toilet/items", mine, limit=1000).json()["features"]
    assert {f["properties"]["district"] for f in found} == {minicity.EAST}
    assert "phone" not in found[0]["properties"] and "open_hours" not in found[0]["properties"]
    everything = api.get("/ogc/collections/toilet/items", limit=1000).json()["features"]
    west = next(f for f in everything if f["properties"]["district"] == minicity.WEST)
    for path in (
        f"/ogc/collections/toilet/items/{west['id']}", f"/api/v1/things/{west['properties']['code']}",
        f"/ogc/collections/toilet/items/{west['id']}/history", "/ogc/collections/crew/items",
        "/tiles/crew/14/1/1.mvt", "/tiles/crew.json", "/api/v1/catalogue/crew",
        "/ogc/collections/road/items",
    ):  # fmt: skip
        assert api.get(path, mine).status_code == 404, path
    assert api.get("/api/v1/search", mine, q="西一组").json()["results"] == []
    z, x, y = tile_of(121.47, 31.215, 14)
    tile = api.get(f"/tiles/toilet/{z}/{x}/{y}.mvt", mine)
    codes = {
        f["properties"]["code"][:6]
        for f in mapbox_vector_tile.decode(tile.content)["toilet"]["features"]
    }
    assert codes == {minicity.EAST}


def test_a_key_passes_only_doors_that_say_so(api: Api) -> None:
    mine = key(api, acts=["map.read", "event.read", "data.write"], clearance=4)
    for method, path in [("GET", "/api/v1/events"), ("GET", "/api/v1/accounts"), ("GET", "/api/v1/keys"),
                         ("GET", "/api/v1/session"), ("POST", "/api/v1/session/totp"),
                         ("GET", "/api/v1/movers"), ("POST", "/api/v1/loads")]:  # fmt: skip
        done = api.http.request(method, path, headers=api.headers(mine))
        assert done.status_code == 403 and done.json()["code"] == "key_not_allowed", path
    assert api.get("/api/v1/search?q=x", mine).status_code == 200


def test_a_rate_is_kept_and_told(api: Api) -> None:
    mine = key(api, rate_per_s=0.5, burst=5)
    said = [api.get("/ogc/collections/toilet/items", mine, limit=1) for _ in range(8)]
    assert [s.status_code for s in said] == [200] * 5 + [429] * 3
    assert said[-1].json()["code"] == "too_many" and said[-1].json()["reason"] == "rate"
    assert 1 <= int(said[-1].headers["retry-after"]) <= 4


def test_a_daily_quota_ends_at_midnight_and_uses_are_counted(api: Api) -> None:
    mine = key(api, rate_per_s=1000, burst=1000, daily_quota=6)
    said = [api.get("/api/v1/search?q=x", mine).status_code for _ in range(9)]
    assert said == [200] * 6 + [429] * 3
    again = api.get("/tiles/toilet.json", mine)
    assert again.status_code == 429 and again.json()["reason"] == "quota"
    assert 0 < int(again.headers["retry-after"]) <= 86400
    meters.keep_all()
    with db.engine("app").connect() as conn:
        row = next(k for k in keys.listed(conn) if k["id"] == mine)
    assert (row["today"], row["refused_today"], row["month"]) == (6, 4, 6)
    # Another process, or this one after a restart, goes on from what was kept.
    meters.forget()
    auth.forget_all()
    assert api.get("/api/v1/search?q=x", mine).status_code == 429


def test_only_allowed_networks(api: Api) -> None:
    # The test client calls from an address that is no address: it is in no network.
    mine = key(api, addresses=["10.0.0.0/8", "2001:db8::/32"])
    done = api.get("/ogc/collections", mine)
    assert done.status_code == 403 and done.json()["reason"] == "address"
    meter = meters._meters[mine]
    for address in ("10.1.2.3", "2001:db8::1"):
        meter.take(address)
    for address in ("11.1.2.3", "2001:db9::1", "::ffff:10.1.2.3", "x", ""):
        with pytest.raises(Exception, match="address"):
            meter.take(address)


def test_what_no_longer_opens_says_why_and_is_written_down(api: Api) -> None:
    mine = key(api)
    assert api.get("/ogc/collections", mine).status_code == 200
    with db.engine("owner").begin() as conn:
        conn.execute(
            text("update twin.partner_key set expires_at = now() where id = :k"), {"k": mine}
        )
    auth.forget_all()
    assert api.get("/ogc/collections", mine).json()["reason"] == "expired"
    other = key(api)
    with db.engine("app").begin() as conn:
        keys.revoke(conn, other, "t")
    assert api.get("/ogc/collections", other).json()["reason"] == "revoked"
    third = key(api, kinds=["toilet"])
    with db.engine("owner").begin() as conn:
        conn.execute(text("update twin.partner_key set kinds = null where id = :k"), {"k": third})
    assert api.get("/ogc/collections", third).json()["reason"] == "altered"
    api.tokens["guess"] = f"lvk_abcdefgh_{'x' * 40}"
    assert api.get("/ogc/collections", "guess").json()["reason"] == "unknown"
    with db.engine("owner").connect() as conn:
        rows = conn.execute(
            text(
                "select actor, note->>'code' from twin.journal where action = 'refused' and actor like 'key:%'"
            )
        ).all()
    assert {tuple(r) for r in rows} >= {
        (f"key:{mine}", "key.expired"), (f"key:{other}", "key.revoked"),
        (f"key:{third}", "key.altered"), ("key:-", "key.unknown"),
    }  # fmt: skip


def test_a_revoked_key_ends_in_every_process_by_the_journal(api: Api) -> None:
    mine = key(api, rate_per_s=1000, burst=1000)
    assert api.get("/ogc/collections", mine).status_code == 200
    with db.engine("app").begin() as conn:
        keys.revoke(conn, mine, "somebody elsewhere")
    end = time.monotonic() + 30
    while auth._seen and time.monotonic() < end:
        time.sleep(0.05)
    assert api.get("/ogc/collections", mine).status_code == 401


def test_a_token_is_kept_as_a_digest_only(api: Api) -> None:
    mine = key(api)
    secret = api.tokens[mine].rsplit("_", 1)[1]
    with db.engine("owner").connect() as conn:
        for table in ("partner_key", "journal"):
            rows = conn.execute(text(f"select t::text from twin.{table} t")).scalars()
            assert not any(secret in row for row in rows)


@pytest.mark.parametrize(
    "said",
    [
        {"name": " "}, {"name": "x" * 81}, {"kinds": ["nothing"]}, {"kinds": []}, {"districts": []},
        {"districts": ["999999"]}, {"fields": {"toilet": ["nothing"]}}, {"fields": {"nothing": []}},
        {"acts": ["user.write"]}, {"clearance": 5}, {"rate_per_s": 0}, {"rate_per_s": float("nan")},
        {"burst": 0}, {"daily_quota": 0}, {"days": 0}, {"days": 5000}, {"addresses": ["10.0.0.0/99"]},
    ],
)  # fmt: skip
def test_a_key_that_makes_no_sense_is_refused(api: Api, said: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        key(api, **said)


@pytest.mark.parametrize(
    "token", ["lvk_", "lvk_abcdefgh", "lvk_abcdefgh_", "lvk_" + "é" * 20, "x" * 5000]
)
def test_junk_is_no_key(api: Api, token: str) -> None:
    headers = {"Authorization": b"Bearer " + token.encode()}
    done = api.http.get("/ogc/collections", headers=headers)
    assert done.status_code == 401 and done.headers["content-type"] == "application/problem+json"


def test_a_key_is_rotated_and_the_old_one_ends_when_said(api: Api) -> None:
    old = key(api, kinds=["toilet"], districts=[minicity.EAST], clearance=2)
    with db.engine("app").begin() as conn:
        new, token = keys.rotate(conn, old, 2, "t")
    api.tokens[new] = token
    auth.forget_all()
    for one in (old, new):
        found = api.get("/ogc/collections/toilet/items", one, limit=1000).json()["features"]
        assert {f["properties"]["district"] for f in found} == {minicity.EAST}
    with db.engine("app").begin() as conn:
        rows = {r["id"]: r for r in keys.listed(conn)}
        assert (rows[old]["expires_at"] - rows[new]["created_at"]).total_seconds() <= 2 * 3600 + 1
        last, token = keys.rotate(conn, new, 0, "t")
    api.tokens[last] = token
    auth.forget_all()
    assert api.get("/ogc/collections/toilet/items", new).status_code == 401
    assert api.get("/ogc/collections/toilet/items", last).status_code == 200
    with db.engine("app").begin() as conn, pytest.raises(NotFound):
        keys.rotate(conn, new, 1, "t")
