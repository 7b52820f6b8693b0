"""What an action must be given: required inputs, and evidence that proves place, time and picture."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from twin import processes
from twin.errors import BadRequest
from twin.process.rows import Case, definition, ids_of

_PHOTO = re.compile(r"^/api/v1/files/([0-9a-f]{64})$")
MAX_TEXT, MAX_PHOTOS, MAX_HOURS = 4000, 24, 24 * 366
_M_PER_DEGREE = 111_195.0
Check = Callable[[Connection, str, Mapping[str, Any], Any, Case], None]


def check(
    conn: Connection, name: str, action: Mapping[str, Any], case: Case, p: Mapping[str, Any]
) -> None:
    """Raise BadRequest with what is missing or does not prove what it should."""
    for key, need in action.get("need", {}).items():
        given = p.get(key)
        if given in (None, "", [], {}):
            other = need.get("or")
            if other is not None and p.get(other) in (None, "", [], {}):
                title = action["need"][other]["title"]["zh"]
                raise BadRequest(
                    f"The action {name} needs {key} ({need['title']['zh']}), or {other} ({title}).",
                    key=key,
                )
            if need.get("required"):
                raise BadRequest(f"The action {name} needs {key} ({need['title']['zh']}).", key=key)
            continue
        _CHECKS[need["type"]](conn, key, need, given, case)


def missing(case: Mapping[str, Any]) -> list[str]:
    """Return what a case lacks before anybody can be sent: place, category, or words and picture."""
    data = case["data"]
    found = (
        ["place"]
        if case["lon"] is None or (case["district"] is None and not data.get("outside"))
        else []
    )
    if not case["category"] or data.get("category_unsure"):
        found.append("category")
    if not data.get("description") and not data.get("photos"):
        found.append("description")
    return found


def mild(action: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Return the mildest values of what an action needs, so only state and actor decide."""
    made = {"photos": ["?"], "hours": 1, "number": 1, "position": [case["lon"], case["lat"]]}
    return {key: made.get(n["type"], "?") for key, n in action.get("need", {}).items()}


def _no(key: str, need: Mapping[str, Any], why: str) -> BadRequest:
    return BadRequest(f"{key} ({need['title']['zh']}): {why}", key=key)


def _text(_conn: Connection, key: str, need: Mapping[str, Any], given: Any, _case: Case) -> None:
    if not isinstance(given, str) or len(given) > MAX_TEXT:
        raise _no(key, need, f"a text of at most {MAX_TEXT} characters is expected.")
    if len(given.strip()) < need.get("min", 1):
        raise _no(key, need, f"write at least {need.get('min', 1)} characters.")


def _number(_conn: Connection, key: str, need: Mapping[str, Any], given: Any, _case: Case) -> None:
    try:
        value = float(given)
    except (TypeError, ValueError) as why:
        raise _no(key, need, "a number is expected.") from why
    if not math.isfinite(value) or not need.get("min", -1e12) <= value <= need.get("max", 1e12):
        low, high = need.get("min", -1e12), need.get("max", 1e12)
        raise _no(key, need, f"a number from {low:g} to {high:g} is expected.")


def _hours(conn: Connection, key: str, need: Mapping[str, Any], given: Any, case: Case) -> None:
    bounds = {"min": 1, "max": MAX_HOURS} | dict(need)
    if isinstance(given, str | bool):
        raise _no(key, need, "give the hours as a number.")
    _number(conn, key, bounds, given, case)


def _choice(_conn: Connection, key: str, need: Mapping[str, Any], given: Any, _case: Case) -> None:
    known = [one["key"] for one in need.get("choices", ())]
    if given not in known:
        raise _no(key, need, f"choose one of {', '.join(known)}.")


def _crew(conn: Connection, key: str, need: Mapping[str, Any], given: Any, _case: Case) -> None:
    # Which crews an actor may send is asked at the door; here only that it can be one.
    _text(conn, key, {**need, "min": 1}, given, _case)


def _category(conn: Connection, key: str, need: Mapping[str, Any], given: Any, case: Case) -> None:
    known = definition(conn, case).get("categories", {})
    if given not in known:
        raise _no(key, need, f"no category is called {str(given)[:48]!r}.")


def _department(conn: Connection, key: str, need: Mapping[str, Any], given: Any, _: Case) -> None:
    known = conn.execute(
        text("select 1 from twin.organisation where code = :c and not closed"), {"c": str(given)}
    ).scalar()
    if known is None:
        raise _no(key, need, f"there is no organisation {str(given)[:64]!r}; take one of the tree.")


def _thing(conn: Connection, key: str, need: Mapping[str, Any], given: Any, _: Case) -> None:
    known = conn.execute(
        text("select 1 from twin.thing where code = :c and gone_at is null"), {"c": str(given)[:64]}
    ).scalar()
    if known is None:
        raise _no(key, need, f"there is no thing {str(given)[:64]!r}.")


def _case(conn: Connection, key: str, need: Mapping[str, Any], given: Any, case: Case) -> None:
    found = ids_of(conn, [str(given)[:64]])
    if not found:
        raise _no(key, need, f"there is no case {str(given)[:64]!r}.")
    if case["id"] in found.values():
        raise _no(key, need, "a case cannot be joined to itself.")


def _photos(conn: Connection, key: str, need: Mapping[str, Any], given: Any, case: Case) -> None:
    least = need.get("min", 1)
    if not isinstance(given, list) or not all(isinstance(url, str) for url in given):
        raise _no(key, need, "a list of addresses of uploaded photos is expected.")
    if not least <= len(given) <= MAX_PHOTOS:
        raise _no(key, need, f"from {least} to {MAX_PHOTOS} photos are expected, not {len(given)}.")
    within = need.get("taken_within")
    if within is not None:
        _taken(conn, key, need, given, timedelta(seconds=processes.seconds(within)))
    if need.get("new"):
        before = {p["url"] if isinstance(p, dict) else p for p in case["data"].get("photos", [])}
        if before & set(given):
            raise _no(key, need, "a photo of before does not show what was done; take a new one.")


def _taken(
    conn: Connection, key: str, need: Mapping[str, Any], given: list[str], span: timedelta
) -> None:
    hashes = [found[1] for url in given if (found := _PHOTO.match(url))]
    since = datetime.now(UTC) - span
    old = conn.execute(
        text("select count(*) from twin.file where hash = any(:h) and created_at < :since"),
        {"h": hashes, "since": since},
    ).scalar_one()
    if old:
        raise _no(key, need, f"{old} of the photos are older than {need['taken_within']}.")


def _position(_conn: Connection, key: str, need: Mapping[str, Any], given: Any, case: Case) -> None:
    lon, lat = point(given, key, need)
    if case["lon"] is None or "within_m" not in need:
        return
    east = (lon - case["lon"]) * math.cos(math.radians((lat + case["lat"]) / 2))
    away = math.hypot(east, lat - case["lat"]) * _M_PER_DEGREE
    if away > need["within_m"]:
        raise _no(
            key, need,
            f"you are {away:.0f} m from the place; {need['within_m']} m at the most prove it.",
        )  # fmt: skip


def point(given: Any, key: str, need: Mapping[str, Any]) -> tuple[float, float]:
    """Return lon, lat of a position given as a pair or as {lon, lat}."""
    pair = [given.get("lon"), given.get("lat")] if isinstance(given, dict) else given
    try:
        lon, lat = (float(str(v)) for v in pair)
    except (TypeError, ValueError) as why:
        raise _no(key, need, "a position is [lon, lat] in degrees.") from why
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise _no(key, need, "a position is [lon, lat] in degrees.")
    return lon, lat


_CHECKS: Mapping[str, Check] = {
    "text": _text, "photos": _photos, "crew": _crew, "department": _department, "hours": _hours,
    "choice": _choice, "position": _position, "number": _number, "case": _case,
    "category": _category, "thing": _thing, "organisation": _department,
}  # fmt: skip
TYPES = frozenset(_CHECKS)
