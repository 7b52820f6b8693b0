"""BPMN 2.0: every process is written whole and drawn; scheduling is tried over what was sent."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from services.policies import bpmn
from tests.services.conftest import Api
from twin import declarations, scheduling

M, DI, DDI = (f"{{{space}}}" for space in (bpmn.BPMN, bpmn.DI, bpmn.DDI))
PROCESSES = [declarations.read("process", p)[0] for p in declarations.shipped_files("processes")]


@pytest.mark.parametrize("doc", PROCESSES, ids=lambda d: d["key"])
def test_every_state_way_and_deadline_is_there_and_drawn(doc: dict[str, Any]) -> None:
    root = ET.fromstring(bpmn.written(doc))
    process = root.find(f"{M}process")
    assert process is not None and process.get("isExecutable") == "false"
    nodes = {e.get("id") for e in process if e.tag != f"{M}sequenceFlow"}
    flows = list(process.iter(f"{M}sequenceFlow"))
    assert {f"n_{s}" for s in doc["states"]} <= nodes
    assert len(flows) == 1 + sum(len(a["from"]) for a in doc["actions"].values())
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids)), "an id stands for one thing"
    for flow in flows:
        assert {flow.get("sourceRef"), flow.get("targetRef")} <= nodes
    told = {e.text for e in process.iter() if e.tag in (f"{M}incoming", f"{M}outgoing")}
    assert told == {f.get("id") for f in flows}
    shapes = {s.get("bpmnElement") for s in root.iter(f"{DI}BPMNShape")}
    assert shapes == nodes
    for edge in root.iter(f"{DI}BPMNEdge"):
        assert len(edge.findall(f"{DDI}waypoint")) >= 2
    timers = {t.get("attachedToRef") for t in process.iter(f"{M}boundaryEvent")}
    assert timers == {f"n_{s}" for s in doc.get("deadlines", {})}
    ends = [e for e in process if e.tag == f"{M}endEvent"]
    assert all(e.find(f"{M}outgoing") is None for e in ends), "nothing leads out of an end"


def test_the_door_hands_it_out(api: Api) -> None:
    got = api.get("/api/v1/policies/process/event.city/bpmn")
    assert got.status_code == 200 and got.headers["content-type"].startswith("application/bpmn+xml")
    assert "event.city.bpmn" in got.headers["content-disposition"]
    ET.fromstring(got.content)
    assert api.get("/api/v1/policies/process/no.such/bpmn").status_code == 404


def test_scheduling_is_tried_over_what_was_sent(api: Api) -> None:
    for n in range(3):
        body = {
            "category": "litter",
            "description": "x",
            "lon": 121.4712 + 0.002 * n,
            "lat": 31.2211,
        }
        code = api.post("/api/v1/events", body).json()["code"]
        best = api.get(f"/api/v1/events/{code}/proposals").json()["crews"][0]
        assert api.act(code, "dispatch", crew=best["code"]).status_code == 200
    doc = scheduling.shipped()[0]
    path = "/api/v1/policies/scheduling/city/simulate"
    same = api.post(path, {"document": doc, "days": 2}, "commander").json()
    assert (same["read"], same["changed"]) == (3, 0)
    never = doc | {
        "profiles": {k: v | {"never": ["secondary"]} for k, v in doc["profiles"].items()}
    }
    other = doc | {"modes": [{"when": "true", "mode": "auto"}]}
    said = api.post(path, {"document": other, "days": 2}, "commander").json()
    assert (said["changed"], said["modes"]) == (3, 3)
    assert said["moved"][0]["to"].endswith("auto") and said["moved"][0]["lon"] > 121
    assert api.post(path, {"document": never, "days": 2}, "dispatcher").status_code == 403
    broken = api.post(path, {"document": doc | {"mode": "maybe"}, "days": 2}, "commander")
    assert broken.status_code == 422
