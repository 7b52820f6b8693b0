"""Bad input while another client is served: how soon it is refused, and what the other one feels."""

from __future__ import annotations

import concurrent.futures
import json
import time

import httpx

from twin.errors import Unavailable
from ui.terminal.benchmarks import Figure, figure, serving

ROUNDS, GOAL_MS = 20, 50.0
USER, EDITOR = "commander", "planner"
ITEMS = "/ogc/collections/toilet/items"
_SUM = "+".join(["1"] * 60)
FILTERS = {
    "30 brackets, unclosed": "(" * 30 + "name = 'a'",
    "30 brackets, broken inside": "(" * 30 + "name =" + ")" * 30,
    "5,000 brackets, unclosed": "(" * 5000,
    "5,000 brackets, broken inside": "(" * 5000 + "name =" + ")" * 5000,
    "a long text broken at its end": "(" * 8 + " and ".join([f"num = {_SUM}"] * 20) + " and " + ")" * 8,
    "brackets behind a shape": "num = POINT((((((" + _SUM + "+))))))",
    "deep JSON": '{"op":"not","args":[' * 900 + "]}" * 900,
    "a long chain": "num = " + "+".join(["1"] * 1900),
}  # fmt: skip
ADDRESSES = {
    "a bound": f"{ITEMS}?limit=0", "a wrong CRS": f"{ITEMS}?crs=urn:x:none",
    "a wrong box": f"{ITEMS}?bbox=1,2,3", "a wrong cursor": f"{ITEMS}?cursor=zzz",
    "a wrong moment": f"{ITEMS}?datetime=yesterday", "a tile that is none": "/tiles/sign/14/99999/0.mvt",
    "a zoom that is none": "/tiles/sign/99/0/0.mvt", "a wrong page of events": "/api/v1/events?limit=0",
}  # fmt: skip


def run(size: int) -> list[Figure]:
    """Send each bad request `size` times (20) while one client pages through the things."""
    rounds = size or ROUNDS
    with (
        serving.server("bench-refusals") as on,
        httpx.Client(base_url=on.url, headers=serving.bearer(USER), timeout=30) as client,
        httpx.Client(base_url=on.url, headers=serving.bearer(EDITOR), timeout=30) as editor,
        concurrent.futures.ThreadPoolExecutor(1) as beside,
    ):
        pages = [
            f"{ITEMS}?limit=10&bbox=121.{i:02},31.1,121.{i + 1:02},31.4" for i in range(10, 90)
        ]
        alone = serving.drive(on.port, pages, serving.bearer(USER), rounds=4)
        going = beside.submit(serving.drive, on.port, pages, serving.bearer(USER), rounds=12)
        spent: dict[str, list[float]] = {}
        while not going.done() or min(map(len, spent.values())) < rounds:
            for name, asked in _bad(client).items():
                spent.setdefault(name, []).append(_refused(client, asked))
            spent.setdefault("a wrong ETag", []).append(_refused(editor, _stale(editor)))
        served = going.result()
    made = [
        figure(f"{name}: refused, p95", sorted(said)[int(len(said) * 0.95)], "ms", GOAL_MS)
        for name, said in spent.items()
    ]
    p95 = served.quantile(0.95)
    made.append(figure("the other client meanwhile, p95", p95, "ms", alone.quantile(0.95)))
    return made


def _bad(client: httpx.Client) -> dict[str, httpx.Request]:
    made = {
        name: client.build_request(
            "GET", ITEMS, params={"filter": said, "filter-lang": "cql2-json" if said[0] == "{" else "cql2-text"}
        )
        for name, said in FILTERS.items()
    }  # fmt: skip
    return made | {name: client.build_request("GET", path) for name, path in ADDRESSES.items()}


def _stale(client: httpx.Client) -> httpx.Request:
    one = client.get(ITEMS, params={"limit": 1}).raise_for_status().json()["features"][0]
    return client.build_request(
        "PATCH", f"{ITEMS}/{one['id']}", headers={"If-Match": '"0"'},
        content=json.dumps({"properties": {"name": "x"}}),
    )  # fmt: skip


def _refused(client: httpx.Client, asked: httpx.Request) -> float:
    began = time.perf_counter()
    said = client.send(asked)
    spent = (time.perf_counter() - began) * 1000
    problem = said.headers.get("content-type", "").startswith("application/problem+json")
    if not (400 <= said.status_code < 500 and problem and said.json().get("code")):
        raise Unavailable(
            f"{str(asked.url)[:200]} answered {said.status_code}: a bad request was not refused."
        )
    return spent
