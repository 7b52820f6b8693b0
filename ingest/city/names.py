"""Plausible names: roads after places of the country, parks, companies, people, plates."""

from __future__ import annotations

import numpy as np
from pypinyin import Style, lazy_pinyin

from ingest.city.plane import facts

_SAID = facts("names.json")
_PLACES: list[str] = _SAID["places"]
_LETTERS_A: str = _SAID["first"]
_LETTERS_B: str = _SAID["second"]
_PARK_A: list[str] = _SAID["park_first"]
_PARK_B: list[str] = _SAID["park_second"]
AMENITIES: list[str] = _SAID["amenities"]
CONTRACTORS: list[str] = _SAID["contractors"]
SURNAMES: str = _SAID["surnames"]
GIVEN: list[str] = _SAID["given"]
# Name, Latin name, share of the street trees.
SPECIES: list[tuple[str, str, float]] = [tuple(s) for s in _SAID["street_species"]]
FOREST_SPECIES: list[str] = _SAID["forest_species"]
_COMPASS = {0: ("东", "中", "西"), 1: ("北", "中", "南")}


def roads(gen: np.random.Generator, eastward: np.ndarray, long: np.ndarray) -> list[str]:
    """Return a name for each road; long ones after places, short ones of two letters."""
    taken: set[str] = set()
    out = []
    order = gen.permutation(len(_PLACES))
    used = 0
    for east, is_long in zip(eastward, long, strict=True):
        if is_long and used < 3 * len(_PLACES):
            place, part = (
                _PLACES[order[used % len(_PLACES)]],
                _COMPASS[0 if east else 1][used // len(_PLACES)],
            )
            name = f"{place}{part if used >= len(_PLACES) or is_long else ''}路"
            used += 1
        else:
            name = _two(gen) + ("路" if is_long or gen.random() < 0.8 else "街")
        while name in taken:
            name = _two(gen) + "路"
            if len(taken) > 1_200:
                name = _two(gen)[0] + name
        taken.add(name)
        out.append(name)
    return out


def _two(gen: np.random.Generator) -> str:
    a, b = int(gen.integers(len(_LETTERS_A))), int(gen.integers(len(_LETTERS_B)))
    return _LETTERS_A[a] + _LETTERS_B[b]


# What the last characters of a street's or town's name say, the longest first.
_ENDS = {
    "中国（上海）自由贸易试验区（保税片区）": "Shanghai Free Trade Zone, Bonded Area",
    "高新技术产业开发区": "High-Tech Zone", "新兴技术开发区": "Technology Zone",
    "经济技术开发区": "Development Zone", "高科技园区": "High-Tech Park",
    "现代农业园区": "Farm Park", "出口加工区": "Export Zone", "工业园区": "Industrial Park",
    "工业区": "Industrial Zone", "开发区": "Development Zone", "旅游区": "Tourist Zone",
    "度假区": "Resort", "园区": "Park", "街道": "Subdistrict", "农场": "Farm",
    "林场": "Forest Farm", "镇": "Town", "乡": "Township",
}  # fmt: skip


def english(name: str) -> str:
    """Return the English name of a street or town: what it is called in pinyin, what it is in a word."""
    end = next((end for end in _ENDS if name.endswith(end)), "")
    called = "".join(lazy_pinyin(name.removesuffix(end), style=Style.NORMAL, v_to_u=True))
    return f"{called.capitalize()} {_ENDS.get(end, '')}".strip()


def street(gen: np.random.Generator) -> str:
    """Return the name of some street."""
    return _two(gen) + "路"


def place(gen: np.random.Generator) -> str:
    """Return a word that sites and estates are named by."""
    return _PARK_A[int(gen.integers(len(_PARK_A)))] + _PARK_B[int(gen.integers(len(_PARK_B)))]


def park(gen: np.random.Generator, taken: set[str], area_m2: float) -> str:
    """Return a park's name that is not taken yet."""
    ending = "公园" if area_m2 > 9_000 else "口袋公园" if area_m2 < 5_000 else "绿苑公园"
    while True:
        name = (
            _PARK_A[int(gen.integers(len(_PARK_A)))]
            + _PARK_B[int(gen.integers(len(_PARK_B)))]
            + ending
        )
        if gen.random() < 0.4:
            name = _two(gen) + name[2:]
        if name not in taken:
            taken.add(name)
            return name


def person(gen: np.random.Generator) -> str:
    """Return a plausible personal name."""
    return SURNAMES[int(gen.integers(len(SURNAMES)))] + GIVEN[int(gen.integers(len(GIVEN)))]


def plate(gen: np.random.Generator, taken: set[str], electric: bool) -> str:
    """Return a plate in the form of the city's, not taken yet; new-energy plates have six signs."""
    letters = "ABCDEFGHJKLMN"
    while True:
        area = letters[int(gen.integers(len(letters)))]
        digits = "".join(str(d) for d in gen.integers(0, 10, 5))
        made = f"沪{area}·{'D' + digits if electric else digits}"
        if made not in taken:
            taken.add(made)
            return made
