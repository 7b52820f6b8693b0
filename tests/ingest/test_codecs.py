"""Codecs: golden vectors, published decoders, and scripts that will not end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest import codecs
from ingest.codecs.explain import explain, wrong_vectors
from ingest.codecs.sandbox import Sandbox
from tests.real import shared
from twin import products

SHIPPED = {one.key: one for one in products.shipped()}
SOIL = bytes.fromhex("01756403671901046873057FF000")


def scripted(script: str, **more: Any) -> products.Product:
    """Return a product with a script of its own."""
    doc = {
        **SHIPPED["soil_moisture"].doc,
        "codec": {"type": "javascript", "script": script, **more},
    }
    return products.from_doc(doc)


@pytest.mark.parametrize("key", sorted(SHIPPED))
def test_golden_vectors_hold(key: str) -> None:
    """Every shipped codec says of its vectors exactly what stands there."""
    assert wrong_vectors(SHIPPED[key]) == []


def test_own_json_is_read_whatever_the_codec() -> None:
    """A device with a codec may also send the product's own JSON."""
    said = {"t": "2026-11-20T08:00:00+08:00", "values": {"level_pct": 81.5}}
    assert codecs.decode(SHIPPED["bin_level"], json.dumps(said).encode()) == [said]
    assert codecs.decode(SHIPPED["bin_level"], json.dumps([said, said]).encode()) == [said, said]


@pytest.mark.parametrize(
    ("payload", "why"),
    [("5C52", "needs 7"), ("", "needs 7"), ("7B7B", "needs 7")],
)
def test_short_payloads_are_refused(payload: str, why: str) -> None:
    """A layout is read whole or not at all."""
    with pytest.raises(codecs.Undecodable, match=why):
        codecs.decode(SHIPPED["bin_level"], bytes.fromhex(payload))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("function decodeUplink(i) { while (true) {} }", "interrupted|too long"),
        (
            "function decodeUplink(i) { var a = []; while (true) a.push(new Array(9999).fill(1)) }",
            "out of memory|interrupted",
        ),
        ("function decodeUplink(i) { return decodeUplink(i) }", "stack"),
        ("function decodeUplink(i) { return require('fs') }", "not defined"),
        (
            "function decodeUplink(i) { return {data: {moisture: std.getenv('HOME')}} }",
            "not defined",
        ),
        ("function decodeUplink(i) { throw new Error('broken probe') }", "broken probe"),
        ("function decodeUplink(i) { return {errors: ['bad frame']} }", "bad frame"),
        ("function decodeUplink(i) { return null }", "nothing returned"),
        ("function decode(i) { return {} }", "decodeUplink"),
        ("this is no script", "expecting|unexpected|Syntax"),
    ],
)
def test_scripts_are_contained(script: str, why: str) -> None:
    """Loops, memory, recursion, other doors: each ends as a reason, and the next message is read."""
    with pytest.raises(codecs.Undecodable, match=why):
        codecs.decode(scripted(script), SOIL)
    assert codecs.decode(SHIPPED["soil_moisture"], SOIL)


def test_a_regular_expression_that_never_ends_is_ended() -> None:
    """No limit of the engine interrupts it: its process is killed, only its payload is refused."""
    script = (
        "function decodeUplink(i) { if (i.bytes[0] === 9) /(a+)+$/.test('a'.repeat(40) + 'b');"
        " return {data: {moisture: i.bytes[0]}} }"
    )
    box = Sandbox()
    try:
        answers = box.run(script, [(bytes([n]), 1) for n in (1, 2, 9, 3)])
        assert [a.get("data", {}).get("moisture") for a in answers] == [1, 2, None, 3]
        assert "too long" in answers[2]["errors"][0]
        for _ in range(2):
            box.run(script, [(b"\x09", 1)])
        assert "rests" in box.run(script, [(b"\x01", 1)])[0]["errors"][0]
        other = "function decodeUplink(i) { return {data: {moisture: 1}} }"
        assert box.run(other, [(b"\x01", 1)])[0]["data"] == {"moisture": 1}
    finally:
        box.close()


def test_older_ways_to_write_a_decoder() -> None:
    """Decode(fPort, bytes) and Decoder(bytes, port) run as they are."""
    chirp = scripted(
        "function Decode(fPort, bytes) { return {moisture: fPort} }",
        rename={"moisture": "moisture_pct"},
    )
    ttn = scripted(
        "function Decoder(bytes, port) { return {moisture: bytes.length} }",
        rename={"moisture": "moisture_pct"},
    )
    assert codecs.decode(chirp, SOIL, 7) == [{"values": {"moisture_pct": 7}}]
    assert codecs.decode(ttn, SOIL, 7) == [{"values": {"moisture_pct": 14}}]


def test_history_becomes_records_of_their_time() -> None:
    """What a device kept while it had no network comes with its own time."""
    script = (
        "function decodeUplink(i) { return {data: {moisture: 1, history: "
        "[{timestamp: 1665561758, moisture: 2}]}} }"
    )
    found = codecs.decode(scripted(script, rename={"moisture": "moisture_pct"}), SOIL)
    assert found[1] == {"t": "2022-10-12T08:02:38+00:00", "values": {"moisture_pct": 2}}


def test_the_debugger_says_every_step() -> None:
    """What the codec said, what was left out, what the model refuses."""
    script = "function decodeUplink(i) { return {data: {moisture: 140, sn: 'x1', battery: 50}} }"
    made = explain(
        scripted(script, rename={"moisture": "moisture_pct", "battery": "battery_pct"}), SOIL
    )
    assert made.answer["data"]["sn"] == "x1" and made.ignored == {"sn": "x1"}
    assert made.records[0]["values"] == {"moisture_pct": 140, "battery_pct": 50}
    assert "not within 0 to 100" in made.refused["moisture_pct"]


def test_real_payloads_of_a_maker() -> None:
    """Payloads published by a maker, with what they mean, read by the shipped script."""
    wanted = {"gs301": "toilet_odour", "em500-smtc": "soil_moisture", "wts506": "weather_station"}
    pairs = json.loads(shared("iot/milesight_lorawan_examples.json").read_text())
    names = {"moisture": "moisture_pct", "ec": "ec_uscm", "temperature": "temp_c", "humidity": "humidity_pct",
             "nh3": "nh3_ppm", "h2s": "h2s_ppm", "pressure": "pressure_hpa", "wind_direction": "direction_deg",
             "wind_speed": "speed_ms", "rainfall_total": "rain_mm", "battery": "battery_pct"}  # fmt: skip
    checked = 0
    for pair in pairs:
        plain = not any("alarm" in k or k == "history" for k in pair["decoded"])
        if pair["device"] in wanted and plain:
            [found] = codecs.decode(
                SHIPPED[wanted[pair["device"]]], bytes.fromhex(pair["payload_hex"])
            )
            for name, value in pair["decoded"].items():
                if name in names and name != "rainfall_counter":
                    assert found["values"][names[name]] == pytest.approx(value)
                    checked += 1
    assert checked >= 15
