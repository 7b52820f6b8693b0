"""Loading the demo city into a real database: quickly, once, with history, codes and devices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ingest import demo

Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def loaded(database: str) -> Iterator[demo.Loaded]:
    yield demo.load_demo("small")


def test_it_is_loaded_whole_and_only_once(loaded: demo.Loaded, ask: Ask) -> None:
    assert sum(loaded.counts.values()) == loaded.things > 45_000
    assert demo.load_demo("small").things == 0
    assert ask("select count(*) as n from twin.thing")[0].n == loaded.things
    # One entry for each thing: the city of today can be proved like everything that comes after.
    assert ask("select count(*) as n from twin.journal where class = 'thing'")[0].n == loaded.things


def test_codes_carry_the_district_that_the_map_found(loaded: demo.Loaded, ask: Ask) -> None:
    rows = ask("select code, district from greening.park")
    assert all(re.fullmatch(r"\d{6}-PK-\d{6}", r.code) for r in rows)
    assert all(r.code.startswith(r.district or "310000") for r in rows)
    assert sum(r.district is None for r in rows) <= 3
    assert {r.code for r in ask("select code from base.district")} >= {"310101", "310151"}


def test_streets_and_people_lie_in_their_districts(loaded: demo.Loaded, ask: Ask) -> None:
    wrong = ask("select code, district from base.street where left(code, 6) <> district")
    assert len(wrong) == 0
    assert ask("select count(*) as n from sanitation.crew where district is null")[0].n == 0
    # A kerb on the dike may stand a step outside of the outline.
    assert ask("select count(*) as n from sanitation.toilet where street is null")[0].n <= 3


def test_everything_that_reports_is_a_device(loaded: demo.Loaded, ask: Ask) -> None:
    rows = ask("select product, count(*) as n from twin.device group by product")
    counted = {r.product: r.n for r in rows}
    assert counted["vehicle_terminal"] == 300 and counted["crew_phone"] == 120
    types = (
        "bin_level",
        "toilet_odour",
        "noise_dust",
        "water_level",
        "weather_station",
        "tree_tilt",
    )
    assert sum(counted[product] for product in types) == 900
    odd = ask(
        "select 1 from twin.device d join twin.thing t on t.num = d.num where t.code <> d.device"
    )
    assert odd == []


def test_crews_drive_vehicles_that_are_there(loaded: demo.Loaded, ask: Ask) -> None:
    lost = ask(
        "select c.code from sanitation.crew c left join sanitation.vehicle v on v.code = c.vehicle "
        "where c.vehicle is not null and v.code is null"
    )
    assert lost == []
    assert ask("select count(*) as n from sanitation.crew where vehicle is not null")[0].n == 35
