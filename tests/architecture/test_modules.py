"""The module table is whole, and every path that it claims is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = re.compile(r"`([a-z_][\w./]*/[\w./]*)`")


def rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8").splitlines()
    return [
        [c.strip() for c in line.strip("|").split("|")]
        for line in lines
        if re.match(r"\| \d", line)
    ]


def test_all_233_modules_stand_in_the_table_once() -> None:
    assert [int(row[0]) for row in rows()] == list(range(1, 234))
    assert all(row[1] for row in rows())


def test_a_claimed_module_names_place_use_and_test_and_all_are_there() -> None:
    claimed = [row for row in rows() if row[3] != "open"]
    assert claimed
    for no, _, _, state, where, seen, test, stands in claimed:
        assert state in ("part", "yes"), no
        assert where and seen and test and stands, f"module {no} claims without telling"
        for path in PATH.findall(where) + PATH.findall(test):
            assert (ROOT / path).exists(), f"module {no}: {path} is not there"
        assert (ROOT / test.strip("`")).is_file(), no


def test_an_open_module_claims_nothing() -> None:
    assert not [row[0] for row in rows() if row[3] == "open" and any(row[4:])]


def test_the_counts_in_the_text_are_those_of_the_table() -> None:
    text = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    states = [row[3] for row in rows()]
    said = f"Today: {states.count('part')} in part, {states.count('open')} open, {states.count('yes')} complete."
    assert said in text
