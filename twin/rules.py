"""Rules and guards: CEL behind one small adapter, type-checked when a definition is published.

A guard passes only when its result is BOOL true. The binding returns errors as truthy strings, so
the type of the result is asked, never its truth.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from twin.errors import BadRequest

MAX_CHARS = 2000
NAMES = ("c", "p", "actor", "children", "duty")
_FIELD = re.compile(r"\bc\.(\w+)")
_WHOLE = re.compile(r"\bc\b(?!\.\w)")
_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)


class RuleError(BadRequest):
    """A rule could not be evaluated; a person must decide."""

    code = "rule_failed"


@lru_cache(maxsize=8)
def _env(names: tuple[str, ...]) -> Any:
    return cel.NewEnv(variables=dict.fromkeys(names, _MAP))


@lru_cache(maxsize=1024)
def compile_rule(expression: str, names: tuple[str, ...] = NAMES) -> Any:
    """Compile an expression over `c` (case), `p` (parameters) and `actor`, or other names; cached."""
    if len(expression) > MAX_CHARS:
        raise RuleError(f"The rule is longer than {MAX_CHARS} characters; split it.")
    try:
        return _env(names).compile(expression)
    except RuntimeError as why:
        first = str(why).splitlines()[0].removeprefix("INVALID_ARGUMENT: ERROR: ")
        raise RuleError(f"The rule {expression!r} does not compile: {first}") from why


def compile_guard(expression: str, names: tuple[str, ...] = NAMES) -> Any:
    """Compile an expression that must give BOOL."""
    made = compile_rule(expression, names)
    if made.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise RuleError(f"The rule {expression!r} must give true or false.")
    return made


@lru_cache(maxsize=1024)
def _asks(expression: str) -> frozenset[str] | None:
    """Return the fields of `c` that an expression can touch; None where it takes `c` as a whole."""
    if _WHOLE.search(expression):
        return None
    return frozenset(_FIELD.findall(expression))


@lru_cache(maxsize=1024)
def _mentions(expression: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that stand in an expression; what is not named cannot be touched."""
    return tuple(k for k in known if re.search(rf"\b{re.escape(k)}\b", expression))


def _given(
    expression: str, names: Mapping[str, Mapping[str, Any]], known: tuple[str, ...]
) -> dict[str, Mapping[str, Any]]:
    """Return what an expression needs of the names: handing over a whole case costs more than its rule."""
    data = {k: names.get(k, {}) for k in _mentions(expression, known)}
    if "c" in data:
        case, fields = data["c"], _asks(expression)
        data["c"] = dict(case) if fields is None else {k: case[k] for k in fields if k in case}
    return data


# Rules know no clock and no chance: what was given once gives the same again.
_results: dict[tuple[str, tuple[str, ...], bytes], Any] = {}
_REMEMBERED, _LARGE = 4096, 2048
_LASTING = (bool, int, float, str)


def _key(
    expression: str, known: tuple[str, ...], given: dict[str, Any]
) -> tuple[str, tuple[str, ...], bytes] | None:
    """Return a name of an evaluation that tells apart whatever rules can; None for what has none."""
    try:
        # Version 2 says the same of equal values; later ones also say which of them are shared.
        said = marshal.dumps(given, 2)
    except ValueError:
        return None
    return (expression, known, said) if len(said) <= _LARGE else None


def value(
    expression: str, names: Mapping[str, Mapping[str, Any]], known: tuple[str, ...] = NAMES
) -> Any:
    """Evaluate an expression; RuleError carries the reason when it fails."""
    given = _given(expression, names, known)
    key = _key(expression, known, given)
    if key is not None and (kept := _results.get(key)) is not None:
        return kept
    try:
        made = compile_rule(expression, known)
        result = made.eval(data={k: given.get(k, {}) for k in known})
    except RuntimeError as why:
        raise RuleError(f"The rule {expression!r} failed: {str(why).splitlines()[0]}") from why
    if result.type() == cel.Type.ERROR:
        raise RuleError(f"The rule {expression!r} failed: {result.value()}")
    said = result.plain_value()
    if key is not None and type(said) in _LASTING:
        if len(_results) >= _REMEMBERED:
            _results.clear()
        _results[key] = said
    return said


def holds(
    expression: str, names: Mapping[str, Mapping[str, Any]], known: tuple[str, ...] = NAMES
) -> bool:
    """Tell whether a guard holds; anything but BOOL is an error, never a yes."""
    result = value(expression, names, known)
    if not isinstance(result, bool):
        raise RuleError(f"The rule {expression!r} gave {type(result).__name__}, not true or false.")
    return result
