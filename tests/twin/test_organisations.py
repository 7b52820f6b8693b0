"""The organisation tree: what each place sees, also when it moves, closes, or loses its shape; seals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import shapely
import sqlalchemy as sa
from sqlalchemy import text

from tests import minicity
from twin import accounts, catalogue, db, identity, kinds, organisations, scope, sealing, tables
from twin.errors import BadRequest, NotFound, Unauthorized, Unavailable, VersionConflict
from twin.scope import Actor

PASSWORD = "Correct-horse-4"
STREETS = {"310104014": (121.45, 121.475), "310104010": (121.475, 121.50)}


@pytest.fixture(scope="module", autouse=True)
def city(database: str) -> Iterator[None]:
    catalogue.forget()
    minicity.build()
    with db.engine("app").begin() as conn:
        keys = list(STREETS)
        minicity.write(conn, "street", {
            "source_key": keys, "code": keys, "name": ["徐家汇", "长桥"], "district": [minicity.EAST] * 2,
            "geom": [minicity.area(*STREETS[k]) for k in keys],
        })  # fmt: skip
        minicity.write(conn, "contractor", {
            "source_key": ["c1"], "name": ["甲"], "company": ["甲公司"], "code": ["CT-1"],
            "geom": [minicity.ewkb(shapely.Point(121.47, 31.22))],
        })  # fmt: skip
        box = shapely.MultiPolygon([shapely.box(121.46, 31.20, 121.47, 31.24)])
        old = shapely.MultiPolygon([shapely.box(121.48, 31.20, 121.49, 31.24)])
        minicity.write(conn, "contract_section", {
            "source_key": ["s1", "s2"], "name": ["标段一", "标段二"], "contract_no": ["1", "2"],
            "trade": ["greening"] * 2, "from_on": ["2020-01-01"] * 2,
            "until_on": ["2099-12-31", "2021-12-31"], "maintained_by": ["CT-1"] * 2,
            "geom": [minicity.ewkb(box), minicity.ewkb(old)],
        })  # fmt: skip
        # The toilets were placed before the streets were known.
        conn.execute(
            text(
                "update sanitation.toilet t set street = s.code from base.street s "
                "where st_covers(s.geom, t.geom)"
            )
        )
        conn.execute(text("update twin.organisation set things = '{CT-1}' where code = 'c-demo'"))
    organisations.forget()
    yield


def actor(organisation: str | None, **more: Any) -> Actor:
    with db.engine("app").connect() as conn:
        place = organisations.place(conn, organisation)
    return Actor(user="x", clearance=3, **place._asdict(), **more)


def seen(who: Actor, kind_name: str = "toilet", *, bound: bool = False) -> list[tuple[float, str]]:
    """Return lon and street of what an actor sees of a kind."""
    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, kind_name)
        made = tables.table(kind)
        query = sa.select(sa.func.public.ST_X(made.c.geom), made.c.street).where(
            scope.visible(who, made, kind, bound=bound)
        )
        return [tuple(row) for row in conn.execute(query, scope.binds(who) if bound else {})]


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(
    ("organisation", "west", "east"),
    [
        ("bureau", 121.40, 121.50), ("zoo", 121.40, 121.50), (None, 121.40, 121.50),
        ("d-310101", 121.40, 121.45), ("d-310104", 121.45, 121.50),
        ("s-310104014", 121.45, 121.475), ("s-310104010", 121.475, 121.50),
        ("c-demo", 121.46, 121.47),
    ],
)  # fmt: skip
def test_a_place_sees_what_lies_in_it(
    organisation: str | None, west: float, east: float, bound: bool
) -> None:
    # What stands on the border itself belongs to one of the two sides: whichever came first.
    everything = {lon for lon, _ in seen(Actor(user="all", clearance=3)) if not on_border(lon)}
    wanted = {lon for lon in everything if west <= lon <= east}
    found = {lon for lon, _ in seen(actor(organisation), bound=bound) if not on_border(lon)}
    assert found == wanted and len(wanted) > 10


def on_border(lon: float) -> bool:
    return any(abs(lon - border) < 1e-6 for border in (121.45, 121.475, 121.46, 121.47))


def test_in_memory_says_what_sql_says() -> None:
    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, "toilet")
        made = tables.table(kind)
        f = sa.func.public
        rows = conn.execute(
            sa.select(made.c.num, made.c.district, made.c.street, f.ST_X(made.c.geom), f.ST_Y(made.c.geom))
        ).all()  # fmt: skip
        for organisation in ("d-310101", "s-310104014", "c-demo", "g-310104014-01", "bureau"):
            who = actor(organisation)
            told = {r[0] for r in rows if scope.sees(who, kind, r[1], r[2], (r[3], r[4]))}
            found = set(conn.scalars(sa.select(made.c.num).where(scope.visible(who, made, kind))))
            assert told == found, organisation


def test_a_crew_row_is_no_more_than_its_place() -> None:
    """An area without a shape, a closed place, one under a closed one: nothing is seen."""
    with db.engine("app").begin() as conn:
        organisations.add(conn, "g-none", {"type": "grid", "parent": "s-310104014",
                                           "name": {"zh": "空", "en": "None"}}, "t")  # fmt: skip
    assert seen(actor("g-none")) == []
    assert seen(actor("s-310104014"))
    with db.engine("app").begin() as conn:
        organisations.change(conn, "d-310104", {"closed": True}, 1, "t")
    assert seen(actor("s-310104014")) == [] == seen(actor("c-demo"))
    with db.engine("app").begin() as conn:
        organisations.change(conn, "d-310104", {"closed": False}, 2, "t")
    assert seen(actor("s-310104014"))


def test_open_kinds_are_seen_by_all_and_key_kinds_by_none_else() -> None:
    assert {d for _, d in _codes(actor("g-310104014-01"), "district")} == {"310101", "310104"}
    only = actor(None, kinds=frozenset({"toilet"}))
    assert _codes(only, "district") == []
    assert len(seen(only)) == 190


def _codes(who: Actor, kind_name: str) -> list[tuple[int, str]]:
    with db.engine("app").connect() as conn:
        kind = kinds.one(conn, kind_name)
        made = tables.table(kind)
        query = sa.select(made.c.num, made.c.code).where(scope.visible(who, made, kind))
        return [tuple(r) for r in conn.execute(query)]


def test_fields_of_a_key_are_the_only_ones() -> None:
    who = Actor(user="k", clearance=3, fields={"toilet": frozenset({"phone"})})
    with db.engine("app").connect() as conn:
        known = catalogue.readable(conn, who)
        assert catalogue.fields(known["toilet"], who) == ["phone"]
        assert len(catalogue.fields(known["park"], who)) > 3


def test_each_place_has_a_digest_of_its_own() -> None:
    places = ["bureau", "d-310101", "d-310104", "s-310104014", "s-310104010", "c-demo", "g-none"]
    assert len({actor(p).digest() for p in places}) == len(places)
    assert actor("bureau").digest() == actor(None).digest()
    with db.engine("app").connect() as conn:
        toilet = kinds.one(conn, "toilet")
    assert [scope.shape(actor(p), toilet) for p in ("bureau", "d-310101", "s-310104014", "c-demo")] == [
        "all", "d", "ds", "da"]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"type": "district", "parent": "bureau"}, BadRequest),
        ({"type": "street", "parent": "bureau", "street": "310104014"}, BadRequest),
        ({"type": "street", "parent": "d-310104"}, BadRequest),
        ({"type": "unit", "parent": "bureau", "district": "310104"}, BadRequest),
        ({"type": "unit", "parent": "bureau", "shape": [121, 31, 122, 32]}, BadRequest),
        ({"type": "grid", "parent": "s-310104014", "shape": [122, 31, 121, 32]}, BadRequest),
        ({"type": "village", "parent": "d-310104"}, BadRequest),
        ({"type": "unit", "parent": "nowhere"}, NotFound),
        ({"type": "unit"}, BadRequest),
        ({"type": "ministry", "parent": "bureau"}, BadRequest),
    ],
)
def test_what_does_not_fit_the_tree_is_refused(
    said: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error), db.engine("app").begin() as conn:
        organisations.add(conn, "new-one", {"name": {"zh": "新", "en": "New"}} | said, "t")


def test_a_tree_has_no_ring_and_no_lost_update() -> None:
    with pytest.raises(BadRequest), db.engine("app").begin() as conn:
        organisations.change(conn, "zoo", {"parent": "zoo"}, 1, "t")
    with pytest.raises(VersionConflict), db.engine("app").begin() as conn:
        organisations.change(conn, "zoo", {"name": {"zh": "园", "en": "Zoo"}}, 7, "t")
    with pytest.raises(BadRequest), db.engine("app").begin() as conn:
        organisations.change(conn, "bureau", {"closed": True}, 1, "t")


def test_a_grant_changed_past_the_program_opens_nothing() -> None:
    with db.engine("app").begin() as conn:
        identity.add_account(
            conn, user="victim", name={"zh": "甲", "en": "A"}, password=PASSWORD, roles=["patrol"],
            districts=None, clearance=2, crew=None, organisation="s-310104014", actor="t",
        )  # fmt: skip
        token = identity.issue_token(conn, "victim", 1, "t")
        assert identity.session(conn, token)
    change = "update twin.account set {} where \"user\" = 'victim'"
    for altered, back in [
        ("roles = '{system_admin}'", "roles = '{patrol}'"), ("clearance = 4", "clearance = 2"),
        ("organisation = null", "organisation = 's-310104014'"), ("mac = '\\x00'", None),
    ]:  # fmt: skip
        with db.engine("owner").begin() as conn:
            conn.execute(text(change.format(altered)))
        with db.engine("app").begin() as conn:
            row = identity.session(conn, token)
            with pytest.raises(Unauthorized, match="past this program"):
                identity.actor_of(conn, row)
            conn.rollback()
        with (
            pytest.raises(Unauthorized, match="past this program"),
            db.engine("app").begin() as conn,
        ):
            identity.log_in(conn, "victim", PASSWORD, "x")
        if back:
            with db.engine("owner").begin() as conn:
                conn.execute(text(change.format(back)))
    with db.engine("app").begin() as conn:
        assert accounts.seal_all(conn, "t") == 0
        assert accounts.seal_all(conn, "t", anew=True) > 1
        assert identity.log_in(conn, "victim", PASSWORD, "x")


def test_seals_are_bound_to_use_row_and_home() -> None:
    shut = sealing.shut("totp", "JBSWY3DP", "anna")
    assert sealing.opened("totp", shut, "anna") == "JBSWY3DP"
    assert "JBSWY3DP" not in shut and sealing.shut("totp", "JBSWY3DP", "anna") != shut
    for use, said, about in [("totp", shut, "bert"), ("other", shut, "anna"),
                             ("totp", shut[:-4] + "AAA=", "anna")]:  # fmt: skip
        with pytest.raises(Unavailable):
            sealing.opened(use, said, about)
    assert sealing.holds(sealing.mac("a", 1, "x"), "a", 1, "x")
    assert not sealing.holds(sealing.mac("a", 1, "x"), "b", 1, "x")
    assert not sealing.holds(b"", "a") and not sealing.holds(None, "a")
