"""Cells become typed values; what does not fit is a reason, never a guess."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from twin.kinds import Field

_TRUE = frozenset(("1", "true", "t", "yes", "y", "是", "有", "√"))
_FALSE = frozenset(("0", "false", "f", "no", "n", "否", "无", "none", "×"))
_DATE = re.compile(r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_LIST = re.compile(r"[、,，;；|]")
SAFE_INT = 2**53
NOTHING = frozenset(("", "null", "none", "nan", "n/a", "na", "-", "无数据"))


class Unfit(ValueError):
    """The cell does not fit the field; the message is the reason shown to the data officer."""


def _number(cell: Any) -> float:
    try:
        value = float(str(cell).replace(",", "").strip())
    except ValueError as why:
        raise Unfit(f"{cell!r} is no number") from why
    if not math.isfinite(value):
        raise Unfit(f"{cell!r} is no finite number")
    return value


def _integer(cell: Any) -> int:
    value = _number(cell)
    if value != int(value) or abs(value) > SAFE_INT:
        raise Unfit(f"{cell!r} is no whole number")
    return int(value)


def _boolean(cell: Any) -> bool:
    low = str(cell).strip().lower().removesuffix(".0")
    if low in _TRUE:
        return True
    if low in _FALSE:
        return False
    raise Unfit(f"{cell!r} is neither yes nor no")


def _date(cell: Any) -> dt.date:
    if isinstance(cell, dt.datetime):
        return cell.date()
    if isinstance(cell, dt.date):
        return cell
    found = _DATE.match(str(cell).strip())
    try:
        if found:
            return dt.date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError as why:
        raise Unfit(f"{cell!r} is no date ({why})") from why
    raise Unfit(f"{cell!r} is no date; write it like 2026-11-20")


def _moment(cell: Any) -> dt.datetime:
    try:
        value = cell if isinstance(cell, dt.datetime) else dt.datetime.fromisoformat(str(cell))
    except ValueError as why:
        raise Unfit(f"{cell!r} is no time; write it like 2026-11-20T08:00:00+08:00") from why
    # A file of the city without an offset means local time (Asia/Shanghai has no summer time).
    return value if value.tzinfo else value.replace(tzinfo=dt.timezone(dt.timedelta(hours=8)))


def _list(cell: Any) -> list[str]:
    parts = cell if isinstance(cell, list | tuple) else _LIST.split(str(cell))
    return [str(p).strip() for p in parts if str(p).strip()]


def _json(cell: Any) -> str:
    try:
        return json.dumps(json.loads(cell) if isinstance(cell, str) else cell, ensure_ascii=False)
    except ValueError as why:
        raise Unfit("this is no JSON") from why


def _text(cell: Any) -> str:
    said = str(cell).strip()
    if "\x00" in said:
        raise Unfit("a NUL character stands in the text")
    return said.removesuffix(".0") if isinstance(cell, float) else said


_PARSE: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _date,
    "datetime": _moment,
    "list": _list,
    "json": _json,
}


def _code(cell: Any, field: Field) -> str:
    said, codes = _text(cell), field.codes or {}
    if said in codes:
        return said
    low = said.lower()
    for code, title in codes.items():
        titles = title.values() if isinstance(title, Mapping) else (title,)
        if low == code.lower() or any(low == str(t).lower() for t in titles):
            return code
    raise Unfit(f"{said!r} is not in the code list ({', '.join(list(codes)[:12])})")


def parse(cell: Any, field: Field) -> Any:
    """Return the typed value of a cell, None for nothing; Unfit carries the reason."""
    # A code list may have a word of its own that means nothing elsewhere.
    listed = isinstance(cell, str) and cell.strip() in (field.codes or ())
    if cell is None or (isinstance(cell, str) and not listed and cell.strip().lower() in NOTHING):
        if field.required:
            raise Unfit(f"{field.name} is required and empty")
        return None
    try:
        read: Callable[[Any], Any] = _PARSE.get(field.type, _text)
        value = _code(cell, field) if field.type == "code" else read(cell)
        _check(value, field)
    except Unfit as why:
        raise Unfit(f"{field.name}: {why}") from why
    return value


def _check(value: Any, field: Field) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if field.min is not None and value < field.min:
            raise Unfit(f"{value} is below {field.min}")
        if field.max is not None and value > field.max:
            raise Unfit(f"{value} is above {field.max}")
    if field.pattern and not re.fullmatch(field.pattern, str(value)):
        raise Unfit(f"{value!r} does not match {field.pattern}")
