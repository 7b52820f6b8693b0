"""Open311 GeoReport v2 over the event process: what a citizen may send and see."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from services.web.params import place
from twin import cases, names
from twin.errors import BadRequest, NotFound
from twin.eventview import PROCESS
from twin.scope import ANONYMOUS

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
            "metadata": False,
            "type": "realtime",
            "keywords": kind.get("keywords", ""),
            "group": kind["domain"],
        }
        for key, kind in said.items()
    ]


def submit(conn: Connection, form: Mapping[str, str], once_key: str | None) -> dict[str, Any]:
    """Open an event from a citizen's report; media_url is kept as text and never fetched."""
    lon, lat = _place(form)
    category = form.get("service_code", "")
    said = cases.current(conn, PROCESS)["categories"]
    if category not in said:
        raise BadRequest(f"service_code {category!r} is not in the service list.")
    description = form.get("description", "").strip()
    if not description:
        raise BadRequest("description is missing: say in a few words what is wrong.")
    if len(description) > MAX_DESCRIPTION:
        raise BadRequest(f"description is longer than {MAX_DESCRIPTION} characters.")
    source_id = hashlib.sha256(once_key.encode()).hexdigest()[:32] if once_key else None
    case = cases.open_case(
        conn,
        PROCESS,
        actor=ANONYMOUS,
        category=category,
        title=said[category]["title"]["zh"],
        lon=lon,
        lat=lat,
        source=SOURCE,
        source_id=source_id,
        data={
            "description": description,
            "address": form.get("address_string", "")[:200] or None,
            "media_url": form.get("media_url", "")[:500] or None,
            "reporter": "citizen",
            "reporter_kind": "citizen",
            "photos": [],
        },
    )
    if case["district"] is None:
        raise BadRequest("This place lies outside the city; check lat and long (WGS-84).")
    return {"service_request_id": case["code"], "service_notice": "已收到，可凭编号查询办理情况"}


def _place(form: Mapping[str, str]) -> tuple[float, float]:
    try:
        lon, lat = float(form["long"]), float(form["lat"])
    except (KeyError, ValueError) as why:
        raise BadRequest("lat and long (WGS-84 degrees) are needed.") from why
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
) -> list[dict[str, Any]]:
    """Return citizens' requests, newest first."""
    where = ["process = :process", "source = :source"]
    params: dict[str, Any] = {"process": PROCESS, "source": SOURCE, "limit": limit}
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
            "order by opened_at desc limit :limit"
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


def _request(conn: Connection, case: dict[str, Any]) -> dict[str, Any]:
    said = cases.definition(conn, case)
    state = said["states"][case["state"]]
    kind = said["categories"].get(case["category"], {})
    place_names = names.things(conn)
    where = [place_names.get(case[k] or "", "") for k in ("district", "street")]
    return {
        "service_request_id": case["code"],
        "status": "closed" if state.get("final") else "open",
        "status_notes": state["title"]["zh"],
        "service_name": kind.get("title", {}).get("zh", case["category"]),
        "service_code": case["category"],
        "description": case["data"].get("description", ""),
        "agency_responsible": "上海市绿化和市容管理局",
        "requested_datetime": case["opened_at"].isoformat(),
        "updated_datetime": (case["closed_at"] or case["entered_at"]).isoformat(),
        "expected_datetime": case["due_at"].isoformat() if case["due_at"] else None,
        "address": case["data"].get("address") or "".join(where),
        "lat": case["lat"],
        "long": case["lon"],
    }


def updates(conn: Connection, code: str) -> list[dict[str, Any]]:
    """Return what became of a request, step by step, without names of staff."""
    request(conn, code)
    row = conn.execute(text('select id from twin."case" where code = :c'), {"c": code}).one()
    steps = []
    for entry in cases.story(conn, row.id):
        said = cases.definition(conn, entry.after)
        state = said["states"][entry.after["state"]]
        if entry.action in ("warn", "late", "supervise", "rule_fault"):
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
