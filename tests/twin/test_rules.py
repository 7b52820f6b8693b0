"""CEL guards: type-checked at publish, errors never pass, hostile expressions refused."""

from __future__ import annotations

import time

import pytest

from twin import rules

CASE = {"c": {"text": "abcd", "n": 3, "spam": False, "nothing": None}}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("size(c.text) > 3 && !c.spam", True),
        ("c.n > 5", False),
        ("c.nothing == null", True),
        ("has(c.gone)", False),
    ],
)
def test_guards_tell_yes_and_no(expression: str, expected: bool) -> None:
    assert rules.holds(expression, CASE) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "c.gone > 3",  # missing key
        "c.text > 3",  # wrong type
        "c.nothing > 3",  # null
        "c.n",  # no boolean
        "c.text",  # a truthy string is no yes
    ],
)
def test_a_guard_that_fails_is_an_error_and_no_yes(expression: str) -> None:
    with pytest.raises(rules.RuleError):
        rules.holds(expression, CASE)


@pytest.mark.parametrize(
    "expression",
    [
        "unknown > 1",
        "1 +",
        "c.n == 1 ? 1 : 'a'",
        "().__class__",
        "__import__('os').system('id')",
        "(" * 5000 + "1" + ")" * 5000,
        " + ".join(["1"] * 20000),
        "size(",
    ],
)
def test_hostile_and_broken_expressions_are_refused_at_publish(expression: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(rules.RuleError):
        rules.compile_guard(expression)
    assert time.perf_counter() - begun < 5, "refusing must not hang"


def test_a_rule_that_would_run_for_ever_ends() -> None:
    many = "[1,2,3,4,5,6,7,8,9,10]"
    nested = f"{many}.map(a, {many}.map(b, {many}.map(d, {many}.map(e, {many}.map(f, 1)))))"
    with pytest.raises(rules.RuleError):
        rules.value(f"size({nested}.map(g, {nested})) > 0", CASE)
