"""Values of declared fields: read from text or JSON into their type, or refused with a reason."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from twin.errors import BadRequest
from twin.kinds import Field, Kind

LONGEST_TEXT = 4_000
_TRUE = frozenset("true t yes y 1 是 有 真".split())
_FALSE = frozenset("false f no n 0 否 无 假".split())
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%d/%m/%Y")


class Refused(ValueError):
    """A value that does not fit its field; the message is the reason."""


def missing(value: Any) -> bool:
    """Tell whether a value stands for nothing: None, NaN, NaT, blank text."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value.strip()
    return bool(isinstance(value, float | date) and value != value)


def read(field: Field, raw: Any) -> Any:
    """Return the value of a field as its column holds it; Refused says what is wrong."""
    if missing(raw):
        if field.required:
            raise Refused(f"{field.name}: a value is required")
        return None
    value = _READERS.get(field.type, _text)(field, raw)
    _within(field, value)
    return value


def _within(field: Field, value: Any) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if field.min is not None and value < field.min:
            raise Refused(f"{field.name}: {value} is below {field.min:g}")
        if field.max is not None and value > field.max:
            raise Refused(f"{field.name}: {value} is above {field.max:g}")
    if field.pattern and isinstance(value, str) and not re.search(field.pattern, value):
        raise Refused(f"{field.name}: {value[:60]!r} does not match {field.pattern}")


def _text(field: Field, raw: Any) -> str:
    value = raw if isinstance(raw, str) else _plain(raw)
    value = value.replace("\x00", "").strip()
    if len(value) > LONGEST_TEXT:
        raise Refused(f"{field.name}: longer than {LONGEST_TEXT} characters")
    return value


def _plain(raw: Any) -> str:
    # A whole number that a spreadsheet kept as float is written without its point.
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < 1e15:
        return str(int(raw))
    return str(raw)


def _number(field: Field, raw: Any) -> float:
    if isinstance(raw, bool):
        return float(raw)
    try:
        value = float(raw.replace(",", "").strip() if isinstance(raw, str) else raw)
    except (TypeError, ValueError):
        raise Refused(f"{field.name}: {str(raw)[:60]!r} is not a number") from None
    if not math.isfinite(value):
        raise Refused(f"{field.name}: {raw} is not a finite number")
    return value


def _integer(field: Field, raw: Any) -> int:
    value = _number(field, raw)
    if value != int(value) or abs(value) > 2**62:
        raise Refused(f"{field.name}: {raw} is not a whole number")
    return int(value)


def _boolean(field: Field, raw: Any) -> bool:
    said = str(raw).strip().lower()
    said = said.removesuffix(".0")
    if said in _TRUE:
        return True
    if said in _FALSE:
        return False
    raise Refused(f"{field.name}: {str(raw)[:60]!r} is neither yes nor no")


def _date(field: Field, raw: Any) -> date:
    if isinstance(raw, datetime):
        return raw.date()
    if isinstance(raw, date):
        return raw
    said = _plain(raw).strip()
    for form in _DATES:
        try:
            return datetime.strptime(said.split("T")[0].split(" ")[0], form).date()
        except ValueError:
            continue
    raise Refused(f"{field.name}: {said[:60]!r} is not a date")


def _datetime(field: Field, raw: Any) -> datetime:
    try:
        value = raw if isinstance(raw, datetime) else datetime.fromisoformat(str(raw).strip())
    except ValueError:
        raise Refused(f"{field.name}: {str(raw)[:60]!r} is not a time in RFC 3339") from None
    if value.tzinfo is None:
        raise Refused(f"{field.name}: the time {raw} has no zone")
    return value


def _code(field: Field, raw: Any) -> str:
    """Return the code of a code or of its title in either language."""
    said = _text(field, raw)
    codes: Mapping[str, Any] = field.codes or {}
    if said in codes:
        return said
    for code, title in codes.items():
        titles = title.values() if isinstance(title, Mapping) else (title,)
        if said.casefold() in {str(t).casefold() for t in (*titles, code)}:
            return code
    raise Refused(f"{field.name}: {said[:60]!r} is not one of {', '.join(codes)}")


def _list(field: Field, raw: Any) -> list[str]:
    if isinstance(raw, list | tuple):
        return [_plain(v).strip() for v in raw]
    said = str(raw).strip()
    if said.startswith("["):
        try:
            return [_plain(v) for v in json.loads(said)]
        except (ValueError, TypeError):
            raise Refused(f"{field.name}: {said[:60]!r} is not a list") from None
    return [part.strip() for part in re.split(r"[,;、，；|]", said) if part.strip()]


def _json(field: Field, raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw)
    except ValueError:
        raise Refused(f"{field.name}: {raw[:60]!r} is not JSON") from None


_READERS = {
    "number": _number, "integer": _integer, "boolean": _boolean, "date": _date,
    "datetime": _datetime, "code": _code, "list": _list, "json": _json,
}  # fmt: skip


def checked(kind: Kind, values: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return the declared fields among values, read; BadRequest names each that does not fit."""
    out: dict[str, Any] = {}
    wrong: list[str] = []
    unknown = [k for k in values if k not in kind.fields]
    if unknown:
        raise BadRequest(f"{kind.kind} has no field {', '.join(sorted(unknown))}.", known=sorted(kind.fields))
    for name, field in kind.fields.items():
        if name not in values and not whole:
            continue
        try:
            out[name] = read(field, values.get(name))
        except Refused as why:
            wrong.append(str(why))
    if wrong:
        raise BadRequest("; ".join(wrong) + ".", fields=wrong)
    return out
