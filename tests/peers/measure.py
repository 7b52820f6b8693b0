"""Measure tipg and pygeoapi beside our own doors: same tables, same boxes and tiles, one run.

They are installed in an environment of their own and stay out of our dependencies:

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install tipg pygeoapi uvicorn uvloop httptools psycopg2-binary
    .venv/bin/python -m tests.peers.measure --python /tmp/peers/bin/python

Each server runs as one process with uvloop and reads as the role `twin_tiles` (no parallel workers,
no JIT), our own with accounts and scope on and its tile cache off. Prints JSON: CPU per request of
server and database, and requests per second of eight clients, each as so many times what the peer
brings, from turns of both on the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from twin import db, kinds
from twin.kinds import Kind
from twin.settings import settings
from ui.terminal.benchmarks import features, serving, tiles

START_S = 120.0
POLYGONS = ("building", "sub_compartment")
POINTS = ("street_tree", "sign")
USER = "commander"


def main() -> None:
    """Measure and print."""
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--python", required=True, help="of the environment of the peers")
    said.add_argument("--count", type=int, default=200, help="different requests of each kind")
    said.add_argument("--turns", type=int, default=3)
    said.add_argument("--only", nargs="*", default=["tipg", "pygeoapi"])
    given = said.parse_args()
    with db.engine("app").connect() as conn:
        known = kinds.catalogue(conn)
    chosen = [next(known[n] for n in names if n in known) for names in (POLYGONS, POINTS)]
    made = {}
    with serving.server("peers-ours", {"TWIN_TILE_CACHE_MB": "0"}) as ours:
        own = _ours(chosen, given.count)
        for name in given.only:
            start, ask = PEERS[name]
            with start(given.python, chosen) as theirs:
                made[name] = _compared(ours, own, theirs, ask(chosen, given.count), given.turns)
    json.dump(made, sys.stdout, indent=1)


Asked = dict[str, list[str]]


def _compared(
    ours: serving.Server, own: Asked, theirs: serving.Server, foreign: Asked, turns: int
) -> dict[str, Any]:
    """Ask both in turns; the turn in the middle counts, and by how much ours does more for less."""
    made = {}
    for what, paths in own.items():
        pairs = []
        for _ in range(turns):
            mine = _asked(ours, serving.bearer(USER), what, paths)
            pairs.append((mine, _asked(theirs, {}, what, foreign[what])))
        pairs.sort(key=lambda pair: pair[0]["rate"] / pair[1]["rate"])
        mine, other = pairs[len(pairs) // 2]
        made[what] = {
            "ours": mine, "theirs": other,
            "cpu": round(other["cpu_ms"] / mine["cpu_ms"], 2),
            "rate": round(mine["rate"] / other["rate"], 2),
        }  # fmt: skip
        print(what, made[what], file=sys.stderr, flush=True)
    return made


def _asked(
    on: serving.Server, headers: dict[str, str], what: str, paths: list[str]
) -> dict[str, float]:
    many = serving.measure(on, paths, headers, clients=8)
    driven = many.driven
    good = driven.statuses.get(200, 0) + driven.statuses.get(204, 0)
    if good < len(paths):
        print(f"{on.name}: {what}: {dict(driven.statuses)}", file=sys.stderr)
    return {"cpu_ms": round(many.cpu_ms, 3), "p50_ms": round(driven.median, 2),
            "p95_ms": round(driven.quantile(0.95), 2), "rate": round(driven.rate, 1),
            "kb": round(driven.bytes / len(paths) / 1024, 1)}  # fmt: skip


def _items(kind: Kind, count: int, path: str, **more: str) -> Asked:
    return {
        f"items {kind.kind} {limit}": [
            f"{path}?{urlencode({**query, **more})}" for query in features.boxes(kind, count, limit)
        ]
        for limit in (100, 1000)
    }


def _tiles(kind: Kind, count: int, path: str) -> Asked:
    return {
        f"tiles {kind.kind} z{zoom}": [
            path.format(z=z, x=x, y=y) for z, x, y in tiles.places(kind, zoom, count)
        ]
        for zoom in (14, 16)
    }


def _ours(chosen: list[Kind], count: int) -> Asked:
    made: Asked = {}
    for kind in chosen:
        made |= _items(kind, count, f"/ogc/collections/{kind.kind}/items")
        made |= _tiles(kind, count, f"/tiles/{kind.kind}/{{z}}/{{x}}/{{y}}.mvt")
    return made


def _tipg(chosen: list[Kind], count: int) -> Asked:
    made: Asked = {}
    for kind in chosen:
        base = f"/collections/{kind.topic}.{kind.kind}"
        made |= _items(kind, count, f"{base}/items", f="geojson")
        made |= _tiles(kind, count, f"{base}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}")
    return made


def _pygeoapi(chosen: list[Kind], count: int) -> Asked:
    made: Asked = {}
    for kind in chosen:
        made |= _items(kind, count, f"/collections/{kind.kind}/items", f="json")
    return made


def _dsn(name: str) -> str:
    plain = settings().dsn("tiles").replace("postgresql+psycopg://", "postgresql://")
    return f"{plain}?application_name={name}"


@contextlib.contextmanager
def _running(
    name: str, command: list[str], port: int, env: dict[str, str], ready: str
) -> Iterator[serving.Server]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=log)
        try:
            _wait(process, port, ready, log)
            yield serving.Server(name, port, process)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, path: str, log: Any) -> None:
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                if answer.status == 200:
                    return
        except (OSError, urllib.error.URLError):
            time.sleep(0.3)
    log.seek(0)
    raise SystemExit(f"a peer does not start:\n{log.read()[-3000:].decode(errors='replace')}")


@contextlib.contextmanager
def _start_tipg(python: str, chosen: list[Kind]) -> Iterator[serving.Server]:
    port = serving.free_port()
    env = {
        "DATABASE_URL": _dsn("peers-tipg"), "PYTHONPATH": "",
        "TIPG_DB_SCHEMAS": json.dumps(sorted({k.topic for k in chosen})),
        "TIPG_DB_TABLES": json.dumps([f"{k.topic}.{k.kind}" for k in chosen]),
        "TIPG_DB_FUNCTION_SCHEMAS": "[]", "TIPG_DB_SPATIAL_EXTENT": "FALSE",
        "TIPG_DB_DATETIME_EXTENT": "FALSE",
    }  # fmt: skip
    command = [python, "-m", "uvicorn", "tipg.main:app", "--host", "127.0.0.1", "--port", str(port),
               "--log-level", "warning"]  # fmt: skip
    with _running("peers-tipg", command, port, env, "/healthz") as server:
        yield server


@contextlib.contextmanager
def _start_pygeoapi(python: str, chosen: list[Kind]) -> Iterator[serving.Server]:
    port = serving.free_port()
    with tempfile.TemporaryDirectory() as folder:
        config, described = Path(folder) / "config.yml", Path(folder) / "openapi.yml"
        config.write_text(json.dumps(_config(port, chosen)), encoding="utf-8")
        env = {"PYGEOAPI_CONFIG": str(config), "PYGEOAPI_OPENAPI": str(described),
               "PGAPPNAME": "peers-pygeoapi", "PYTHONPATH": ""}  # fmt: skip
        made = [
            python,
            "-m",
            "pygeoapi",
            "openapi",
            "generate",
            str(config),
            "--output-file",
            str(described),
        ]
        done = subprocess.run(
            made, env={**os.environ, **env}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            # Some versions have no __main__: the command stands beside the interpreter.
            made[:3] = [str(Path(python).with_name("pygeoapi"))]
            subprocess.run(made, env={**os.environ, **env}, check=True, capture_output=True)
        command = [python, "-m", "uvicorn", "pygeoapi.starlette_app:APP", "--host", "127.0.0.1",
                   "--port", str(port), "--log-level", "warning"]  # fmt: skip
        with _running("peers-pygeoapi", command, port, env, "/conformance?f=json") as server:
            yield server


def _config(port: int, chosen: list[Kind]) -> dict[str, Any]:
    config = settings()
    data = {"host": "127.0.0.1", "port": config.db_port, "dbname": "twin", "user": "twin_tiles",
            "password": config.secret("db-tiles")}  # fmt: skip
    contact = {"name": "-", "url": "http://127.0.0.1", "email": "-"}
    return {
        "server": {"bind": {"host": "127.0.0.1", "port": port}, "url": f"http://127.0.0.1:{port}",
                   "mimetype": "application/json; charset=UTF-8", "encoding": "utf-8", "language": "en-US",
                   "map": {"url": "-", "attribution": "-"},
                   "limits": {"default_items": 100, "max_items": 10000}},
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {"title": "-", "description": "-", "keywords": ["-"],
                               "keywords_type": "theme", "terms_of_service": "-", "url": "http://127.0.0.1"},
            "license": {"name": "-", "url": "http://127.0.0.1"},
            "provider": {"name": "-", "url": "http://127.0.0.1"}, "contact": contact,
        },
        "resources": {
            kind.kind: {
                "type": "collection", "title": kind.kind, "description": kind.kind, "keywords": ["-"],
                "links": [],
                "extents": {"spatial": {"bbox": [120, 30, 123, 32],
                                        "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}},
                "providers": [{"type": "feature", "name": "PostgreSQL",
                               "data": {**data, "search_path": [kind.topic, "public"]},
                               "id_field": "id", "table": kind.kind, "geom_field": "geom"}],
            }
            for kind in chosen
        },
    }  # fmt: skip


PEERS: dict[str, tuple[Any, Any]] = {
    "tipg": (_start_tipg, _tipg), "pygeoapi": (_start_pygeoapi, _pygeoapi),
}  # fmt: skip

if __name__ == "__main__":
    main()
