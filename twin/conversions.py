"""What becomes of values when a field changes its type: the SQL, and what that would lose."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.dialects import postgresql

from twin.kinds import Field
from twin.tables import column_type

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_NUMBER = r"'^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{{1,2}})?\s*$'"
_WHOLE = r"'^\s*[-+]?\d{{1,18}}\s*$'"
_TRUE = "('true', 't', '1', 'yes', '是', '有')"
_FALSE = "('false', 'f', '0', 'no', '否', '无')"
_CITY = "at time zone 'Asia/Shanghai'"


@dataclass(frozen=True)
class Conversion:
    """`using` is SQL over `{0}`; `exact` tells that no value can be lost."""

    using: str
    exact: bool


def sql_type(field: Field) -> str:
    """Return the column type of a field as SQL."""
    made = column_type(field)
    made = made() if isinstance(made, type) else made
    return str(made.compile(dialect=_DIALECT))


def family(field: Field) -> str:
    """Return how a field is stored: text, integer, number, boolean, date, datetime, list or json."""
    known = ("integer", "number", "boolean", "date", "datetime", "list", "json")
    return field.type if field.type in known else "text"


_CONVERSIONS: dict[tuple[str, str], Conversion] = {
    ("integer", "number"): Conversion("{0}::double precision", True),
    ("integer", "text"): Conversion("{0}::text", True),
    ("number", "text"): Conversion("{0}::text", True),
    ("boolean", "text"): Conversion("{0}::text", True),
    ("date", "text"): Conversion("{0}::text", True),
    ("datetime", "text"): Conversion("to_char({0} " + _CITY + ", 'YYYY-MM-DD\"T\"HH24:MI:SS') || '+08:00'", True),
    ("date", "datetime"): Conversion("{0}::timestamp " + _CITY, True),
    ("text", "list"): Conversion("case when {0} is not null then array[{0}] end", True),
    ("boolean", "integer"): Conversion("{0}::int::bigint", True),
    ("number", "integer"): Conversion("case when {0} = trunc({0}) and abs({0}) < 9e15 then {0}::bigint end", False),
    ("datetime", "date"): Conversion("({0} " + _CITY + ")::date", False),
    ("text", "number"): Conversion("case when {0} ~ " + _NUMBER + " then trim({0})::double precision end", False),
    ("text", "integer"): Conversion("case when {0} ~ " + _WHOLE + " then trim({0})::bigint end", False),
    ("text", "boolean"): Conversion(
        "case when lower({0}) in " + _TRUE + " then true when lower({0}) in " + _FALSE + " then false end", False),
    ("text", "date"): Conversion("twin.date_or_null({0})", False),
    ("text", "datetime"): Conversion("twin.moment_or_null({0})", False),
    ("list", "text"): Conversion("array_to_string({0}, '、')", False),
}  # fmt: skip
# What has no reading in the new type is dropped; the journal keeps it.
_NOTHING = Conversion("null::text", False)


def between(old: Field, new: Field) -> Conversion | None:
    """Return how the values of a field become those of another type; None when they stay."""
    a, b = family(old), family(new)
    return None if a == b else _CONVERSIONS.get((a, b), _NOTHING)


def using(old: Field, new: Field, column: str) -> str:
    """Return the SQL that rewrites a column of the old type into the new one."""
    found = between(old, new) or _NOTHING
    if found is _NOTHING:
        return f"null::{sql_type(new)}"
    return found.using.format(column)


def lossy(old: Field, new: Field, column: str) -> str:
    """Return the condition of a value that a conversion would lose."""
    found = between(old, new)
    if found is None or found.exact:
        return "false"
    if found is _NOTHING:
        return f"{column} is not null"
    if (family(old), family(new)) == ("datetime", "date"):
        return f"{column} <> ({found.using.format(column)})::timestamp {_CITY}"
    if (family(old), family(new)) == ("list", "text"):
        return f"cardinality({column}) > 1"
    return f"{column} is not null and ({found.using.format(column)}) is null"


_JSON = {"integer": "bigint", "number": "double precision", "boolean": "boolean", "date": "date",
         "datetime": "timestamptz", "text": "text"}  # fmt: skip


def of_history(old: Field, new: Field, name: str) -> str | None:
    """Return the SQL of the JSON value that a kept past value gets; None when it reads as it is."""
    found = between(old, new)
    if found is None or (old.type == "integer" and new.type == "number"):
        return None
    if family(old) == "list":
        said = f"(select array_agg(x) from jsonb_array_elements_text(case when jsonb_typeof(attributes->'{name}') = 'array' then attributes->'{name}' else '[]' end) x)"  # noqa: E501
    else:
        said = f"(attributes->>'{name}')::{_JSON.get(family(old), 'text')}"
    return f"to_jsonb({found.using.format(said)})"
