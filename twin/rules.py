"""Rules and guards: CEL behind one small adapter, type-checked when a definition is published.

A guard passes only when its result is BOOL true. The binding returns errors as truthy strings, so
the type of the result is asked, never its truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from twin.errors import BadRequest

MAX_CHARS = 2000
NAMES = ("c", "p", "actor", "children", "duty")
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


def value(
    expression: str, names: Mapping[str, Mapping[str, Any]], known: tuple[str, ...] = NAMES
) -> Any:
    """Evaluate an expression; RuleError carries the reason when it fails."""
    try:
        made = compile_rule(expression, known)
        result = made.eval(data={k: names.get(k, {}) for k in known})
    except RuntimeError as why:
        raise RuleError(f"The rule {expression!r} failed: {str(why).splitlines()[0]}") from why
    if result.type() == cel.Type.ERROR:
        raise RuleError(f"The rule {expression!r} failed: {result.value()}")
    return result.plain_value()


def holds(
    expression: str, names: Mapping[str, Mapping[str, Any]], known: tuple[str, ...] = NAMES
) -> bool:
    """Tell whether a guard holds; anything but BOOL is an error, never a yes."""
    result = value(expression, names, known)
    if not isinstance(result, bool):
        raise RuleError(f"The rule {expression!r} gave {type(result).__name__}, not true or false.")
    return result
