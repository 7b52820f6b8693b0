"""One intake: mapped files, gaps, filters, merging, custom fields; Boston's verdicts replayed; bad input."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import text

from ingest import reports
from tests import minicity, real
from tests.twin.test_cases import DISPATCHER, act
from twin import cases, db, declarations, filtering, intake, mapped, merging, policies
from twin.errors import BadRequest, DeclarationError, Unreadable
from twin.intake import Draft
from twin.scope import ANONYMOUS, SYSTEM

HERE = (121.42, 31.22)


@pytest.fixture(scope="module", autouse=True)
def mini(database: str) -> None:
    minicity.build()


# Apart from each other, or one report would be taken for a second one of another.
SPOTS = ((121.403 + 0.0032 * (i % 14), 31.203 + 0.003 * (i // 14 % 6)) for i in itertools.count())


def take(**said: Any) -> intake.Taken:
    spot = next(SPOTS)
    draft = Draft(**({"source": "open311", "category": "litter", "description": "路口有一堆垃圾",
                      "lon": spot[0], "lat": spot[1]} | said))  # fmt: skip
    with db.engine("app").begin() as conn:
        return intake.take(conn, draft, actor=ANONYMOUS)


def publish(kind: str, doc: dict[str, Any]) -> None:
    with db.engine("app").begin() as conn:
        policies.publish(conn, kind, doc["key"], doc, actor="t")


def shipped(folder: str) -> dict[str, Any]:
    return declarations.read_yaml(declarations.DATA / folder / "event_city.yaml")[0]


# --- gaps


def test_a_report_without_a_place_waits_for_a_person_who_sets_it() -> None:
    taken = take(lon=None, lat=None)
    assert taken.missing == ("place",)
    assert (taken.case["state"], taken.case["data"]["missing"]) == ("collected", ["place"])
    with pytest.raises(Exception, match="complete it first"):
        act(taken.case, "register", DISPATCHER)
    case = act(taken.case, "complete", DISPATCHER, position=list(HERE))
    assert (case["district"], case["lon"], "missing" in case["data"]) == (
        minicity.WEST,
        HERE[0],
        False,
    )
    with db.engine("app").connect() as conn:
        thing = conn.execute(
            text("select district, st_x(point) as lon from twin.thing where code = :c"),
            {"c": case["code"]},
        ).one()
    assert (thing.district, thing.lon) == (minicity.WEST, HERE[0])
    assert act(case, "register", DISPATCHER)["state"] == "assigned"


def test_an_unknown_category_is_kept_as_said_and_asked_for() -> None:
    taken = take(category="ufo")
    assert taken.missing == ("category",)
    assert (taken.case["category"], taken.case["data"]["category_unsure"]) == ("other", "ufo")
    case = act(taken.case, "complete", DISPATCHER, category="lamp_out")
    assert (case["category"], "missing" in case["data"]) == ("lamp_out", False)
    with pytest.raises(BadRequest, match="no category"):
        act(take(category="ufo").case, "complete", DISPATCHER, category="ufo")


def test_what_the_map_knows_is_filled_in_and_marked() -> None:
    case = take(lon=121.4015, lat=31.2102).case  # beside a public toilet
    assert case["data"]["thing_name"].startswith("公厕")
    filled = case["data"]["filled"]
    assert filled["thing"]["from"] == "toilet" and filled["thing"]["m"] < 25
    assert filled["district"] == {"value": minicity.WEST, "from": "district"}
    assert case["street"] is None
    assert case["district"] == minicity.WEST


def test_the_same_report_of_a_source_is_one_case() -> None:
    one, two = take(source_id="x1"), take(source_id="x1", description="别的")
    assert (one.known, two.known) == (False, True)
    assert one.case["code"] == two.case["code"]


# --- custom fields


def test_custom_fields_of_a_type_are_checked_and_kept() -> None:
    case = take(
        category="fallen_tree", fields={"blocks_road": True, "girth_cm": 32, "harm": "car"}
    ).case
    assert case["data"]["fields"] == {"blocks_road": True, "girth_cm": 32.0, "harm": "car"}


@pytest.mark.parametrize(
    "fields",
    [{"girth_cm": 9999}, {"girth_cm": "fat"}, {"harm": "all"}, {"colour": 1}, {"blocks_road": 7}],
)
def test_a_custom_field_that_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        take(category="fallen_tree", fields=fields)


# --- filters


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("测试一下", "test"),
        ("需要贷款加微信", "advert"),
        ("123 ...", "empty"),
        ("树倒了压到测试站", None),
    ],
)
def test_filters_put_aside_with_the_reason_and_what_they_hold_can_be_restored(
    words: str, rule: str | None
) -> None:
    case = take(description=words).case
    assert (case["state"] == "filtered") is (rule is not None)
    if rule:
        assert case["data"]["filtered"]
        assert act(case, "restore", DISPATCHER, reason="误判")["state"] == "collected"


def test_a_broken_filter_holds_nothing_back_and_says_so() -> None:
    doc = shipped("filters")
    broken = {
        "id": "odd",
        "title": {"zh": "坏", "en": "Bad"},
        "when": "c.nothing > 3",
        "reason": "?",
    }
    publish("filter", doc | {"rules": [broken, *doc["rules"]]})
    case = take(description="测试").case
    assert case["state"] == "collected"
    assert case["data"]["rule_fault"]["rule"] == "filter odd"
    publish("filter", doc)


def test_trying_filters_over_the_past_tells_what_would_have_gone_otherwise() -> None:
    code = take(description="垃圾很多很多啊").case["code"]
    doc = shipped("filters")
    more = {
        "id": "many",
        "title": {"zh": "多", "en": "Many"},
        "when": "c.description.contains('很多很多')",
        "reason": "试",
    }
    with db.engine("app").connect() as conn:
        said = policies.simulate(conn, "filter", SYSTEM, doc | {"rules": [more, *doc["rules"]]}, 1)
    assert {(m["code"], m["from"], m["to"]) for m in said["moved"]} == {(code, "", "many")}
    with pytest.raises(DeclarationError):
        publish("filter", doc | {"rules": [more | {"when": "c.("}]})
    assert filtering.judge(doc, {"data": {"description": "好"}}).rule is None


# --- merging by itself


def test_reports_merge_by_themselves_only_where_it_is_declared() -> None:
    doc = shipped("merge")
    first = take(
        lon=121.4401, lat=31.2301, description="福永路超市门口灯带熄灭", category="lamp_out"
    ).case
    again = {
        "lon": 121.4401,
        "lat": 31.2301,
        "description": "福永路超市门口的灯带熄灭了",
        "category": "lamp_out",
    }
    assert take(**again | {"lon": 121.4301}).case["state"] == "collected"
    publish("merge", doc | {"auto": [{"category": "lamp_out", "score": 0.5}]})
    joined = take(**again).case
    assert joined["state"] == "merged"
    with db.engine("app").connect() as conn:
        masters = [cases.find(conn, SYSTEM, joined["data"]["merged_into"])["data"]["reports"]]
    assert masters == [2]
    assert first["state"] == "collected"
    publish("merge", doc)


def test_the_shipped_rule_joins_what_is_nearly_certain_and_no_emergency() -> None:
    for i in range(8):  # a city that has heard such words before
        take(description=f"弄堂{i}口一大袋生活垃圾散落")
        take(description=f"第{i}盏景观灯不亮", category="lamp_out")
    merging._known.clear()
    spot = {"lon": 121.4468, "lat": 31.2351}
    words = "银翔路菜场后门一大袋生活垃圾散落，野猫在翻"
    first = take(**spot, description=words).case
    again = take(**spot, description=words + "。").case
    assert (again["state"], again["data"]["merged_into"]) == ("merged", first["code"])
    tree = spot | {"category": "fallen_tree", "description": "香樟树倒伏压住非机动车道"}
    assert take(**tree).case["state"] != "merged"
    assert take(**tree).case["state"] != "merged", "a person joins emergencies"


# --- files


def test_a_sheet_of_the_hotline_is_queued_with_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "工单.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ("留言编号", "留言主题", "留言时间", "留言详情", "经度", "纬度", "类别"),
        (1, "垃圾没人清", "2026/11/20 08:00:00", "南门一堆垃圾", 121.42, 31.22, "暴露垃圾"),
        (2, "路灯", datetime(2026, 11, 20, 9, 0), "路灯不亮", None, None, "景观灯损坏"),
        (3, "噪声", "2026/11/20 10:00:00", "很吵", 121.42, 31.22, "噪声扰民"),
        (4, "将来", "2036/11/20 10:00:00", "时间不对", 121.42, 31.22, "暴露垃圾"),
        (5, "坏", "昨天", "时间不对", 121.42, 31.22, "暴露垃圾"),
        (None, "无号", "2026/11/20 10:00:00", "没有编号", 121.42, 31.22, "暴露垃圾"),
        (6, "天外", "2026/11/20 10:00:00", "坐标不对", 991.42, 31.22, "暴露垃圾"),
    ):
        sheet.append(row)
    book.save(path)
    done = reports.load(path, "hotline12345")
    assert (done.read, done.accepted, done.incomplete, done.refused) == (7, 3, 2, 4)
    assert reports.load(path, "hotline12345").duplicates == 3
    said = " | ".join(done.reasons)
    assert all(word in said for word in ("clock", "昨天", "no id", "not on the earth"))
    with db.engine("app").connect() as conn:
        found = {r.source_id: r for r in conn.execute(text(
            'select source_id, state, data, opened_at from twin."case" where source = \'12345\''))}  # fmt: skip
    assert found["2"].data["missing"] == ["place"]
    assert found["3"].data["missing"] == ["category"]
    assert found["1"].opened_at == datetime(2026, 11, 20, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"open_dt": "2036-01-01 00:00:00"}, "clock"),
        ({"open_dt": "1970-01-01 00:00:00"}, "clock"),
        ({"open_dt": "2018-01-05 00:00:00", "closed_dt": "2018-01-04 00:00:00"}, "jumps"),
        ({"closed_dt": "2036-01-01 00:00:00"}, "clock"),
        ({"open_dt": "not yet"}, "opened_at"),
        ({"sla_target_dt": "2010-01-01 00:00:00"}, None),  # a target of before is kept, and missed
    ],
)
def test_times_of_a_source_whose_clock_jumps_are_refused_with_the_reason(
    said: dict[str, str], why: str | None
) -> None:
    record = {"case_enquiry_id": f"j{said}"[:100], "type": "Bed Bugs", "case_title": "Bugs", "closure_reason": "",
              "open_dt": "2018-01-02 09:00:00", "closed_dt": "2018-01-03 09:00:00", "latitude": "42.3",
              "longitude": "-71.0", "on_time": "OVERDUE"} | said  # fmt: skip
    counts = mapped.Counts()
    with db.engine("app").begin() as conn:
        made = mapped.source(conn, "boston311")
        case = mapped.receive(conn, made, record, counts, actor=SYSTEM)
    if why is None:
        assert case is not None and case["data"]["on_time"] is False
        return
    assert case is None and why in " ".join(counts.reasons)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.xlsx", b"no zip"),
        ("b.csv", b""),
        ("c.csv", b"\xff\xfe\x00\xd8"),
        ("d.pdf", b"x"),
        ("e.csv", b"x,y\n1,2\n"),
    ],
)
def test_a_file_that_is_none_of_this_source_is_refused_whole(
    tmp_path: Path, name: str, raw: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises((Unreadable, BadRequest)):
        reports.load(path, "hotline12345")


# --- Boston's files


def boston() -> list[Path]:
    return [real.shared(f"events/boston311_animal_{year}.csv") for year in (2018, 2019)]


def truth(rows: list[dict[str, str]]) -> Counter[str]:
    """Return what the file itself says of closed rows with a target."""
    judged = [r for r in rows if r["sla_target_dt"] and r["closed_dt"]]
    return Counter(r["on_time"] for r in judged)


def replay(path: Path) -> mapped.Counts:
    done = reports.load(path, "boston311")
    with path.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert done.read == len(rows)
    assert done.accepted + done.duplicates == len(rows)
    assert (done.refused, done.on_time_differ) == (0, 0)
    assert done.on_time_agree == sum(truth(rows).values()) > 0
    return done


def test_the_verdicts_of_boston_are_replayed(tmp_path: Path) -> None:
    for source in boston():
        lines = source.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        part = tmp_path / source.name
        part.write_text("".join([lines[0], *lines[1::40]]), encoding="utf-8")
        replay(part)
    with db.engine("app").connect() as conn:
        late = conn.execute(
            text(
                "select count(*) filter (where (data->>'on_time')::bool <> "
                "(closed_at <= (data->>'target_at')::timestamptz)) from twin.\"case\" "
                "where source = 'boston311' and closed_at is not null and data ? 'target_at'"
            )
        ).scalar_one()
    assert late == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_row_of_boston_is_in_and_every_verdict_is_its_own() -> None:
    for source in boston():
        replay(source)


def test_damaged_copies_lose_no_row_silently() -> None:
    folder = real.shared("events/qsv/boston311-100.csv").parent
    for name in ("boston311-100.csv", "boston311-100-20dupes-random.csv", "boston311-dmy-100.csv",
                 "boston311-100-with-nonascii.csv", "boston311-100-notime.csv", "boston311-100-bad.tsv"):  # fmt: skip
        try:
            done = reports.load(folder / name, "boston311")
        except Unreadable:
            continue
        assert done.accepted + done.duplicates + done.refused == done.read > 0, name
        assert sum(done.reasons.values()) == done.refused, name
        assert done.on_time_differ == 0, name
