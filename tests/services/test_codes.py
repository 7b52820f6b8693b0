"""Codes on the ground: the public page, what it hides, reports from it, QR codes and label sheets."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import text

from services.codes.service import open_now
from tests.services.conftest import Api
from twin import db


def code_of(kind: str) -> str:
    with db.engine("app").connect() as conn:
        return str(
            conn.execute(
                text("select code from twin.thing where kind = :k order by num limit 1"),
                {"k": kind},
            ).scalar_one()
        )


def test_the_page_of_a_toilet_says_what_it_is_in_both_languages(api: Api) -> None:
    code = code_of("toilet")
    chinese = api.http.get(f"/c/{code}")
    assert chinese.status_code == 200
    assert "公厕0" in chinese.text and "黄浦区" in chinese.text and code in chinese.text
    assert "script-src" not in chinese.headers["content-security-policy"]
    assert "<script" not in chinese.text
    english = api.http.get(f"/c/{code}?lang=en").text
    assert "Public toilet" in english and "Something wrong here" in english


def test_what_is_not_public_answers_like_what_does_not_exist(api: Api) -> None:
    nothing = api.http.get("/c/310101-TO-999999")
    hidden = api.http.get(f"/c/{code_of('crew')}")
    assert nothing.status_code == hidden.status_code == 404
    assert nothing.text == hidden.text


def test_a_field_above_l1_is_not_on_the_page(api: Api) -> None:
    code = code_of("toilet")
    with db.engine("owner").begin() as conn:
        conn.execute(
            text("update sanitation.toilet set phone = '13900001111' where code = :c"), {"c": code}
        )
    assert "13900001111" not in api.http.get(f"/c/{code}").text


def test_a_report_from_the_page_becomes_one_event(api: Api) -> None:
    code = code_of("toilet")
    form = {"category": "toilet_fault", "description": "水龙头坏了", "once": "abc"}
    known = api.http.get("/open311/v2/services.json").json()
    form["category"] = known[0]["service_code"]
    first = api.http.post(f"/c/{code}/report", data=form)
    again = api.http.post(f"/c/{code}/report", data=form)
    assert first.status_code == again.status_code == 201
    with db.engine("app").connect() as conn:
        rows = conn.execute(
            text("select code, data from twin.\"case\" where source = 'code_page'")
        ).all()
    assert len(rows) == 1 and rows[0].data["thing"] == code
    assert rows[0].code in first.text and rows[0].code in again.text


@pytest.mark.parametrize(
    "form", [{}, {"category": "none", "description": "x"}, {"category": "x" * 20_000}]
)
def test_a_wrong_form_gets_one_sentence(api: Api, form: dict[str, str]) -> None:
    answer = api.http.post(f"/c/{code_of('toilet')}/report", data=form)
    assert answer.status_code in (400, 413) and "Traceback" not in answer.text


def test_qr_codes_are_drawn_for_what_the_caller_may_see(api: Api) -> None:
    code = code_of("toilet")
    png = api.get(f"/api/v1/codes/{code}.png", user=None, scale=4)
    with Image.open(io.BytesIO(png.content)) as picture:
        assert picture.width == picture.height > 100
    assert api.get(f"/api/v1/codes/{code}.svg").text.startswith("<?xml")
    assert api.get(f"/api/v1/codes/{code}.gif").status_code == 400
    assert api.get(f"/api/v1/codes/{code_of('crew')}.png", user=None).status_code == 404


def labels(api: Api, user: str = "planner", **asked: Any) -> Any:
    return api.get("/api/v1/codes/labels.pdf", user=user, **asked)


def test_label_sheets_for_a_selection(api: Api) -> None:
    some = labels(api, kind="toilet", filter="name like '公厕1%'", limit=30)
    assert some.status_code == 200 and some.content.startswith(b"%PDF")
    assert some.content.count(b"/Type /Page\n") == 2  # 24 to a sheet
    one = labels(api, kind="toilet", codes=code_of("toilet"))
    assert one.content.count(b"/Type /Page\n") == 1
    with db.engine("app").connect() as conn:
        told = conn.execute(
            text("select note from twin.journal where action = 'labels' order by id desc limit 1")
        ).scalar_one()
    assert told == {"count": 1}


def test_label_sheets_are_for_those_who_may_export(api: Api) -> None:
    assert labels(api, user="patrol", kind="toilet").status_code == 403
    assert labels(api, kind="toilet", codes="310101-TO-999999").status_code == 404
    assert labels(api, kind="toilet", limit=100_000).status_code == 400


@pytest.mark.parametrize(
    ("hours", "at", "is_open"),
    [
        ("06:00-22:00", "2026-11-20T13:59:00Z", True),  # 21:59 in the city
        ("06:00-22:00", "2026-11-20T14:00:00Z", False),
        ("22:00-06:00", "2026-11-20T18:00:00Z", True),  # over midnight
        ("06:00-11:00,13:00-20:00", "2026-11-20T04:00:00Z", False),
        ("全天", "2026-11-20T04:00:00Z", None),
        (None, "2026-11-20T04:00:00Z", None),
    ],
)
def test_open_now(hours: str | None, at: str, is_open: bool | None) -> None:
    assert open_now(hours, datetime.fromisoformat(at).astimezone(UTC)) is is_open
