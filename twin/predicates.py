"""CQL2 JSON becomes SQL: a closed list of operators, types checked, every value a bound parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import ARRAY

from twin.errors import FilterError, UnknownFunction, UnknownProperty, WrongType
from twin.literals import Place, Term, literal, moment, shape, short
from twin.timespans import INSTANTS, OPERATORS, Span, compare, span_of_interval

Tree = Any


@dataclass(frozen=True)
class Property:
    """A column that a filter may name, and its type in CQL2."""

    column: Any
    type: str


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
# Division by nothing gives nothing, as a filter that cannot hold; in SQL it would be an error.
_MATHS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / sa.func.nullif(b, 0.0),
    "div": lambda a, b: sa.func.trunc(a / sa.func.nullif(b, 0.0)),
    "%": lambda a, b: a - b * sa.func.trunc(a / sa.func.nullif(b, 0.0)),
    "^": lambda a, b: sa.func.power(a, b),
}
_SPATIAL = {
    "s_intersects": "ST_Intersects", "s_within": "ST_Within", "s_contains": "ST_Contains",
    "s_disjoint": "ST_Disjoint", "s_touches": "ST_Touches", "s_crosses": "ST_Crosses",
    "s_overlaps": "ST_Overlaps", "s_equals": "ST_Equals",
}  # fmt: skip
_ARRAYS: dict[str, Callable[[Any, Any], Any]] = {
    "a_contains": lambda a, b: a.bool_op("@>")(b),
    "a_containedby": lambda a, b: a.bool_op("<@")(b),
    "a_overlaps": lambda a, b: a.bool_op("&&")(b),
    "a_equals": lambda a, b: sa.and_(a.bool_op("@>")(b), a.bool_op("<@")(b)),
}
FUNCTIONS = ("casei", "accenti")
_SAID = {
    "text": "text", "number": "a number", "boolean": "true or false", "date": "a date",
    "datetime": "a time", "interval": "an interval", "geometry": "a shape", "list": "a list",
    "json": "a document", "id": "text",
}  # fmt: skip


class Compiler:
    """Compiles one filter over known properties."""

    def __init__(self, known: Mapping[str, Property], place: Place, of: str) -> None:
        """Take what may be named, how shapes are written and the name of the collection."""
        self.known, self.place, self.of = known, place, of
        self.operators: dict[str, Callable[[str, list[Tree]], Term]] = {
            "and": self._logic, "or": self._logic, "not": self._not, "isnull": self._is_null,
            "like": self._like, "between": self._between, "in": self._in,
            "casei": self._fold, "accenti": self._fold,
            **dict.fromkeys(_COMPARE, self._comparison), **dict.fromkeys(_MATHS, self._arithmetic),
            **dict.fromkeys(_SPATIAL, self._spatial), **dict.fromkeys(OPERATORS, self._temporal),
            **dict.fromkeys(_ARRAYS, self._array),
        }  # fmt: skip

    def predicate(self, tree: Tree) -> ColumnElement[bool]:
        """Return a tree that gives true or false."""
        term = self.term(tree)
        if term.type != "boolean":
            raise WrongType(f"The filter needs true or false here, not {_SAID[term.type]}.")
        made: ColumnElement[bool] = term.sql
        return made

    def term(self, tree: Tree) -> Term:
        """Return any tree compiled."""
        if isinstance(tree, Mapping):
            return self._mapping(tree)
        if isinstance(tree, list):
            return self._list(tree)
        return literal(tree)

    def _mapping(self, tree: Mapping[str, Any]) -> Term:
        if "op" in tree:
            return self._call(tree)
        if "property" in tree:
            return self._property(tree["property"])
        if "date" in tree or "timestamp" in tree:
            return moment(tree)
        if "interval" in tree:
            ends = _arguments(tree["interval"], "interval", 2)
            return Term(None, "interval", span=span_of_interval([self._end(e) for e in ends]))
        if "bbox" in tree or "type" in tree:
            return Term(shape(tree, self.place), "geometry")
        raise FilterError(f"{short(tree)} is no part of CQL2.")

    def _call(self, tree: Mapping[str, Any]) -> Term:
        said = tree["op"]
        name = said.lower() if isinstance(said, str) else ""
        if name not in self.operators:
            raise UnknownFunction(f"There is no operator or function {short(said)}.", function=said)
        args = tree.get("args")
        if not isinstance(args, list):
            raise FilterError(f"{name} needs its arguments in a list `args`.")
        return self.operators[name](name, args)

    def _property(self, said: Any) -> Term:
        found = self.known.get(said) if isinstance(said, str) else None
        if found is None:
            raise UnknownProperty(f"{self.of} has no property {short(said)}.", property=said)
        if found.type == "id":
            return Term(sa.cast(found.column, sa.Text), "text")
        if found.type in ("date", "datetime"):
            span = Span(found.column, found.column, found.type == "date")
            return Term(found.column, found.type, span=span)
        return Term(found.column, found.type, whole=isinstance(found.column.type, sa.Integer))

    def _list(self, said: Sequence[Tree]) -> Term:
        values = [v for v in said if isinstance(v, str)]
        if len(values) != len(said):
            raise WrongType("A list is written as texts: ('a', 'b').")
        for value in values:
            literal(value)
        return Term(sa.literal(values, ARRAY(sa.Text)), "list", values)

    def _end(self, said: Tree) -> Span | None:
        """Return one end of an interval; None where it is open."""
        if said == "..":
            return None
        term = moment({"date" if len(said) == 10 else "timestamp": said}) if isinstance(
            said, str
        ) else self.term(said)  # fmt: skip
        if term.type not in ("date", "datetime"):
            raise WrongType("An interval goes from a date or time to another, or to '..'.")
        return term.span

    def _logic(self, name: str, args: list[Tree]) -> Term:
        if len(args) < 2:
            raise FilterError(f"{name} needs two conditions or more.")
        join = sa.and_ if name == "and" else sa.or_
        return Term(join(*(self.predicate(a) for a in args)), "boolean")

    def _not(self, name: str, args: list[Tree]) -> Term:
        (one,) = _arguments(args, name, 1)
        return Term(sa.not_(self.predicate(one)), "boolean")

    def _is_null(self, name: str, args: list[Tree]) -> Term:
        (one,) = _arguments(args, name, 1)
        term = self.term(one)
        if term.sql is None:
            raise WrongType("An interval is never null; ask for its ends.")
        return Term(term.sql.is_(None), "boolean")

    def _pair(self, name: str, args: list[Tree]) -> tuple[Term, Term]:
        first, second = _arguments(args, name, 2)
        return agree(self.term(first), self.term(second), name)

    def _comparison(self, name: str, args: list[Tree]) -> Term:
        a, b = self._pair(name, args)
        return Term(_compared(name, a, b), "boolean")

    def _between(self, name: str, args: list[Tree]) -> Term:
        value, low, high = (self.term(a) for a in _arguments(args, name, 3))
        above = _compared(">=", *agree(value, low, name))
        below = _compared("<=", *agree(value, high, name))
        return Term(sa.and_(above, below), "boolean")

    def _in(self, name: str, args: list[Tree]) -> Term:
        first, listed = _arguments(args, name, 2)
        if not isinstance(listed, list) or not listed:
            raise FilterError("in needs a list of values.")
        value = self.term(first)
        pairs = [agree(value, self.term(one), name) for one in listed]
        return Term(sa.or_(*(_compared("=", a, b) for a, b in pairs)), "boolean")

    def _like(self, name: str, args: list[Tree]) -> Term:
        first, pattern = (self.term(a) for a in _arguments(args, name, 2))
        for term in (first, pattern):
            if term.type != "text":
                raise WrongType(f"like compares text with a pattern, not {_SAID[term.type]}.")
        if pattern.value is None:
            raise FilterError("The pattern of like is a text in quotes, or casei/accenti of one.")
        if (len(pattern.value) - len(pattern.value.rstrip("\\"))) % 2:
            raise FilterError("The pattern of like ends with a single \\; write \\\\ for the sign.")
        return Term(first.sql.like(pattern.sql), "boolean")

    def _fold(self, name: str, args: list[Tree]) -> Term:
        (one,) = _arguments(args, name, 1)
        term = self.term(one)
        if term.type != "text":
            raise WrongType(f"{name} folds text, not {_SAID[term.type]}.")
        if name == "casei":
            return Term(sa.func.lower(term.sql), "text", term.value)
        apart = sa.func.normalize(term.sql, sa.literal_column("NFD"))
        marks: Any = sa.literal_column("'[\u0300-\u036f]'")
        bare = sa.func.regexp_replace(
            apart, marks, sa.literal_column("''"), sa.literal_column("'g'")
        )
        return Term(bare, "text", term.value)

    def _arithmetic(self, name: str, args: list[Tree]) -> Term:
        sides = [self.term(a) for a in _arguments(args, name, 2)]
        for term in sides:
            if term.type != "number":
                raise WrongType(f"{name} reckons with numbers, not with {_SAID[term.type]}.")
        a, b = (sa.cast(t.sql, sa.Double) if t.value is None else t.sql for t in sides)
        return Term(_MATHS[name](a, b), "number")

    def _spatial(self, name: str, args: list[Tree]) -> Term:
        a, b = (self.term(x) for x in _arguments(args, name, 2))
        for term in (a, b):
            if term.type != "geometry":
                raise WrongType(f"{name} compares shapes, not {_SAID[term.type]}.")
        test = getattr(sa.func.public, _SPATIAL[name])(a.sql, b.sql)
        if name == "s_disjoint":
            return Term(test, "boolean")
        # The box says most of it and uses the index; the function says the rest.
        return Term(sa.and_(a.sql.bool_op("&&")(b.sql), test), "boolean")

    def _temporal(self, name: str, args: list[Tree]) -> Term:
        a, b = (_temporal(self.term(x), name) for x in _arguments(args, name, 2))
        return Term(compare(name, a, b), "boolean")

    def _array(self, name: str, args: list[Tree]) -> Term:
        a, b = (self.term(x) for x in _arguments(args, name, 2))
        for term in (a, b):
            if term.type != "list":
                raise WrongType(f"{name} compares lists, not {_SAID[term.type]}.")
        return Term(_ARRAYS[name](a.sql, b.sql), "boolean")


def _arguments(args: Any, name: str, wanted: int) -> list[Tree]:
    if not isinstance(args, list) or len(args) != wanted:
        raise FilterError(f"{name} takes {wanted} argument{'s' if wanted > 1 else ''}.")
    return args


def agree(a: Term, b: Term, name: str) -> tuple[Term, Term]:
    """Return both sides made comparable; WrongType says why they are not."""
    a, b = _like_other(a, b), _like_other(b, a)
    kinds = {a.type, b.type}
    if kinds == {"date", "datetime"} or (len(kinds) == 1 and kinds <= _PLAIN):
        return a, b
    if len(kinds) == 1:
        raise WrongType(f"{name} does not compare {_SAID[a.type]} with another one.")
    raise WrongType(f"{name} cannot compare {_SAID[a.type]} with {_SAID[b.type]}{_hint(a, b)}.")


_PLAIN = frozenset({"text", "number", "boolean", "date", "datetime"})


def _like_other(one: Term, other: Term) -> Term:
    """Return a literal written the way the other side is: a date as text, a whole number."""
    if one.type == "text" and one.value is not None and other.type in ("date", "datetime"):
        return moment({"date" if len(one.value) == 10 else "timestamp": one.value})
    whole = other.whole and one.type == "number" and one.value is not None
    if whole and float(one.value).is_integer() and abs(one.value) < 2**53:
        return Term(sa.literal(int(one.value), sa.BigInteger), "number", one.value)
    return one


def _hint(a: Term, b: Term) -> str:
    if {a.type, b.type} == {"text", "number"}:
        return "; text is written in quotes, a number without"
    return ""


def _compared(name: str, a: Term, b: Term) -> Any:
    if a.span is not None and b.span is not None and a.type != b.type:
        return compare(name, a.span, b.span)
    return _COMPARE[name](a.sql, b.sql)


def _temporal(term: Term, name: str) -> Span:
    if term.type == "text" and term.value is not None:
        term = moment({"date" if len(term.value) == 10 else "timestamp": term.value})
    if term.span is None:
        raise WrongType(f"{name} compares dates, times and intervals, not {_SAID[term.type]}.")
    if name not in INSTANTS and term.type != "interval" and name not in ("t_during", "t_contains"):
        raise WrongType(f"{name} compares two intervals; write interval(from, to).")
    return term.span
