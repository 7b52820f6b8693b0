"""Codes of things (`310104-PK-000123`) and of cases (`SH-GR-20261120-0001`): unique, never reused."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, text

CITY = "310000"
_RESERVE = text(
    "insert into twin.code_serial as s (district, class, last) values (:d, :c, :n) "
    "on conflict (district, class) do update set last = s.last + :n returning last"
)


def reserve(conn: Connection, district: str | None, letters: str, n: int) -> list[str]:
    """Reserve n codes of a class in a district; a rolled-back transaction gives them back."""
    if n == 0:
        return []
    place = district or CITY
    last = int(conn.execute(_RESERVE, {"d": place, "c": letters, "n": n}).scalar_one())
    return [f"{place}-{letters}-{i:06d}" for i in range(last - n + 1, last + 1)]


def reserve_case(conn: Connection, letters: str, day: date) -> str:
    """Reserve the next case code of a class on a day, `SH-<class>-<yyyymmdd>-<serial>`."""
    key = f"SH-{letters}-{day:%Y%m%d}"
    last = int(conn.execute(_RESERVE, {"d": key, "c": "case", "n": 1}).scalar_one())
    return f"{key}-{last:04d}"
