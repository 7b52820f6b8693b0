"""Tiles of this installation: CPU against the same prepared SQL without HTTP, levels, the cache."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import httpx
from sqlalchemy import text

from gis.tiles import tile_of
from services.tiles import repository
from services.tiles.repository import Wish
from twin import db, identity, kinds
from twin.errors import NotFound, Unavailable
from twin.scope import Actor
from ui.terminal.benchmarks import Figure, figure, serving

TILES = 300
CLIENTS = 8
USER, LIMITED, EDITOR = "commander", "district-310104", "planner"
EDITS, PATIENCE_S = 20, 10.0
CASES = (
    ("polygons", ("sub_compartment", "building", "green_space"), (14, 16)),
    ("points", ("sign", "street_tree"), (14, 16)),
)
LOW = (10, 11, 12)


def run(size: int) -> list[Figure]:
    """Draw random tiles where things are, uncached, then levels, then one tile from memory."""
    count = size or TILES
    with serving.server("bench-tiles", {"TWIN_TILE_CACHE_MB": "0"}) as cold:
        headers = serving.bearer(USER) | {"Accept-Encoding": "gzip"}
        made = [one for what in CASES for one in _drawn(cold, headers, count, *what)]
        made += _low(cold, headers, count)
    with serving.server("bench-tiles-kept") as warm:
        made += _kept(warm, headers)
        made.append(_stale(warm))
    made.append(_limited(count))
    return made


def _limited(count: int) -> Figure:
    """Return what a tile costs an account of one district, beside one of the whole city."""
    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, "sign")
    spent = []
    for user in (USER, LIMITED):
        who = actor(user)
        statement = repository.prepared(kind, who, 14, Wish())
        said = [repository.values(who, *t) for t in places(kind, 14, count)]
        spent.append(serving.limit(statement, said, rounds=3).cpu_ms)
    return figure("a tile for an account of one district, CPU", spent[1], "ms", spent[0])


def actor(user: str) -> Actor:
    """Return the actor of an account of this installation."""
    with db.engine("app").begin() as conn:
        row = identity.session(conn, identity.issue_token(conn, user, 1, "bench"))
        if row is None:
            raise NotFound(f"There is no account {user!r} here; run ./up first.")
        return identity.actor_of(conn, row)


def places(kind: kinds.Kind, zoom: int, count: int) -> list[tuple[int, int, int]]:
    """Return random tiles of a zoom in which there is something of a kind, the same in every run."""
    asked = text(
        f"select st_x(p), st_y(p) from (select st_pointonsurface(geom) p from {kind.topic}.{kind.kind} "
        "tablesample bernoulli (:share) repeatable (7) limit 40000) q"
    )
    with db.engine("app").connect() as conn:
        total = conn.scalar(text(f"select count(*) from {kind.topic}.{kind.kind}")) or 1
        rows = conn.execute(asked, {"share": min(100.0, 4_000_000 / total)}).all()
    found = sorted({tile_of(lon, lat, zoom) for lon, lat in rows})
    random.Random(7).shuffle(found)
    return found[:count]


def _path(kind: str, tile: tuple[int, int, int]) -> str:
    return "/tiles/{}/{}/{}/{}.mvt".format(kind, *tile)


def _drawn(
    on: serving.Server, headers: dict[str, str], count: int, what: str, names: Sequence[str],
    zooms: Sequence[int],
) -> list[Figure]:  # fmt: skip
    with db.engine("app").connect() as conn:
        known = kinds.catalogue(conn)
    who, made = actor(USER), []
    spent: dict[int, list[tuple[float, float]]] = {zoom: [] for zoom in zooms}
    for name in (n for n in names if n in known):
        for zoom in zooms:
            wanted = places(known[name], zoom, count)
            if not wanted:
                continue
            statement = repository.prepared(known[name], who, zoom, Wish())
            paths = [_path(name, t) for t in wanted]
            said = [repository.values(who, *t) for t in wanted]
            # One connection on either side: eight at once cost the database more by themselves.
            both = serving.beside(on, paths, headers, statement, said, clients=1)
            many = serving.measure(on, paths, headers, clients=CLIENTS)
            cost, label = both.ours.cpu_ms, f"{what} {name} z{zoom}"
            spent[zoom].append((cost, both.bare.cpu_ms))
            made.append(figure(f"{label}, CPU a tile", cost, "ms", both.bare.cpu_ms))
            made.append(figure(f"{label}, CPU a tile, {CLIENTS} clients", many.cpu_ms, "ms"))
            p95 = both.ours.driven.quantile(0.95)
            made.append(figure(f"{label}, one client, p95", p95, "ms"))
    for zoom in (z for z in zooms if spent[z]):
        ours, bare = (sum(one) / len(one) for one in zip(*spent[zoom], strict=True))
        made.append(figure(f"{what} z{zoom}, CPU a tile over these kinds", ours, "ms", bare))
    return made


def _low(on: serving.Server, headers: dict[str, str], count: int) -> list[Figure]:
    with db.engine("app").connect() as conn:
        known = kinds.catalogue(conn)
    made = []
    for name in (n for _, names, _ in CASES for n in names if n in known):
        for zoom in LOW:
            paths = [_path(name, t) for t in places(known[name], zoom, count)]
            if paths:
                done = serving.measure(on, paths, headers).driven
                made.append(
                    figure(f"{name} z{zoom}, whole picture, p95", done.quantile(0.95), "ms")
                )
    return made


def _stale(on: serving.Server) -> Figure:
    """Rename a sign through the API, again and again; how long its kept tile goes on saying the old."""
    client = httpx.Client(base_url=on.url, headers=serving.bearer(EDITOR), timeout=30)
    items = "/ogc/collections/sign/items"
    sign = client.get(items, params={"limit": 1}).raise_for_status().json()["features"][0]
    thing, name = f"{items}/{sign['id']}", sign["properties"]["name"]
    lon, lat = sign["geometry"]["coordinates"]
    tile = _path("sign", tile_of(lon, lat, 14))
    waited = []
    for said in (*(f"{name} {i}" for i in range(EDITS)), name):
        before = client.get(tile).headers["etag"]
        version = client.get(thing).headers["etag"]
        body = {"properties": {"name": said}}
        client.patch(thing, json=body, headers={"If-Match": version}).raise_for_status()
        began = time.perf_counter()
        while client.get(tile).headers["etag"] == before:
            if time.perf_counter() - began > PATIENCE_S:
                raise Unavailable("A changed thing does not come into its tile; is ./up running?")
            time.sleep(0.01)
        waited.append((time.perf_counter() - began) * 1000)
    return figure(f"kept tile stale after an edit, worst of {len(waited)}", max(waited), "ms", 1000)


def _kept(on: serving.Server, headers: dict[str, str]) -> list[Figure]:
    path = _path("base", tile_of(121.47, 31.23, 14))
    serving.drive(on.port, [path], headers)
    done = serving.drive(on.port, [path], headers, clients=CLIENTS, rounds=20_000)
    return [
        figure("kept tile, 8 clients", done.rate, "requests/s"),
        figure("kept tile, 8 clients, p95", done.quantile(0.95), "ms"),
    ]
