"""Events handed on to partners: which, under which service, and what of them is told; never who reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from twin import declarations, policies, rules
from twin.policies import Doc, Fault
from twin.process import rows

KIND_OF = "outgoing"
MAX_TOLD = 3_500


def running(conn: Connection, key: str) -> dict[str, Any]:
    """Return what is declared of a partner."""
    _, name, number = declarations.newest(conn, KIND_OF, key)
    return declarations.kept(conn, KIND_OF, name, number)


def fits(doc: Doc, case: Mapping[str, Any]) -> bool:
    """Tell whether a case is one that the partner gets; RuleError when the rule is broken."""
    c = dict(rows.Named(case))
    c["holder"] = c["holder"] or ""
    return rules.holds(doc["when"], {"c": c, "p": {}, "actor": {}})


def request(doc: Doc, case: Mapping[str, Any], token: str) -> dict[str, str]:
    """Return a case as an Open311 request; our code and token stand in the words, so it is found again."""
    data = case["data"]
    tell = doc.get("tell", ())
    words = [data.get("description") or case["title"]]
    if "title" in tell and case["title"] not in words[0]:
        words.insert(0, case["title"])
    if "severity" in tell:
        words.append(f"级别 {case['severity']}")
    if "thing" in tell and data.get("thing_name"):
        words.append(f"设施 {data['thing_name']}")
    service = doc["services"].get(case["category"]) or doc.get("else") or case["category"]
    said = {
        "service_code": service,
        "description": f"{'；'.join(words)[:MAX_TOLD]} [{case['code']} {token}]",
    }
    if case["lon"] is not None:
        said |= {"lat": f"{case['lat']:.7f}", "long": f"{case['lon']:.7f}"}
    if "address" in tell and data.get("address"):
        said["address_string"] = str(data["address"])[:200]
    if doc.get("jurisdiction_id"):
        said["jurisdiction_id"] = doc["jurisdiction_id"]
    return said


def _faults(doc: Doc) -> list[Fault]:
    try:
        rules.compile_guard(doc["when"])
    except rules.RuleError as why:
        return [(("when",), why.detail)]
    return []


def _known_faults(conn: Connection, doc: Doc) -> list[Fault]:
    process = declarations.current(conn, "process").get(doc["process"])
    if process is None:
        return [(("process",), f"no process is called {doc['process']}")]
    return [
        (("services", name), f"no category is called {name}")
        for name in doc["services"]
        if name not in process.get("categories", {})
    ]


policies.register(
    policies.Kind(
        kind=KIND_OF, folder="outgoing", title={"zh": "对外转办", "en": "Handed on to partners"},
        faults=_faults, known=_known_faults,
    )
)  # fmt: skip
