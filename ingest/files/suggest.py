"""Suggestions which column is which field, from names and from what stands in the cells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from typing import Any

from ingest.files import columns as naming
from ingest.files import values
from twin.kinds import Field, Kind

# Above SURE a suggestion is taken without asking; two within CLOSE of each other are ambiguous.
SURE, SHOWN, CLOSE = 0.75, 0.35, 0.08
_LOOKED = 200
_UNITS = re.compile(
    r"(平方米|平方公里|公里|公顷|千米|厘米|毫米|米|吨|公斤|亩|元|万元|m2|㎡|km|cm|mm|ha|kg|t|m)$"
)
_PHONE = re.compile(r"^(\+?86[- ]?)?(1[3-9]\d{9}|0\d{2,3}[- ]?\d{7,8}|\d{8})$")
_PLATE = re.compile(
    r"^[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][A-Z0-9]{5,6}$"
)
_CODE = re.compile(r"^\d{6}-[A-Z]{2,3}-\d{6,}$")
_SPEAKS = {
    "phone": (_PHONE, ("phone", "tel", "电话", "手机")),
    "plate": (_PLATE, ("plate", "车牌")),
}
_DEGREES = {"x": (73.0, 136.0), "y": (3.0, 54.0)}


@dataclass(order=True)
class Suggestion:
    """One column and what it may be: score 0–1 and the reason as a word that a screen translates."""

    score: float
    column: str = field(compare=False)
    target: str = field(compare=False)
    why: str = field(compare=False)


@dataclass
class Column:
    """A column of a file for the screen: samples, the chosen target, all suggestions."""

    name: str
    samples: list[str]
    filled: float
    target: str | None = None
    score: float = 0.0
    why: str = ""
    ambiguous: bool = False
    others: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Suggested:
    """What a file probably is: its columns, where the place stands, what names a row."""

    columns: list[Column]
    key: str | None
    x: str | None
    y: str | None
    wkt: str | None
    source: str | None

    @property
    def mapping(self) -> dict[str, str]:
        """Return column → field of what is sure enough."""
        return {c.name: c.target for c in self.columns if c.target}

    def json(self) -> dict[str, Any]:
        """Return it as the API answers."""
        return asdict(self) | {"mapping": self.mapping}


def suggest(kind: Kind, cells: Mapping[str, Sequence[Any]], said: Mapping[str, str]) -> Suggested:
    """Return suggestions for a file's columns; `said` (column → field) is what is known already."""
    found = naming.find(kind, cells, said, key=None, x=None, y=None)
    samples = {name: _samples(column) for name, column in cells.items()}
    made = {
        n: Column(n, [str(v)[:60] for v in s[:3]], _filled(cells[n])) for n, s in samples.items()
    }
    ranked: list[Suggestion] = []
    for name, target in said.items():
        if name in made:
            made[name].target = None if target in (naming.LEFT_OUT, "") else target
            made[name].score, made[name].why = 1.0, "remembered"
    place = {found.x, found.y, found.wkt} - {None}
    for name in cells:
        if name not in said and name not in place and samples[name]:
            ranked += _candidates(kind, name, samples[name])
    _assign(made, sorted(ranked, reverse=True), taken={t for t in said.values()})
    x, y = found.x or _degrees(samples, made, "x"), found.y or _degrees(samples, made, "y")
    return Suggested(
        list(made.values()), _key(found, made), x, y, found.wkt, _one_source(cells),
    )  # fmt: skip


def _samples(column: Sequence[Any]) -> list[Any]:
    """Return different values of a column, the first of them."""
    said: dict[str, Any] = {}
    for cell in column[:2000]:
        if cell is not None and str(cell).strip().lower() not in values.NOTHING:
            said.setdefault(str(cell), cell)
            if len(said) == _LOOKED:
                break
    return list(said.values())


def _filled(column: Sequence[Any]) -> float:
    looked = column[:2000]
    return round(sum(c is not None for c in looked) / len(looked), 2) if looked else 0.0


def _candidates(kind: Kind, name: str, samples: list[Any]) -> Iterator[Suggestion]:
    for target in ("name", "code", *kind.fields):
        score, why = _by_words(kind, name, target)
        about = kind.fields.get(target)
        fits = _fits(about, target, samples)
        if score and samples and fits < 0.5:
            score, why = score * 0.4, "misfit"
        elif about is not None and score < 0.7:
            content, reason = _by_content(about, samples, fits)
            if content > score:
                score, why = content, reason
        if score >= SHOWN:
            yield Suggestion(round(score, 2), name, target, why)


def _by_words(kind: Kind, name: str, target: str) -> tuple[float, str]:
    said = naming.plain(name)
    bare = _UNITS.sub("", said)
    best, why = 0.0, ""
    own = naming.spoken(kind, target)
    for rank, word in enumerate([*own, *kind.synonyms.get(target, ())]):
        known = naming.plain(word)
        if not known or not said:
            continue
        if said == known:
            return (1.0, "name") if rank < len(own) else (0.95, "synonym")
        score = _alike(said, bare, known)
        if score > best:
            best, why = score, "similar"
    return best, why


def _alike(said: str, bare: str, known: str) -> float:
    if bare and bare == _UNITS.sub("", known):
        return 0.9
    shorter, longer = sorted((said, known), key=len)
    if len(shorter) >= 2 and shorter in longer:
        return 0.45 + 0.35 * len(shorter) / len(longer)
    ratio = SequenceMatcher(None, said, known).ratio()
    return 0.7 * ratio if ratio > 0.72 else 0.0


def _fits(about: Field | None, target: str, samples: list[Any]) -> float:
    """Return the share of the samples that can be read as the field."""
    if not samples:
        return 1.0
    if about is None:
        return (
            1.0
            if target == "name"
            else sum(bool(_CODE.match(str(s))) for s in samples) / len(samples)
        )
    good = 0
    for cell in samples:
        try:
            values.parse(cell, about)
            good += 1
        except values.Unfit:
            pass
    return good / len(samples)


def _by_content(about: Field, samples: list[Any], fits: float) -> tuple[float, str]:
    """Return a score from the cells alone: code lists, dates, telephones and plates tell much."""
    if len(samples) < 2 or fits < 0.9:
        return 0.0, ""
    if about.type == "code" and len(samples) <= 3 * len(about.codes or ()):
        # Digits fit many code lists; words fit one.
        words = sum(not str(s).strip().isdigit() for s in samples) / len(samples)
        return 0.4 + 0.35 * words, "codes"
    if about.type in ("date", "datetime") and all(
        isinstance(s, str) or hasattr(s, "year") for s in samples
    ):
        return 0.45, "dates"
    for pattern, names in _SPEAKS.values():
        if any(n in about.name or n in about.title.get("zh", "") for n in names):
            share = sum(bool(pattern.match(str(s).strip())) for s in samples) / len(samples)
            return (0.65, "pattern") if share > 0.9 else (0.0, "")
    if about.pattern:
        return 0.5, "pattern"
    return 0.0, ""


def _assign(made: dict[str, Column], ranked: list[Suggestion], taken: set[str]) -> None:
    for one in ranked:
        column = made[one.column]
        if len(column.others) < 5:
            column.others.append({"target": one.target, "score": one.score, "why": one.why})
        if (
            column.target is None
            and not column.why
            and one.target not in taken
            and one.score >= SURE
        ):
            column.target, column.score, column.why = one.target, one.score, one.why
            taken.add(one.target)
    for column in made.values():
        if column.why in ("remembered", "name"):
            continue
        best = [
            o for o in column.others if o["target"] == column.target or o["target"] not in taken
        ]
        column.ambiguous = bool(
            (column.target is None and best and best[0]["score"] >= 0.5)
            or (len(best) > 1 and column.target and best[0]["score"] - best[1]["score"] < CLOSE)
        )


def _degrees(
    samples: Mapping[str, list[Any]], made: Mapping[str, Column], which: str
) -> str | None:
    """Return the one column whose numbers look like longitudes or latitudes of the country."""
    low, high = _DEGREES[which]
    found = []
    for name, cells in samples.items():
        numbers = [_number(c) for c in cells]
        if made[name].target or not numbers or any(n is None for n in numbers):
            continue
        # Degrees are written with decimals; whole numbers are counts.
        if all(low <= n <= high and n != int(n) for n in numbers if n is not None):
            found.append(name)
    return found[0] if len(found) == 1 else None


def _number(cell: Any) -> float | None:
    try:
        return float(str(cell))
    except ValueError:
        return None


def _key(found: naming.Mapping_, made: Mapping[str, Column]) -> str | None:
    coded = next((c.name for c in made.values() if c.target == "code"), None)
    return coded or found.key


def _one_source(cells: Mapping[str, Sequence[Any]]) -> str | None:
    """Return the source that every row of an export names, if it is one."""
    said = {c for c in cells.get("source", ()) if c is not None}
    return str(said.pop()) if len(said) == 1 and "source_key" in cells else None
