"""A process as BPMN 2.0, with its drawing: what other tools can open and show. Export only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from sqlalchemy import Connection

from twin import declarations

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DDI = "http://www.omg.org/spec/DD/20100524/DI"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
TYPE = "application/bpmn+xml"
SPACE = "urn:lvrong-twin:processes"
BOX, ROUND, STEP_X, STEP_Y, EDGE = (120, 64), (36, 36), 220, 132, 60
Doc = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a node is drawn."""

    x: float
    y: float
    w: float
    h: float

    def side(self, other: Place) -> tuple[float, float]:
        """Return the point of the edge that looks at another node."""
        if other.x > self.x + self.w:
            return self.x + self.w, self.y + self.h / 2
        if other.x + other.w < self.x:
            return self.x + self.w / 2, self.y + self.h
        below = other.y > self.y
        return self.x + self.w / 2, self.y + self.h if below else self.y


def export(conn: Connection, key: str, version: int | None) -> bytes:
    """Return a published version of a process as BPMN."""
    number = version or declarations.newest(conn, "process", key)[2]
    return written(declarations.version(conn, "process", key, number) | {"_version": number})


def written(doc: Doc) -> bytes:
    """Return a definition as BPMN: a task for each state, a flow for each way, a timer for each deadline."""
    for prefix, space in (("bpmn", BPMN), ("bpmndi", DI), ("dc", DC), ("di", DDI), ("xsi", XSI)):
        ET.register_namespace(prefix, space)
    root = ET.Element(
        _q("definitions"),
        {
            "id": "definitions",
            "targetNamespace": SPACE,
            "exporter": "Lvrong Twin",
            "exporterVersion": str(doc.get("_version", 0)),
        },
    )
    process = ET.SubElement(
        root,
        _q("process"),
        {"id": _id(doc["key"]), "isExecutable": "false", "name": doc["title"]["zh"]},
    )
    places = _places(doc)
    flows = _flows(doc)
    _nodes(process, doc, flows)
    for one in flows:
        said = ET.SubElement(
            process,
            _q("sequenceFlow"),
            {k: one[k] for k in ("id", "name", "sourceRef", "targetRef")},
        )
        if one["guard"]:
            condition = ET.SubElement(
                said,
                _q("conditionExpression"),
                {f"{{{XSI}}}type": "bpmn:tFormalExpression", "language": "https://cel.dev"},
            )
            condition.text = one["guard"]
    _drawing(root, doc, places, flows)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + written + b"\n"


def _q(name: str, space: str = BPMN) -> str:
    return f"{{{space}}}{name}"


def _id(name: str) -> str:
    return "n_" + "".join(c if c.isalnum() else "_" for c in name)


def _flows(doc: Doc) -> list[dict[str, str]]:
    """Return the ways: from the start to the first state, and each action from each of its states."""
    found = [
        {
            "id": "f_start",
            "name": "",
            "sourceRef": "start",
            "targetRef": _id(doc["initial"]),
            "guard": "",
        }
    ]
    for name, action in doc["actions"].items():
        for state in action["from"]:
            target = state if action["to"] == "same" else action["to"]
            found.append(
                {
                    "id": f"f_{name}_{state}",
                    "name": action["title"]["zh"],
                    "sourceRef": _id(state),
                    "targetRef": _id(target),
                    "guard": str(action.get("guard") or action.get("auto") or ""),
                }
            )
    return found


def _nodes(process: ET.Element, doc: Doc, flows: list[dict[str, str]]) -> None:
    start = ET.SubElement(process, _q("startEvent"), {"id": "start", "name": ""})
    ET.SubElement(start, _q("outgoing")).text = "f_start"
    for name, state in doc["states"].items():
        kind = "endEvent" if _ends(doc, name) else "userTask"
        node = ET.SubElement(process, _q(kind), {"id": _id(name), "name": state["title"]["zh"]})
        for tag, ref in (("incoming", "targetRef"), ("outgoing", "sourceRef")):
            for one in flows:
                if one[ref] == _id(name):
                    ET.SubElement(node, _q(tag)).text = one["id"]
    for name, limit in doc.get("deadlines", {}).items():
        timer = ET.SubElement(
            process,
            _q("boundaryEvent"),
            {
                "id": f"t_{name}",
                "attachedToRef": _id(name),
                "cancelActivity": "false",
                "name": f"{limit['normal']}（{limit.get('clock', 'wall')}）",
            },
        )
        said = ET.SubElement(timer, _q("timerEventDefinition"), {"id": f"td_{name}"})
        duration = ET.SubElement(
            said, _q("timeDuration"), {f"{{{XSI}}}type": "bpmn:tFormalExpression"}
        )
        duration.text = _iso(str(limit["normal"]))


def _ends(doc: Doc, state: str) -> bool:
    """Tell whether nothing leads on from a state: one that can be taken back is a task in BPMN."""
    final = doc["states"][state].get("final", False)
    return bool(final and not any(state in a["from"] for a in doc["actions"].values()))


def _iso(span: str) -> str:
    number, unit = span[:-1], span[-1]
    return {"m": f"PT{number}M", "h": f"PT{number}H", "d": f"P{number}D"}.get(unit, "PT0M")


def _places(doc: Doc) -> dict[str, Place]:
    """Return where each node stands: a column a stage, the states of a stage below each other."""
    rows: dict[int, int] = {}
    found = {"start": Place(EDGE, EDGE + (BOX[1] - ROUND[1]) / 2, *ROUND)}
    for name, state in doc["states"].items():
        stage = int(state["stage"])
        row = rows.get(stage, 0)
        rows[stage] = row + 1
        w, h = ROUND if _ends(doc, name) else BOX
        x = EDGE + 90 + (stage - 1) * STEP_X + (BOX[0] - w) / 2
        found[_id(name)] = Place(x, EDGE + row * STEP_Y + (BOX[1] - h) / 2, w, h)
    return found


def _drawing(
    root: ET.Element, doc: Doc, places: dict[str, Place], flows: list[dict[str, str]]
) -> None:
    plane = ET.SubElement(
        ET.SubElement(root, _q("BPMNDiagram", DI), {"id": "diagram"}),
        _q("BPMNPlane", DI),
        {"id": "plane", "bpmnElement": _id(doc["key"])},
    )
    for name, place in places.items():
        shape = ET.SubElement(plane, _q("BPMNShape", DI), {"id": f"s_{name}", "bpmnElement": name})
        _bounds(shape, place.x, place.y, place.w, place.h)
    for name in doc.get("deadlines", {}):
        at = places[_id(name)]
        shape = ET.SubElement(
            plane, _q("BPMNShape", DI), {"id": f"st_{name}", "bpmnElement": f"t_{name}"}
        )
        _bounds(shape, at.x + at.w - 30, at.y + at.h - 18, *ROUND)
    for one in flows:
        edge = ET.SubElement(
            plane, _q("BPMNEdge", DI), {"id": f"e_{one['id']}", "bpmnElement": one["id"]}
        )
        a, b = places[one["sourceRef"]], places[one["targetRef"]]
        ends = (
            [a.side(b), b.side(a)]
            if a is not b
            else [(a.x + 20, a.y), (a.x + 20, a.y - 24), (a.x + 60, a.y - 24), (a.x + 60, a.y)]
        )
        for x, y in ends:
            ET.SubElement(edge, _q("waypoint", DDI), {"x": f"{x:g}", "y": f"{y:g}"})


def _bounds(shape: ET.Element, x: float, y: float, w: float, h: float) -> None:
    ET.SubElement(
        shape,
        _q("Bounds", DC),
        {"x": f"{x:g}", "y": f"{y:g}", "width": f"{w:g}", "height": f"{h:g}"},
    )
