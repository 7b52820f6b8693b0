"""HTTP doors of efficiency: report, funnel, heat, rates, trend; supervision; replay of one event."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from services.efficiency import replay, service, supervision
from services.efficiency.facts import Span
from services.web.auth import Person
from services.web.params import Moment, moment
from twin import db

router = APIRouter(prefix="/api/v1", tags=["efficiency"])
From = Annotated[str | None, Query(alias="from", max_length=64)]
By = Literal["district", "department", "category", "source", "severity", "street"]
_CSV = ("code", "name", "opened", "closed", "on_time", "on_time_rate", "late_now", "median_s", "p90_s",
        "response_s", "reworked", "returns", "transfers", "supervised", "repeated", "at_once_rate")  # fmt: skip


def _span(start: str | None, end: str | None) -> Span:
    return Span.of(moment(start), moment(end), service.until(datetime.now(UTC)))


@router.get("/efficiency")
def report(
    person: Person, by: By = "district", from_: From = None, to: Moment = None,
    f: Literal["json", "csv"] = "json",
) -> Any:  # fmt: skip
    """Report how well each district, department, kind or source handles its events."""
    span = _span(from_, to)
    with db.engine("app").connect() as conn:
        rows = service.report(conn, person, span, by)
        if f == "csv":
            return _sheet(rows)
        before = service.report(conn, person, service.previous(span), by)
    known = {r["code"]: r["on_time_rate"] for r in before}
    return {"from": span.start, "to": span.end, "by": by,
            "rows": [{**r, "before": known.get(r["code"])} for r in rows]}  # fmt: skip


def _sheet(rows: list[dict[str, Any]]) -> Response:
    out = io.StringIO()
    sheet = csv.writer(out)
    sheet.writerow(_CSV)
    for row in rows:
        name = row["name"]["zh"] if isinstance(row["name"], dict) else row["name"]
        sheet.writerow([_safe(name if c == "name" else row[c]) for c in _CSV])
    return Response(
        "\ufeff" + out.getvalue(), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="efficiency.csv"'},
    )  # fmt: skip


def _safe(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" else value


@router.get("/efficiency/rates")
def rates(person: Person, from_: From = None, to: Moment = None) -> dict[str, Any]:
    """Tell the discovery rate, the hotline's days, 四早五最."""
    with db.engine("app").connect() as conn:
        return service.rates(conn, person, _span(from_, to))


@router.get("/efficiency/funnel")
def funnel(person: Person, from_: From = None, to: Moment = None) -> dict[str, Any]:
    """Tell how many events came to each stage."""
    with db.engine("app").connect() as conn:
        return service.funnel(conn, person, _span(from_, to))


@router.get("/efficiency/trend")
def trend(person: Person, from_: From = None, to: Moment = None) -> list[dict[str, Any]]:
    """Tell day by day how many were opened and closed."""
    with db.engine("app").connect() as conn:
        return service.trend(conn, person, _span(from_, to))


@router.get("/efficiency/heat.geojson")
def heat(
    person: Person, from_: From = None, to: Moment = None,
    category: Annotated[str | None, Query(max_length=48)] = None,
    cell_m: Annotated[int, Query(ge=200, le=10_000)] = 1000,
) -> dict[str, Any]:  # fmt: skip
    """Return where events are dense, as hexagons."""
    with db.engine("app").connect() as conn:
        return service.heat(conn, person, _span(from_, to), category, cell_m)


@router.get("/supervision")
def supervised(person: Person) -> dict[str, Any]:
    """Return what is overdue, repeated, reopened or complained about, and who was asked."""
    with db.engine("app").connect() as conn:
        return supervision.shown(conn, person)


@router.get("/events/{key}/replay")
def recorded(key: str, person: Person) -> dict[str, Any]:
    """Return an event as it was, second by second."""
    with db.engine("app").connect() as conn:
        return replay.recorded(conn, person, key)
