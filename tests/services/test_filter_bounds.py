"""Filters that would block or break: refused at once, while others are served; injected text stays text."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.services.conftest import Api

ITEMS = "/ogc/collections/toilet/items"
CLOSED_BUT_BROKEN = {
    "thirty brackets unclosed": "(" * 30 + "name = 'a'",
    "thirty brackets closed, broken inside": "(" * 30 + "name =" + ")" * 30,
    "five thousand brackets unclosed": "(" * 5000,
    "five thousand brackets closed, broken inside": "(" * 5000 + "name =" + ")" * 5000,
    "eight brackets around a long broken text": "(" * 8
    + " and ".join(["num = " + "+".join(["1"] * 60)] * 20)
    + " and "
    + ")" * 8,
    "brackets behind the name of a shape": "num = POINT((((((("
    + "+".join(["1"] * 1500)
    + "+)))))))",
    "brackets after a shape": "num = POINT(1 2)+(((((((" + "+".join(["1"] * 1500) + "+)))))))",
    "deep JSON": '{"op":"not","args":[' * 900 + "]}" * 900,
    "deep arrays": '{"op":"=","args":' + "[" * 8000 + "]" * 8000 + "}",
    "wide JSON": json.dumps({"op": "or", "args": [{"op": "=", "args": [1, 1]}] * 700}),
    "a long chain": "num = " + "+".join(["1"] * 1900),
    "a huge number": "num = 1e999",
    "many numbers": "num in (" + ",".join(["1"] * 3000) + ")",
}


@pytest.mark.parametrize("said", CLOSED_BUT_BROKEN.values(), ids=CLOSED_BUT_BROKEN.keys())
def test_a_filter_beyond_the_bounds_is_a_problem(api: Api, said: str) -> None:
    lang = "cql2-json" if said.startswith("{") else "cql2-text"
    done = api.get(ITEMS, **{"filter": said, "filter-lang": lang})
    assert done.status_code == 400, done.text
    assert done.headers["content-type"] == "application/problem+json"
    assert done.json()["code"] in ("filter_invalid", "filter_too_complex")


def test_another_client_is_served_meanwhile(api: Api) -> None:
    """One client keeps sending the worst that is let through to the parser; the other's pages come."""
    stop, broken = threading.Event(), []

    def flood() -> None:
        worst = "(" * 4 + " and ".join(["num = " + "+".join(["1"] * 60)] * 20) + " and " + ")" * 4
        while not stop.is_set():
            broken.append(api.get(ITEMS, filter=worst).status_code)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        while not broken and flooding.is_alive():
            time.sleep(0.005)
        served = [api.get(ITEMS, limit=5).status_code for _ in range(20)]
        during = len(broken)
    finally:
        stop.set()
        flooding.join()
    assert served == [200] * 20
    assert set(broken) == {400} and during > 1


INJECTED = [
    "'; drop table sanitation.toilet; --",
    "' or '1'='1",
    "') or ('1'='1",
    "%' union select password from twin.account --",
    "\\'; select pg_sleep(5); --",
    "{{7*7}}${7*7}",
    "x%s%(name)s:name",
    "a\\x00b",
    "％＇ＯＲ＇１＇＝＇１",
    "__import__('os').system('true')",
    "$$; select 1; $$",
    "/**/or/**/1=1",
]


@pytest.mark.parametrize("said", INJECTED)
def test_injected_text_is_only_text(api: Api, said: str) -> None:
    quoted = said.replace("'", "''")
    asked: list[dict[str, Any]] = [
        {"filter": f"name = '{quoted}'"},
        {"filter": f"name like '{quoted}'"},
        {"filter": said},
        {"filter": json.dumps({"op": "=", "args": [{"property": "name"}, said]}), "filter-lang": "cql2-json"},
        {"filter": json.dumps({"op": "=", "args": [{"property": said}, 1]}), "filter-lang": "cql2-json"},
        {"filter": json.dumps({"op": said, "args": [1, 1]}), "filter-lang": "cql2-json"},
        {"name": said}, {"sortby": said}, {"properties": said}, {"bbox": said}, {"datetime": said},
        {"crs": said}, {"bbox-crs": said, "bbox": "1,2,3,4"}, {"filter-crs": said, "filter": "true"},
        {"after": said}, {"limit": said}, {"f": said}, {said: "1"},
    ]  # fmt: skip
    for params in asked:
        done = api.get(ITEMS, **params)
        assert done.status_code in (200, 400), (params, done.text)
        if done.status_code == 200:
            assert done.json()["numberMatched"] == 0, params
        else:
            assert "sql" not in done.text.lower().replace("cql2", "")
    for path in (f"{ITEMS}/{said}", f"/ogc/collections/{said}/items"):
        assert api.http.get(path, headers=api.headers("dispatcher")).status_code in (404, 405)
    assert api.get(ITEMS, limit=1).json()["numberMatched"] == 190
