"""JT/T 808, HJ 212 and AIS: real frames say what their keys say, broken ones are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import ais, hj212, jt808
from ingest.codecs.frames import Broken
from tests.real import shared
from twin import products

BEIJING = timezone(timedelta(hours=8))
# Sentences and readings published with an independent decoder.
SHIPS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (
        ("!AIVDM,1,1,,A,15N1u<PP1FJuvSRHOE6QIwwh0HQ6,0*30",),
        {
            "mmsi": 367033650,
            "lon": -70.3469,
            "lat": 42.79855,
            "speed_kn": 8.6,
            "course_deg": 35.9,
            "second": 56,
            "heading_deg": None,
            "turn_degmin": None,
        },
    ),
    (
        ("!AIVDM,1,1,,A,39NWra1001rsuRPHA6Na8afl0000,0*13",),
        {
            "mmsi": 636091044,
            "lon": -70.787278,
            "lat": 42.410016,
            "speed_kn": 0.1,
            "course_deg": 233.8,
            "heading_deg": 311,
            "nav_status": 1,
        },
    ),
    (
        (
            "!AIVDM,1,1,1,B,53eaFL02?;fwTPm7V219E@R1@PE8E<622222221@9hG1A7?@NCPSlm3kc5DhH8888888880,2*7F",
        ),
        {
            "mmsi": 249190000,
            "name": "RUTH THERESA",
            "callsign": "9HMQ9",
            "imo": 9383663,
            "draught_m": 7.8,
            "destination": "BOSTON,USA",
            "ship_type": 80,
        },
    ),
    (
        ("!AIVDM,1,1,,B,B5MiOp0006g4up6:EV403wr5oP06,0*38",),
        {
            "mmsi": 366764000,
            "lon": -70.711067,
            "lat": 43.072157,
            "speed_kn": 0.0,
            "second": 52,
            "heading_deg": None,
        },
    ),
    (
        ("!AIVDM,1,1,,B,H5MiOp1:uJ0MDhJ0<P4hhDpLE80,2*33",),
        {"mmsi": 366764000, "name": "R/V GULF CHALLENGER"},
    ),
    (
        ("!AIVDM,1,1,,A,403Ovl@000Htt<tSF0l4Q@100`Pq,0*28",),
        {"mmsi": 3669713, "lon": None, "lat": None, "at": None},
    ),
    (
        (
            "!AIVDM,2,1,3,B,55NBjP01mtGIL@CW;SM<D60P5Ld000000000000P0`<3557l0<50@kk@,0*66",
            "!AIVDM,2,2,3,B,K5h@00000000000,2*72",
        ),
        {"mmsi": 367309440, "name": "SEA HAWK", "callsign": "WDD9287", "destination": "TACOMA,WA"},
    ),
]


def frames808() -> Iterator[dict[str, Any]]:
    """Yield the real frames of JT/T 808 with their key."""
    yield from json.loads(shared("iot/jt808_frames.json").read_text())


def test_every_good_808_frame_is_read_and_every_broken_one_refused() -> None:
    """Numbers, phone, serial, position as the key says; one accepted wrongly would be a lie."""
    read = refused = 0
    for key in frames808():
        good = bool(key.get("checksum_ok") and key.get("body_len_ok"))
        try:
            said = jt808.parse(bytes.fromhex(key["hex"]))
        except Broken:
            assert not good, key
            refused += 1
            continue
        assert good, key
        assert f"0x{said.id:04X}" == key["msg_id"] and said.phone == key["phone"]
        assert (said.serial, said.is_2019, said.parts > 1) == (
            key["serial"],
            key["version2019"],
            key["subpackage"],
        )
        if "location" in key:
            _same_place(jt808.locations(said)[0], key["location"])
        read += 1
    assert (read, refused) == (63, 26)


def _same_place(said: jt808.Location, key: dict[str, Any]) -> None:
    assert (said.alarm, said.status, said.altitude_m) == (key["alarm"], key["status"], key["alt_m"])
    assert (said.speed_kmh, said.heading_deg) == (key["speed_kmh"], key["direction"])
    assert abs(said.lat) == pytest.approx(key["lat"]) and abs(said.lon) == pytest.approx(key["lon"])
    assert said.at.strftime("%y%m%d%H%M%S") == key["time_bcd"] and said.at.tzinfo == BEIJING


def test_808_streams_are_cut_whatever_the_packets() -> None:
    """Frames side by side, in halves, with rubbish between; parts are put together."""
    good = [
        bytes.fromhex(k["hex"])
        for k in frames808()
        if k.get("checksum_ok") and k.get("body_len_ok")
    ]
    stream = jt808.Stream()
    raw = b"rubbish" + b"".join(good)
    found = [f for at in range(0, len(raw), 7) for f in stream.feed(raw[at : at + 7])]
    assert found == good
    body = bytes(range(28))
    head = jt808.Message(0x0801, "013800000000", 5, body[:14], False, 1, 2)
    assert stream.whole(head) is None
    whole = stream.whole(head._replace(serial=6, part=2, body=body[14:]))
    assert whole is not None and whole.body == body and whole.parts == 1


@given(st.binary(max_size=200), st.integers(0, 0xFFFF), st.booleans())
def test_808_answers_are_frames_themselves(body: bytes, serial: int, newer: bool) -> None:
    """What is framed is parsed again to the same, whatever the bytes."""
    phone = "00000000013800000000" if newer else "013800000000"
    said = jt808.parse(jt808.framed(0x8300, phone, serial, body, is_2019=newer))
    assert (said.phone, said.serial, said.body, said.is_2019) == (phone, serial, body, newer)


@given(st.binary(max_size=120))
def test_rubbish_is_refused_quietly(raw: bytes) -> None:
    """Nothing but Broken comes out of any parser, whatever goes in."""
    for parse in (jt808.parse, jt808.location, hj212.parse):
        try:
            parse(raw)
        except Broken:
            pass
    try:
        list(ais.Assembler().feed(raw.decode("latin-1")))
    except Broken:
        pass


def test_hj212_frames_as_their_key_says() -> None:
    """Two of five hold; check sums, framing are told apart."""
    good = []
    for key in json.loads(shared("iot/hj212_frames.json").read_text()):
        holds = key["framing_ok"] and key["crc_declared"].upper() == key["crc_calc"].upper()
        try:
            good.append(hj212.parse(key["raw"].encode()))
        except Broken:
            assert not holds, key
        else:
            assert holds, key
    assert len(good) == 2
    assert good[0].station == "LD130133000015" and good[0].at == datetime(
        2016, 8, 24, 0, 38, 17, tzinfo=BEIJING
    )
    assert good[0].factors["011"] == {"Rtd": "231.0", "Flag": "N"}


def test_hj212_factors_become_properties() -> None:
    """Older and newer codes lead to the same property; flagged factors are left out."""
    product = next(one for one in products.shipped() if one.key == "water_quality")
    data = "ST=21;CN=2011;PW=1;MN=W1;Flag=5;CP=&&DataTime=20261120080000;011-Rtd=21.5,011-Flag=N;w01001-Rtd=7.2,w01001-Flag=N;060-Rtd=1.8,060-Flag=D&&"
    said = hj212.parse(hj212.framed(data))
    assert hj212.telemetry(said, product) == {
        "t": "2026-11-20T08:00:00+08:00",
        "values": {"cod_mgl": 21.5, "ph": 7.2},
    }
    assert said.wants_answer and hj212.parse(hj212.acknowledged(said)).command == "9014"
    stream = hj212.Stream()
    raw = hj212.framed(data) * 3
    assert [f for at in range(0, len(raw), 11) for f in stream.feed(raw[at : at + 11])] == [
        hj212.framed(data)
    ] * 3


@pytest.mark.parametrize(("lines", "key"), SHIPS)
def test_ships_as_an_independent_decoder_reads_them(
    lines: tuple[str, ...], key: dict[str, Any]
) -> None:
    """Positions, particulars, several sentences, what is marked unavailable."""
    box = ais.Assembler()
    [(ship, _)] = [one for line in lines for one in box.feed(line)]
    for name, value in key.items():
        said = getattr(ship, name)
        assert said == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value), name


def test_a_real_ais_file_is_read_to_its_end() -> None:
    """Good sentences are read, those of no known type or too few bits refused and counted."""
    box, read, refused, places = ais.Assembler(), 0, 0, 0
    for line in shared("trajectory/ais_test.aivdm").read_text(errors="replace").splitlines():
        if not line.startswith("!"):
            continue
        try:
            for ship, _when in box.feed(line):
                read += 1
                places += ship.has_place
                if ship.has_place:
                    said = ship.position(datetime(2026, 1, 1, tzinfo=UTC))
                    assert -180 <= said["lon"] <= 180 and -90 <= said["lat"] <= 90
        except Broken:
            refused += 1
    assert read > 200 and refused == 25 and places >= 25


def test_a_sentence_with_a_wrong_check_sum_is_refused() -> None:
    """One changed character is enough."""
    with pytest.raises(Broken, match="check sum"):
        ais.sentence("!AIVDM,1,1,,A,15N1u<PP1FJuvSRHOE6QIwwh0HQ7,0*30")
