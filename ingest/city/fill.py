"""Plausible values for any kind from its declaration alone: what a generator knows of nothing else."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ingest.city import names
from twin.kinds import Field, Kind

TODAY = dt.date(2026, 11, 20)
_CST = dt.timezone(dt.timedelta(hours=8))
Codes = Mapping[str, Sequence[str]]
# What is usual, by name first, then by unit; the declared bounds always hold.
_BY_NAME: dict[str, tuple[float, float]] = {
    "score": (72, 99), "ph": (6.9, 8.2), "soil_ph": (5.8, 7.8), "canopy": (0.3, 0.9), "year": (2018, 2026),
    "founded_year": (1985, 2020), "built_year": (2005, 2024), "encroached_m2": (0, 0), "leak_ma": (0, 18),
    "capacity_pct": (15, 92), "tilt_deg": (-1.5, 1.5), "lean_deg": (0, 12), "heading_deg": (0, 360),
    "confidence": (0.6, 0.99), "points": (0, 6), "satisfaction": (3, 5), "class": (1, 4), "taxa": (20, 400),
    "peak": (200, 4000), "visitors": (500, 12000), "residents": (900, 6000), "households": (250, 2200),
    "height_m": (3, 40), "max_per_min": (40, 300), "uncertainty_pct": (8, 28), "cloud_pct": (0, 25),
    "strength_pct": (10, 35), "share_dark_pct": (0, 20), "quantity": (50, 3000), "age_years": (5, 60),
    "fee_cny": (2_000, 400_000), "fine_cny": (50, 2_000), "oxygen_mg_l": (4, 10), "nh3n_mg_l": (0.1, 1.6),
    "tp_mg_l": (0.05, 0.3), "mileage_km": (8_000, 160_000), "power_w": (9, 400), "area_m2": (300, 12_000),
    "cost_cny": (200, 8_000), "weight_g": (8, 900), "wing_mm": (50, 300), "invest_cny": (2e6, 9e7),
}  # fmt: skip
_BY_UNIT: dict[str, tuple[float, float]] = {
    "m2": (200, 20_000), "hm2": (0.2, 8), "km2": (1, 40), "t": (2, 300), "t/d": (60, 1_200), "kg": (20, 900),
    "CNY": (5_000, 2_000_000), "CNY/t": (120, 420), "CNY/m2": (10, 60), "m": (2, 60), "km": (1, 25), "cm": (10, 150),
    "mm": (0, 30), "%": (70, 99), "Cel": (8, 28), "W": (9, 400), "kW": (5, 300), "kWh": (500, 90_000),
    "MW": (3, 50), "W/m": (6, 18), "K": (2_700, 4_500), "deg": (0, 40), "a": (5, 60), "d": (30, 300), "h": (1, 8),
    "min": (5, 30), "s": (60, 3_600), "m3": (1, 300), "ppm": (390, 480), "lx": (200, 20_000), "mg/L": (0.1, 20),
    "ug/m3": (10, 70), "mg/m3": (0.02, 0.3), "1/cm3": (600, 4_000), "1/hm2": (600, 2_400), "m3/hm2": (40, 180),
    "t/hm2": (20, 120), "m2/hm2": (8, 30), "kg/a": (100, 9_000), "t/a": (1, 300), "L": (20, 2_000), "L/s": (5, 40),
    "cd/m2": (5, 30), "m/s": (0.5, 9), "mm/s": (0.1, 4), "mS/cm": (0.3, 2), "mA": (0, 12), "MOhm": (1, 90),
    "mu": (5, 120), "km/h": (20, 60), "g": (8, 900),
}  # fmt: skip
_PEOPLE = re.compile(
    r"(contact|legal_person|person|inspector|worker|driver|keeper|keeper_person|full_name|officer|checker|ringer|"
    r"surveyor|leader|commander|vet|cleaner|handler|recorder|recorded_by|patroller|ranger|supervisor|reporter|"
    r"manager_person|owner_name|hunter|trainer|chief|master|party|shipper|applicant)$"
)
_FIRMS = re.compile(
    r"(company|operator|contractor|builder|constructor|designer|collector|carrier|maker|supplier|winner|agency|"
    r"party_a|party_b|owner|manager|buyer|seller|workshop|fleet|provider|verifier|author|authority|unit|supervised|"
    r"authority|advertiser|counterpart|plant|evaluator|committee|applicant)$"
)
_SPECIES = re.compile(r"^(species|host|goods)")
_PESTS = ("美国白蛾", "松材线虫病", "黄杨绢野螟", "重阳木锦斑蛾", "天牛", "白粉病", "樟巢螟")
_LATER = re.compile(
    r"(until|due|next|ends|finished|expires|to_on|reopened|repaired|done_at|closed|ended|put_out)"
)
_WORDS = (
    "情况正常",
    "已按规范处置",
    "现场整洁，设施完好",
    "发现轻微问题，已督促整改",
    "按计划完成",
    "需持续关注",
)
_LISTS = {
    "materials": ("废纸", "塑料", "金属", "玻璃", "旧衣物"), "categories": ("干垃圾", "湿垃圾", "可回收物", "有害垃圾"),
    "species": ("香樟", "水杉", "榉树", "银杏", "广玉兰"), "pets": ("犬", "猫"),
}  # fmt: skip
_ANY_LIST = ("日常", "重点", "一般")
_LATIN = (
    "Cinnamomum camphora",
    "Metasequoia glyptostroboides",
    "Zelkova serrata",
    "Ginkgo biloba",
    "Salix babylonica",
)

# Fields that judge a thing, the verdicts that are good, and what is seldom or mostly so.
_JUDGED = re.compile(
    r"(status|result|condition|standard|health|sorting|running|^lit$|open_state|state_now|"
    r"acceptance|setting|credit|action|rating)"
)
_SOUND = ("good", "pass", "normal", "clean", "done", "closed", "repaired", "fixed", "valid", "granted",
          "excellent", "A", "well", "shown", "open", "on", "active", "accepted", "legal")  # fmt: skip
_SELDOM = re.compile(
    r"(limited|refused|quarantine$|^found|returned|hollow|dead_|alien|disputed|loose|hardship|random)"
)
_MOSTLY = re.compile(
    r"(online|dealt|signed|promised|answered|harmless|accessible|through|controlled|monitored|"
    r"camera|wash|monitor|contract|registered|intact|accepted|booked|ok$)"
)


class Filler:
    """Fills the fields of kinds, always the same for the same seed."""

    def __init__(self, gen: np.random.Generator, codes: Codes | None = None) -> None:
        """Take what references may point to: kind → codes (or keys) of its things."""
        self.gen = gen
        self.codes = codes or {}

    def columns(
        self, kind: Kind, n: int, given: Mapping[str, Sequence[Any]] | None = None
    ) -> dict[str, list[Any]]:
        """Return a column for each field of n rows; what is given stands as it is."""
        made: dict[str, list[Any]] = {}
        unique = _unique(kind)
        for name, field in kind.fields.items():
            if given is not None and name in given:
                made[name] = list(given[name])
            else:
                made[name] = self._column(kind, field, n, name in unique)
        _keep_order(kind, made, frozenset(given or ()))
        return made

    def _column(self, kind: Kind, field: Field, n: int, unique: bool) -> list[Any]:
        if field.is_ref:
            return self._refs(field, n)
        make: dict[str, Callable[[Field, int], list[Any]]] = {
            "code": self._codes,
            "boolean": self._booleans,
            "integer": self._numbers,
            "number": self._numbers,
            "date": self._dates,
            "datetime": self._moments,
            "list": self._lists,
        }
        if field.type in make:
            return make[field.type](field, n)
        if field.type == "text":
            return self._texts(kind, field, n, unique)
        return [None] * n

    def _booleans(self, field: Field, n: int) -> list[Any]:
        often = 0.06 if _SELDOM.search(field.name) else 0.9 if _MOSTLY.search(field.name) else 0.75
        return [bool(v) for v in self.gen.random(n) < often]

    def _refs(self, field: Field, n: int) -> list[Any]:
        pool = [code for target in field.targets for code in self.codes.get(target, ())]
        if not pool:
            return [None] * n
        return [pool[i] for i in self.gen.integers(0, len(pool), n)]

    def _codes(self, field: Field, n: int) -> list[Any]:
        known = [str(c) for c in field.codes or {}]
        # What stands first in a list is what is usual.
        share = 0.62 ** np.arange(len(known))
        sound = [i for said in _SOUND for i, code in enumerate(known) if code == said]
        if sound and _JUDGED.search(field.name):
            # A city that works: nine in ten are as they should be.
            share[sound[0]] = 9 * (share.sum() - share[sound[0]])
        return [known[i] for i in self.gen.choice(len(known), n, p=share / share.sum())]

    def _numbers(self, field: Field, n: int) -> list[Any]:
        low, high = span(field)
        values = low + (high - low) * self.gen.beta(1.6, 2.2, n)
        if field.type == "integer":
            return [int(v) for v in np.round(values)]
        digits = 0 if high - low > 500 else 1 if high - low > 20 else 2
        return [float(v) for v in np.round(values, digits)]

    def _days(self, field: Field, n: int) -> list[dt.date]:
        if _LATER.search(field.name):
            back = -self.gen.integers(20, 700, n)
        elif re.search(r"(day|read|weighed|reviewed|inspected|checked|happened|found)", field.name):
            back = self.gen.integers(1, 90, n)
        else:
            back = self.gen.integers(60, 2_600, n)
        return [TODAY - dt.timedelta(days=int(d)) for d in back]

    def _dates(self, field: Field, n: int) -> list[Any]:
        return [day.isoformat() for day in self._days(field, n)]

    def _moments(self, field: Field, n: int) -> list[Any]:
        later = bool(_LATER.search(field.name))
        back = self.gen.uniform(0, 2, n) if later else self.gen.uniform(3, 60, n)
        noon = dt.datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=_CST)
        return [
            (noon - dt.timedelta(days=float(d))).replace(microsecond=0).isoformat() for d in back
        ]

    def _lists(self, field: Field, n: int) -> list[Any]:
        if field.of == "file":
            return [None] * n
        said = str(field.example or "")
        pool = said.split("、") if said else list(_LISTS.get(field.name, _ANY_LIST))
        if field.name.startswith("species"):
            pool = list(_LISTS["species"])
        sizes = self.gen.integers(1, len(pool) + 1, n)
        return [[str(v) for v in self.gen.choice(pool, int(k), replace=False)] for k in sizes]

    def _texts(self, kind: Kind, field: Field, n: int, unique: bool) -> list[Any]:
        if unique or re.search(r"(_no|tag|voucher|batch|chip|label_(from|to))$", field.name):
            return [self._serial(kind, field, i) for i in range(n)]
        if field.pattern:
            example = str(field.example) if field.example else None
            return [example or self._like(field.pattern) for _ in range(n)]
        return [self._text(kind, field, i) for i in range(n)]

    def _serial(self, kind: Kind, field: Field, i: int) -> str:
        """Return a number that no other row has, in the form that the field asks for."""
        if not field.pattern:
            return f"{kind.code}{TODAY.year}{i + 1:05d}"
        size = re.search(r"\{(\d+)\}", field.pattern)
        width = int(size.group(1)) if size else 6
        head = re.sub(r"\d+$", "", str(field.example or ""))[: max(0, width - 6)]
        return f"{head}{i + 1:0{width - len(head)}d}"

    def _like(self, pattern: str) -> str:
        """Return a text of a plain pattern: classes with counts, nothing that branches."""
        out = []
        for cls, times in re.findall(r"\[([^\]]+)\](?:\{(\d+)[^}]*\})?", pattern):
            chars = re.sub(
                r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), cls
            )
            out += [chars[int(k)] for k in self.gen.integers(0, len(chars), int(times or 1))]
        return "".join(out)

    def _text(self, kind: Kind, field: Field, i: int) -> str:
        for pattern, make in _MADE:
            if pattern.search(field.name) and not (field.level < 3 and make is _person):
                return make(self.gen)
        if field.title["zh"].endswith(("单位", "公司", "企业")):
            return _firm(self.gen)
        if field.example is not None:
            return str(field.example)
        return f"{kind.title['zh']}{field.title['zh']}{i + 1:03d}"


def _person(gen: np.random.Generator) -> str:
    return names.person(gen)


def _identity(gen: np.random.Generator) -> str:
    return f"31010119{int(gen.integers(60, 99))}0101{int(gen.integers(0, 9999)):04d}"


def _phone(gen: np.random.Generator) -> str:
    return f"021-5{int(gen.integers(0, 9_999_999)):07d}"


def _firm(gen: np.random.Generator) -> str:
    return str(gen.choice(names.CONTRACTORS))


def _address(gen: np.random.Generator) -> str:
    return f"{names.street(gen)}{int(gen.integers(1, 1_800))}号"


def _plate(gen: np.random.Generator) -> str:
    return f"沪{'ABCDE'[int(gen.integers(5))]}·{int(gen.integers(0, 99_999)):05d}"


def _one_of(pool: Sequence[str]) -> Callable[[np.random.Generator], str]:
    return lambda gen: str(pool[int(gen.integers(len(pool)))])


# What a text field holds, by its name; the first that fits.
_MADE: tuple[tuple[re.Pattern[str], Callable[[np.random.Generator], str]], ...] = (
    (re.compile(r"^id_number"), _identity),
    (re.compile(r"^phone$"), _phone),
    (_PEOPLE, _person),
    (_FIRMS, _firm),
    (re.compile(r"address|road_name$|^(from_place|to_place|via)$"), _address),
    (re.compile(r"^latin$"), _one_of(_LATIN)),
    (_SPECIES, _one_of(names.FOREST_SPECIES)),
    (re.compile(r"^(pest|target$)"), _one_of(_PESTS)),
    (re.compile(r"^plate$"), _plate),
    (
        re.compile(r"(words|summary|remark|note|problems?|finding|conditions|advice)$"),
        _one_of(_WORDS),
    ),
)


def span(field: Field) -> tuple[float, float]:
    """Return between which values a field usually lies, within its declared bounds."""
    usual = _BY_NAME.get(field.name) or _BY_UNIT.get(field.unit or "")
    low = field.min if field.min is not None else (usual[0] if usual else 0.0)
    high = field.max if field.max is not None else (usual[1] if usual else max(low, 0) + 60.0)
    if isinstance(field.example, int | float):
        usual = (0.6 * field.example, 1.5 * field.example)
    if usual is None:
        usual = (low, min(high, max(low, 0.0) + 60.0))
    a, b = max(low, usual[0]), min(high, usual[1])
    return (a, b) if a <= b else (low, min(high, low + 60.0))


def _unique(kind: Kind) -> set[str]:
    return {
        name
        for rule in kind.quality
        if rule["check"] == "unique"
        for name in (rule.get("fields") or [rule.get("field")])
    }


_ORDERED = re.compile(r"(\w+) (<=|>=) (\w+)")


def _keep_order(kind: Kind, made: dict[str, list[Any]], given: frozenset[str]) -> None:
    """Swap what a rule of the kind wants the other way round: a contract ends after it begins."""
    for rule in kind.quality:
        found = _ORDERED.fullmatch(str(rule.get("expr", "")))
        if not found or not {found[1], found[3]} <= set(made) or {found[1], found[3]} & given:
            continue
        low, high = (found[1], found[3]) if found[2] == "<=" else (found[3], found[1])
        if kind.fields[low].type != kind.fields[high].type:
            continue
        for i, (a, b) in enumerate(zip(made[low], made[high], strict=True)):
            if a is not None and b is not None and a > b:
                made[low][i], made[high][i] = b, a
