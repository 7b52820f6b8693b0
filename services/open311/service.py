"""Open311 GeoReport v2 over the event process: what a citizen may send and see."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from services.web.params import place
from twin import cases, intake, links, names
from twin.errors import BadRequest, NotFound
from twin.eventview import PROCESS, SILENT
from twin.scope import ANONYMOUS
from twin.settings import settings

SOURCE = "open311"
MAX_DESCRIPTION = 4000


def services(conn: Connection) -> list[dict[str, Any]]:
    """Return the service list: the declared categories."""
    said = cases.current(conn, PROCESS)["categories"]
    return [
        {
            "service_code": key,
            "service_name": kind["title"]["zh"],
            "description": kind["title"]["en"],
            "metadata": bool(kind.get("form")),
            "type": "realtime",
            "keywords": kind.get("keywords", ""),
            "group": kind["domain"],
        }
        for key, kind in said.items()
    ]


_DATATYPES = {"text": "text", "number": "number", "choice": "singlevaluelist", "flag": "singlevaluelist",
              "day": "datetime"}  # fmt: skip
_FLAG = ({"key": "true", "name": "是"}, {"key": "false", "name": "否"})


def definition(conn: Connection, service_code: str) -> dict[str, Any]:
    """Return what may be told besides of a service: its custom fields as attributes."""
    kind = cases.current(conn, PROCESS)["categories"].get(service_code)
    if kind is None:
        raise NotFound(f"service_code {service_code!r} is not in the service list.")
    attributes = [
        {
            "variable": True, "code": one["id"], "datatype": _DATATYPES[one["type"]],
            "required": one.get("required", False), "datatype_description": one.get("unit", ""),
            "order": i, "description": one["title"]["zh"],
            "values": [{"key": c["key"], "name": c["title"]["zh"]} for c in one.get("choices", ())]
            or (list(_FLAG) if one["type"] == "flag" else None),
        }
        for i, one in enumerate(kind.get("form", ()), 1)
    ]  # fmt: skip
    return {"service_code": service_code, "attributes": attributes}


def submit(conn: Connection, form: Mapping[str, str], once_key: str | None) -> dict[str, Any]:
    """Open an event from a citizen's report; media_url is kept as text and never fetched."""
    category = form.get("service_code", "")
    if category not in cases.current(conn, PROCESS)["categories"]:
        raise BadRequest(f"service_code {category!r} is not in the service list.")
    description = form.get("description", "").strip()
    if not description:
        raise BadRequest("description is missing: say in a few words what is wrong.")
    if len(description) > MAX_DESCRIPTION:
        raise BadRequest(f"description is longer than {MAX_DESCRIPTION} characters.")
    address = form.get("address_string", "").strip()[:200] or None
    # An address alone is a place that a person must still find on the map.
    lon, lat = (None, None) if address and "lat" not in form else _place(form)
    if lon is not None and lat is not None and cases.place_of(conn, lon, lat)[0] is None:
        raise BadRequest("This place lies outside the city; check lat and long (WGS-84).")
    fields = {
        k[10:-1]: v for k, v in form.items() if k.startswith("attribute[") and k.endswith("]")
    }
    who = " ".join(form.get(k, "").strip() for k in ("first_name", "last_name")).strip()
    taken = intake.take(
        conn,
        intake.Draft(
            source=SOURCE, source_id=hashlib.sha256(once_key.encode()).hexdigest()[:32] if once_key else None,
            category=category, description=description, lon=lon, lat=lat, address=address, fields=fields,
            more={
                "media_url": form.get("media_url", "")[:500] or None,
                "contact": (form.get("phone") or form.get("email") or "")[:100] or None,
                "contact_name": who[:60] or None, "device_id": form.get("device_id", "")[:64] or None,
            },
        ),
        actor=ANONYMOUS,
    )  # fmt: skip
    notice = "已收到，可凭编号查询办理情况"
    if taken.missing:
        notice = "已收到；位置还不明确，工作人员会核实"
    code = taken.case["code"]
    # With this link, and no other, the reporter answers questions and says what they think of the result.
    link = f"{settings().public_url}/report/{code}?k={links.proof(links.REPORTER, code)}"
    return {"service_request_id": code, "service_notice": f"{notice}：{link}", "account_id": None}


def _place(form: Mapping[str, str]) -> tuple[float, float]:
    try:
        lon, lat = float(form["long"]), float(form["lat"])
    except (KeyError, ValueError) as why:
        raise BadRequest("lat and long (WGS-84 degrees), or address_string, are needed.") from why
    return place(lon, lat)


def requests(
    conn: Connection,
    *,
    ids: list[str] | None,
    service_code: str | None,
    status: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    page: int = 1,
) -> list[dict[str, Any]]:
    """Return citizens' requests, newest first."""
    where = ["process = :process", "source = :source"]
    params: dict[str, Any] = {"process": PROCESS, "source": SOURCE, "limit": limit,
                              "skip": (page - 1) * limit}  # fmt: skip
    for name, value, sql in (
        ("ids", ids, "code = any(:ids)"),
        ("category", service_code, "category = :category"),
        ("start", start, "opened_at >= :start"),
        ("end", end, "opened_at <= :end"),
    ):
        if value is not None:
            where.append(sql)
            params[name] = value
    if status in ("open", "closed"):
        where.append(f"closed_at is {'' if status == 'open' else 'not '}null")
    rows = conn.execute(
        text(
            f'select {cases.COLUMNS} from twin."case" where {" and ".join(where)} '
            "order by opened_at desc limit :limit offset :skip"
        ),
        params,
    )
    return [_request(conn, dict(row._mapping)) for row in rows]


def request(conn: Connection, code: str) -> list[dict[str, Any]]:
    """Return one request; NotFound when there is none that citizens may see."""
    found = requests(
        conn, ids=[code], service_code=None, status=None, start=None, end=None, limit=1
    )
    if not found:
        raise NotFound("There is no request with this number.")
    return found


_STATE = text('select process, process_version, state from twin."case" where id = :id')


def _request(conn: Connection, case: dict[str, Any]) -> dict[str, Any]:
    said = cases.definition(conn, case)
    state = said["states"][case["state"]]
    if case["state"] == "merged" and case["parent"] is not None:
        # What was told twice is not done: it stands as the report stands to which it was joined.
        row = conn.execute(_STATE, {"id": case["parent"]}).one()
        state = cases.definition(conn, dict(row._mapping))["states"][row.state]
    kind = said["categories"].get(case["category"], {})
    place_names = names.things(conn)
    where = [place_names.get(case[k] or "", "") for k in ("district", "street")]
    return {
        "service_request_id": case["code"],
        "status": "closed" if state.get("final") else "open",
        "status_notes": state["title"]["zh"],
        "service_notice": None,
        "service_name": kind.get("title", {}).get("zh", case["category"]),
        "service_code": case["category"],
        "description": case["data"].get("description", ""),
        "agency_responsible": "上海市绿化和市容管理局",
        "requested_datetime": case["opened_at"].isoformat(),
        "updated_datetime": (case["closed_at"] or case["entered_at"]).isoformat(),
        "expected_datetime": case["due_at"].isoformat() if case["due_at"] else None,
        "address": case["data"].get("address") or "".join(where),
        "address_id": None,
        "zipcode": None,
        "lat": case["lat"],
        "long": case["lon"],
        "media_url": case["data"].get("media_url"),
    }


def updates(conn: Connection, code: str) -> list[dict[str, Any]]:
    """Return what became of a request, step by step, without names of staff."""
    request(conn, code)
    row = conn.execute(text('select id from twin."case" where code = :c'), {"c": code}).one()
    steps = []
    for entry in cases.story(conn, row.id):
        said = cases.definition(conn, entry.after)
        state = said["states"][entry.after["state"]]
        if entry.action in SILENT:
            continue
        steps.append(
            {
                "update_id": f"{code}/{entry.version}",
                "service_request_id": code,
                "status": "closed" if state.get("final") else "open",
                "updated_datetime": entry.at.isoformat(),
                "description": state["title"]["zh"],
            }
        )
    return steps
