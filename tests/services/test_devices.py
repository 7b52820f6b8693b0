"""Products, devices and SensorThings at the door: publish, add, report, read back by every way."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import jsonschema
import numpy as np
import orjson
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from ingest.devices import Registry
from ingest.writer import Uplink, Written, write_all
from tests.iot.conftest import until
from tests.services.conftest import Api
from twin import catalogue, db, identity, jobs, products, rollups, trace
from twin.products import change
from ui.terminal.main import application
from ui.terminal.output import use_json

PLACE = {"lon": 121.42, "lat": 31.22}
PROBE: dict[str, Any] = {
    "key": "probe",
    "title": {"zh": "探头", "en": "Probe"},
    "kind": "sensor",
    "category": "environment",
    "thing": {"type": "other"},
    "properties": {
        "heat_c": {"title": {"zh": "热", "en": "Heat"}, "unit": "Cel", "low": -40, "high": 120},
        "door": {
            "title": {"zh": "门", "en": "Door"},
            "type": "enum",
            "codes": {"shut": {"zh": "关", "en": "Shut"}, "open": {"zh": "开", "en": "Open"}},
        },
        "wet": {"title": {"zh": "湿", "en": "Wet"}, "type": "boolean"},
        "note": {"title": {"zh": "注", "en": "Note"}, "type": "text"},
    },
    "codec": {
        "type": "layout",
        "layout": [{"name": "heat_c", "at": 0, "as": "i16", "scale": 0.1}],
        "vectors": [{"payload": "00FA", "values": {"heat_c": 25.0}}],
    },
}


@pytest.fixture(scope="module")
def admin(api: Api) -> str:
    """An account that may write; the kind sensor with its tables; the shipped products."""
    with db.engine("app").begin() as conn:
        api.tokens["admin"] = identity.issue_token(conn, "admin", 1, "t")
    return "admin"


def publish(api: Api, doc: dict[str, Any], user: str = "admin") -> Any:
    raw = json.dumps(doc).encode()
    return api.http.post("/api/v1/products", content=raw, headers=api.headers(user))


def work() -> None:
    while jobs.run_next(task=change.TASK):
        pass
    products.forget()
    catalogue.forget()


@pytest.fixture(scope="module")
def probe(api: Api, admin: str) -> dict[str, Any]:
    """A product published by its door, and a device of it."""
    asked = publish(api, PROBE)
    assert asked.status_code == 202, asked.text
    work()
    said = {"product": "probe", "device": "P1", "name": "一号探头", **PLACE}
    made = api.post("/api/v1/devices", said, "admin")
    assert made.status_code == 201, made.text
    return dict(made.json())


@pytest.fixture(scope="module")
def registry(probe: dict[str, Any]) -> Registry:
    found = Registry()
    with db.engine("ingest").connect() as conn:
        found.refresh(conn)
    return found


def report(registry: Registry, *records: dict[str, Any], device: str = "P1") -> Written:
    source = registry.find("probe", device)
    assert source is not None
    payloads = [orjson.dumps(record) for record in records]
    return write_all(registry, [Uplink(source, "telemetry", one, time.time()) for one in payloads])


@pytest.fixture(scope="module")
def hour(registry: Registry) -> Iterator[datetime]:
    """An hour in which the device reported every five minutes."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    records = [
        {"t": (start + timedelta(minutes=5 * i)).isoformat(),
         "values": {"heat_c": 20 + i, "door": "open" if i % 2 else "shut", "wet": i > 6, "note": f"n{i}"}}
        for i in range(12)
    ]  # fmt: skip
    assert report(registry, *records)[:3] == (12, 0, 0)
    yield start


def test_products_are_listed_with_what_follows(api: Api, probe: dict[str, Any]) -> None:
    """The list counts devices; Thing Model and JSON Schema say the same as the declaration."""
    found = {one["key"]: one for one in api.get("/api/v1/products").json()["products"]}
    assert len(found) >= 16 and found["probe"]["devices"] == 1
    model = api.get("/api/v1/products/probe/td").json()
    assert model["@type"] == "tm:ThingModel" and model["@context"][0].endswith("/td/v1.1")
    heat = model["properties"]["heat_c"]
    assert (heat["type"], heat["minimum"], heat["maximum"], heat["unit"]) == (
        "number",
        -40,
        120,
        "Cel",
    )
    assert model["properties"]["door"]["enum"] == ["shut", "open"]
    schema = api.get("/api/v1/products/probe/schema.json").json()

    good = {"t": "2026-11-20T08:00:00+08:00", "values": {"heat_c": 20, "door": "open"}}
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"values": {"heat_c": 200}}, schema)
    said = api.get("/api/v1/devices/probe/P1/td").json()
    assert said["@type"] == "Thing" and said["properties"]["heat_c"]["forms"]


@pytest.mark.parametrize(
    ("change_of", "status", "code"),
    [
        ({"properties": {"heat_c": PROBE["properties"]["heat_c"]}}, 409, "would_narrow"),
        ({"kind": "no_such_kind"}, 400, "bad_request"),
        ({"main": "nothing"}, 422, "declaration_invalid"),
    ],
)
def test_what_cannot_be_published_says_why(
    api: Api, probe: dict[str, Any], change_of: dict[str, Any], status: int, code: str
) -> None:
    """Nothing half right is put into the queue."""
    said = publish(api, {**PROBE, **change_of})
    assert (said.status_code, said.json()["code"]) == (status, code)


def test_a_codec_that_misses_its_vectors_is_not_published(api: Api, probe: dict[str, Any]) -> None:
    """What was expected and what came out stand in the answer."""
    codec = {**PROBE["codec"], "vectors": [{"payload": "00FA", "values": {"heat_c": 26.0}}]}
    said = publish(api, {**PROBE, "codec": codec})
    assert said.status_code == 400
    assert said.json()["wrong_vectors"][0]["got"] == {"heat_c": 25.0}


def test_the_debugger_reads_hex_base64_and_json(api: Api, probe: dict[str, Any]) -> None:
    """Whatever form the payload is pasted in."""
    for form, payload in (
        ("hex", "00FA"),
        ("base64", "APo="),
        ("json", '{"values": {"heat_c": 25.0}}'),
    ):
        said = {"product": "probe", "form": form, "payload": payload}
        found = api.post("/api/v1/products/decode", said, "admin").json()
        assert found["records"][0]["values"] == {"heat_c": 25.0}, form
        assert found["refused"] == {}
    wrong = api.post("/api/v1/products/decode", {"product": "probe", "payload": "xyz"}, "admin")
    assert wrong.status_code == 400


def test_only_who_may_writes(api: Api, probe: dict[str, Any]) -> None:
    """A dispatcher looks, and changes nothing."""
    assert publish(api, PROBE, "dispatcher").status_code == 403
    said = {"product": "probe", "device": "P9", **PLACE}
    assert api.post("/api/v1/devices", said, "dispatcher").status_code == 403
    assert api.get("/api/v1/devices", None).status_code == 401


def test_a_device_outside_of_the_scope_is_not_there(api: Api, probe: dict[str, Any]) -> None:
    """The place lies in another district: list, page, series, map and standard answer the same."""
    mine = "district-310104"
    listed = api.get("/api/v1/devices?product=probe", mine).json()["devices"]
    assert listed == []
    for path in ("", "/values?property=heat_c", "/log", "/ledger", "/td", "/traces"):
        assert api.get(f"/api/v1/devices/probe/P1{path}", mine).status_code == 404
    assert api.get("/api/v1/devices/map?product=probe", mine).json()["points"] == []
    assert api.get(f"/sta/v1.1/Things({probe['num']})", mine).status_code == 404


def test_the_page_of_a_device(api: Api, probe: dict[str, Any], hour: datetime) -> None:
    """Last values as they mean, the books, a series, a table."""
    said = api.get("/api/v1/devices/probe/P1").json()
    values = {one["property"]: one for one in said["values"]}
    assert values["heat_c"]["value"] == 31 and values["wet"]["value"] is True
    assert values["door"]["value"] == "open" and values["door"]["text"] == {
        "zh": "开",
        "en": "Open",
    }
    assert said["texts"] == {"note": "n11"}
    books = said["ledger"]
    assert all(h["accepted"] == h["stored"] + h["rejected"] + h["duplicate"] for h in books)
    start = quote(hour.isoformat())
    series = api.get(f"/api/v1/devices/probe/P1/values?property=heat_c&from={start}").json()
    assert [value for _, value in series["values"]] == [20 + i for i in range(12)]
    table = api.get(f"/api/v1/devices/probe/P1/values.csv?from={start}").text
    assert "heat_c,热,31.0,Cel" in table and "door,门,open," in table


def test_refusals_stand_in_log_and_books(api: Api, registry: Registry, hour: datetime) -> None:
    """A value out of range is refused with its reason, and counted."""
    assert report(registry, {"values": {"heat_c": 999}})[:3] == (0, 1, 0)
    log = api.get("/api/v1/devices/probe/P1/log").json()["entries"]
    assert any(one["what"] == "rejected" and "heat_c" in one["reason"] for one in log)
    assert any(one["what"] == "journal" and one["action"].startswith("device.") for one in log)
    figures = api.get("/api/v1/devices/statistics").json()
    assert any("heat_c" in one["reason"] for one in figures["reasons"])
    assert sum(h["accepted"] for h in figures["hours"]) == sum(
        h["stored"] + h["rejected"] + h["duplicate"] for h in figures["hours"]
    )


def test_devices_on_the_map_now_and_then(api: Api, probe: dict[str, Any], hour: datetime) -> None:
    """The value of a past moment is that of then."""
    now = api.get("/api/v1/devices/map?product=probe&property=heat_c").json()
    assert now["points"][0]["value"] == 31 and now["property"]["name"] == "heat_c"
    then = quote((hour + timedelta(minutes=12)).isoformat())
    past = api.get(f"/api/v1/devices/map?product=probe&property=heat_c&at={then}").json()
    assert past["points"][0]["value"] == 22
    assert api.get("/api/v1/devices/surface.geojson?product=probe").status_code == 404


def unsealed() -> list[Any]:
    with db.engine("owner").connect() as conn:
        return list(conn.execute(text("select 1 from twin.unsealed")))


def test_a_followed_message_shows_its_hops(
    api: Api, probe: dict[str, Any], registry: Registry
) -> None:
    """Access, identity, codec, model, store, rules: each with its time; a refusal ends at the model."""
    assert api.post("/api/v1/devices/probe/P1/traces", {}, "admin").status_code == 201

    trace.forget()
    report(registry, {"values": {"heat_c": 33}})
    report(registry, {"values": {"heat_c": -99}})
    until(lambda: not unsealed())
    with db.engine("app").begin() as conn:
        trace.pushed(conn)
        trace.pushed(conn)
    found = api.get("/api/v1/devices/probe/P1/traces").json()["traces"]
    pushed = [hop for one in found for hop in one["hops"] if hop["hop"] == "push"]
    assert len(pushed) == 1
    assert pushed[0]["ms"] > 0
    hops = [
        [hop["hop"] for hop in one["hops"] if hop["hop"] not in ("push", "alarm")] for one in found
    ]
    assert ["access", "auth", "codec", "model", "store", "rule"] in hops
    refused = next(one for one in found if len(one["hops"]) == 4)
    assert "not within" in refused["hops"][-1]["detail"]["refused"]


def test_revoking_ends_a_device(api: Api, probe: dict[str, Any], admin: str) -> None:
    """It is listed as revoked, and the journal says who did it."""
    said = {"product": "probe", "device": "P2", **PLACE}
    assert api.post("/api/v1/devices", said, "admin").status_code == 201
    assert api.post("/api/v1/devices", said, "admin").status_code == 409
    assert api.post("/api/v1/devices/probe/P2/revoke", {}, "admin").json() == {"state": "revoked"}
    assert api.get("/api/v1/devices/probe/P2").json()["state"] == "revoked"


def sta(api: Api, path: str) -> Any:
    said = api.get(f"/sta/v1.1/{path}")
    assert said.status_code == 200, said.text
    return said.json()


def test_sensorthings_entities_and_ways(api: Api, probe: dict[str, Any], hour: datetime) -> None:
    """Every entity set, the ways between them, properties and their values."""
    root = sta(api, "")
    assert {one["name"] for one in root["value"]} == {
        "Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors",
        "ObservedProperties", "Observations", "FeaturesOfInterest",
    }  # fmt: skip
    num = probe["num"]
    thing = sta(api, f"Things({num})")
    assert thing["@iot.id"] == num and thing["@iot.selfLink"].endswith(f"Things({num})")
    streams = sta(api, f"Things({num})/Datastreams?$count=true")
    assert streams["@iot.count"] == 3
    key = f"'{num}:heat_c'"
    assert sta(api, f"Datastreams({key})/Thing")["@iot.id"] == num
    assert sta(api, f"Datastreams({key})/Sensor")["@iot.id"] == "probe"
    assert sta(api, f"Datastreams({key})/ObservedProperty/name") == {"name": "热"}
    place = sta(api, f"Things({num})/Locations({num})/location/$value")
    assert place["coordinates"] == [PLACE["lon"], PLACE["lat"]]
    one = sta(api, f"Datastreams({key})/Observations?$top=1&$orderby=phenomenonTime asc")["value"][
        0
    ]
    again = sta(api, f"Observations('{one['@iot.id']}')")
    assert again["result"] == 20 and again["phenomenonTime"] == one["phenomenonTime"]
    assert sta(api, f"Observations('{one['@iot.id']}')/Datastream")["@iot.id"] == f"{num}:heat_c"
    assert (
        sta(api, f"Datastreams('{num}:door')/Observations?$top=1")["value"][0]["result"] == "shut"
    )


def test_sensorthings_pages_and_filters(api: Api, probe: dict[str, Any], hour: datetime) -> None:
    """Filters over time and result, order, pages that follow each other without gap or repetition."""
    key, num = f"'{probe['num']}:heat_c'", probe["num"]
    end = (hour + timedelta(minutes=58)).isoformat().replace("+00:00", "Z")
    base = f"Datastreams({key})/Observations?$filter=result ge 22 and result lt 28 and phenomenonTime le {end}"
    found, path = [], f"{base}&$orderby=result desc&$top=4&$count=true"
    while path:
        page = sta(api, path)
        assert page["@iot.count"] == 6
        found += [one["result"] for one in page["value"]]
        path = page.get("@iot.nextLink", "").partition("/sta/v1.1/")[2]
    assert found == [27, 26, 25, 24, 23, 22]
    things = (
        "Things?$filter=properties/product eq 'probe' and startswith(name,'一号')&$select=name,id"
    )
    assert [one["@iot.id"] for one in sta(api, things)["value"]] == [num]
    inside = "POLYGON((121.4 31.2,121.5 31.2,121.5 31.3,121.4 31.3,121.4 31.2))"
    near = f"Things?$filter=st_within(Locations/location,geography'{inside}') and properties/device eq 'P1'"
    assert len(sta(api, near)["value"]) == 1
    named = f"Observations?$filter=Datastream/id eq {key} and result gt 30&$resultFormat=dataArray"
    table = sta(api, named)["value"][0]
    assert table["components"] == ["id", "phenomenonTime", "resultTime", "result"]
    assert all(row[3] > 30 for row in table["dataArray"])


def test_sensorthings_expands(api: Api, probe: dict[str, Any], hour: datetime) -> None:
    """The newest value of every datastream of a thing, in one request."""
    path = (
        f"Things({probe['num']})?$expand=Locations,Datastreams($select=name;$expand=ObservedProperty,"
        "Observations($top=1;$orderby=phenomenonTime desc))"
    )
    said = sta(api, path)
    assert said["Locations"][0]["location"]["type"] == "Point"
    by = {one["ObservedProperty"]["properties"]["property"]: one for one in said["Datastreams"]}
    assert set(by) == {"heat_c", "door", "wet"}
    assert all(len(one["Observations"]) == 1 for one in by.values())


@pytest.mark.parametrize(
    "path",
    [
        "Nothing", "Things(1)/Nothing", "Things?$filter=name like 'x'", "Things?$filter=((((",
        "Things?$top=x", "Things?$what=1", "Observations", "Datastreams('1')", "Things('x')",
        "Things?$filter=" + "(" * 300, "Things?$expand=Nothing", "Datastreams('a:b')/Observations",
        "Things?$filter=exec('x')", "Things(99999999999999999999)",
    ],
)  # fmt: skip
def test_sensorthings_refuses_in_one_sentence(api: Api, probe: dict[str, Any], path: str) -> None:
    """What cannot be read is a 4xx with a reason, never a failure of the server."""
    said = api.get(f"/sta/v1.1/{path}")
    assert 400 <= said.status_code < 500 and said.json()["detail"], path


def test_rollups_equal_what_they_are_made_of(registry: Registry, probe: dict[str, Any]) -> None:
    """Punctual, late and repeated values: every minute and hour is exactly that of all values."""
    gen = random.Random(7)
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    moments = [start + timedelta(seconds=gen.uniform(0, 7000)) for _ in range(400)]
    sent = [
        {"t": at.isoformat(), "values": {"heat_c": round(gen.uniform(-10, 60), 2)}}
        for at in moments
    ]
    for part in (sent[:150], sent[100:300], sent[250:]):  # repeated where they overlap
        report(registry, *part)
        _roll()
    by: dict[datetime, list[float]] = {}
    for one in sent:
        at = datetime.fromisoformat(one["t"]).replace(second=0, microsecond=0)
        by.setdefault(at, []).append(one["values"]["heat_c"])
    with db.engine("app").connect() as conn:
        for table, width in (("minute", 60), ("hour", 3600)):
            rows = conn.execute(
                text(
                    f"select at, n, low, mean, high from iot.{table} where num = :n and at >= :a "
                    "and at < :b and property = 'heat_c' order by at"
                ),
                {"n": probe["num"], "a": start, "b": start + timedelta(hours=2)},
            ).all()
            wanted: dict[float, list[float]] = {}
            for at, values in by.items():
                wanted.setdefault(at.timestamp() // width * width, []).extend(values)
            assert len(rows) == len(wanted)
            for row in rows:
                values = wanted[row.at.timestamp()]
                assert (row.n, row.low, row.high) == (len(values), min(values), max(values))
                assert row.mean == pytest.approx(float(np.mean(values)))


def _roll() -> None:
    """Wait until the journal is sealed that far, then roll up."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with db.engine("app").connect() as conn:
            if not conn.execute(text("select count(*) from twin.unsealed")).scalar_one():
                break
        time.sleep(0.05)
    rollups.once()


def test_old_days_go_and_their_roll_ups_stay(registry: Registry, probe: dict[str, Any]) -> None:
    """Whole days of values end with their product's retention; minutes and hours are kept longer."""
    old = datetime.now(UTC) - timedelta(days=3)
    report(registry, {"t": old.isoformat(), "values": {"heat_c": 12.5}})
    _roll()
    with db.engine("owner").begin() as conn:
        brief = {**PROBE, "retention": {"raw_days": 1, "minute_days": 30, "hour_days": 300}}
        change.publish(conn, products.from_doc(brief), origin="local", actor="test")
    gone = rollups.retire()
    assert gone["days"] == 1
    with db.engine("app").connect() as conn:
        raw = conn.execute(
            text("select count(*) from iot.up_probe where at < :t"), {"t": old + timedelta(hours=1)}
        ).scalar_one()
        kept = conn.execute(
            text("select mean from iot.hour where num = :n and at < :t"),
            {"n": probe["num"], "t": old + timedelta(hours=1)},
        ).scalar_one()
    assert raw == 0 and kept == 12.5


def test_sensorthings_observations_are_posted(
    api: Api, probe: dict[str, Any], hour: datetime, admin: str
) -> None:
    """The standard's ways to create an Observation, for who may; what does not fit is refused."""
    key = f"{probe['num']}:heat_c"
    at = (hour - timedelta(days=2)).isoformat()
    said = {"phenomenonTime": at, "result": 12.5, "Datastream": {"@iot.id": key}}
    assert api.post("/sta/v1.1/Observations", said).status_code == 403
    made = api.post("/sta/v1.1/Observations", said, "admin")
    assert made.status_code == 201, made.text
    where = made.headers["location"].partition("/sta/v1.1/")[2]
    assert sta(api, where)["result"] == 12.5
    other = f"/sta/v1.1/Datastreams('{key}')/Observations"
    assert api.post(other, {"phenomenonTime": at, "result": -999}, "admin").status_code == 400
    assert api.post(other, {"result": 13}, "admin").status_code == 201
    none = {**said, "Datastream": {"@iot.id": "999999:heat_c"}}
    assert api.post("/sta/v1.1/Observations", none, "admin").status_code == 404
    table = {
        "Datastream": {"@iot.id": key}, "components": ["phenomenonTime", "result"],
        "dataArray": [[(hour - timedelta(days=3)).isoformat(), 1], ["yesterday", 2]],
    }  # fmt: skip
    answers = api.post("/sta/v1.1/CreateObservations", [table], "admin").json()
    assert answers[0].endswith(")")
    assert answers[1] == "error"


def test_a_device_is_added_at_a_place_from_the_terminal(api: Api, probe: dict[str, Any]) -> None:
    """`twin device add --at`: its thing stands where it was said, in the district of the place."""
    use_json(False)
    said = CliRunner().invoke(application(), ["device", "add", "--product", "probe", "--name", "P9", "--at",
                                    f"{PLACE['lon']},{PLACE['lat']}"])  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "username probe/P9" in said.output
    made = api.get("/api/v1/devices/probe/P9").json()
    assert made["point"] == [PLACE["lon"], PLACE["lat"]]
    wrong = ["device", "add", "--product", "probe", "--name", "P10", "--at", "here"]
    assert CliRunner().invoke(application(), wrong).exit_code != 0
