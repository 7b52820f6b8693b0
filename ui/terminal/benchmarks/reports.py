"""Generated reports of a city whose truth is known: several people tell of one thing, each in their way.

A square of 12 km, 160 streets, seven days, 3,000 incidents; a third of them on a spot where something
was before; four channels whose places err by 5 to 70 m; one report in ten in the wrong category.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.likeness import FEATURES, Report, Vocabulary, compete, features, score

SIDE_M, STREETS, DAYS, INCIDENTS = 12_000.0, 160, 7, 3_000
WEST, SOUTH = 121.40, 31.15
M_PER_LAT = 111_195.0
M_PER_LON = 95_150.0
SIGMA = {"patrol": 5.0, "map": 8.0, "open311": 22.0, "12345": 70.0}
CHANNELS = ("patrol", "map", "open311", "12345")
SHARE = (0.15, 0.15, 0.4, 0.3)
CATEGORIES = (
    "litter",
    "fallen_tree",
    "construction_dump",
    "dirty_toilet",
    "illegal_stall",
    "lamp_out",
)
SAID = {
    "litter": ("有一堆垃圾没人清", "垃圾满地，味道很大", "暴露垃圾", "路边堆了好多生活垃圾", "垃圾桶旁散落垃圾"),
    "fallen_tree": ("一棵树倒了挡住路", "行道树倒伏", "大树被风吹倒压在人行道上", "树断了，车过不去"),
    "construction_dump": ("有人偷倒建筑垃圾", "渣土倒在路边", "装修垃圾乱堆", "一车碎砖倒在绿地里"),
    "dirty_toilet": ("公厕很脏，没有水", "厕所堵了", "公共厕所异味重", "公厕门锁坏，地面脏"),
    "illegal_stall": ("乱设摊占道", "摊贩占了人行道", "流动摊位油烟大", "马路边摆摊卖水果，堵路"),
    "lamp_out": ("景观灯不亮", "路灯坏了一排", "灯带熄灭", "晚上这里一片黑，灯坏"),
}  # fmt: skip
_FAMILY = "中山南北东西长宁华人民和平建设新兴文化光明胜利解放延安淮海漕溪龙吴虹桥古美康定武康安福永嘉复兴衡太原岳阳汾"
_KIND = ("小区", "超市", "学校", "菜场", "银行", "地铁站", "医院", "公园", "大厦", "便利店")


class City(NamedTuple):
    """Reports in the order in which they come in, and the incident behind each."""

    reports: list[Report]
    incident: list[int]


def city(seed: int, incidents: int = INCIDENTS) -> City:
    """Return the reports of a generated week."""
    gen = np.random.default_rng(seed)
    streets = [_name(gen, 2) + gen.choice(["路", "街", "大道"]) for _ in range(STREETS)]
    lines = gen.uniform(0, SIDE_M, STREETS)
    spots: list[tuple[float, float, int, str]] = []
    made: list[tuple[float, Report, int]] = []
    for n in range(incidents):
        x, y, street, mark = _spot(gen, spots, lines)
        spots.append((x, y, street, mark))
        what = str(gen.choice(CATEGORIES))
        begun = float(gen.uniform(0, DAYS * 86_400))
        number = int(gen.integers(1, 999))
        for k in range(1 + int(gen.poisson(0.57))):
            at = begun + (0.0 if k == 0 else float(gen.exponential(5 * 3600)))
            one = _report(gen, f"R{n}-{k}", (x, y), at, what, streets[street], number, mark)
            made.append((at, one, n))
    made.sort(key=lambda m: m[0])
    return City([m[1] for m in made], [m[2] for m in made])


def _name(gen: np.random.Generator, n: int) -> str:
    return "".join(gen.choice(list(_FAMILY), n))


def _spot(
    gen: np.random.Generator, spots: list[tuple[float, float, int, str]], lines: np.ndarray
) -> tuple[float, float, int, str]:
    """Return a place on a street and what stands there; a third of them are places of before."""
    if spots and gen.random() < 0.35:
        return spots[int(gen.integers(len(spots)))]
    street = int(gen.integers(STREETS))
    along, off = float(gen.uniform(0, SIDE_M)), float(gen.normal(0, 8))
    x, y = (along, lines[street] + off) if street % 2 else (lines[street] + off, along)
    return float(x), float(y), street, _name(gen, 2) + str(gen.choice(_KIND))


def _report(
    gen: np.random.Generator, code: str, at_m: tuple[float, float], at: float, what: str,
    street: str, number: int, mark: str,
) -> Report:  # fmt: skip
    channel = str(gen.choice(CHANNELS, p=SHARE))
    x, y = np.array(at_m) + gen.normal(0, SIGMA[channel] / np.sqrt(2), 2)
    said = str(gen.choice(CATEGORIES)) if gen.random() < 0.1 else what
    words = _words(gen, what, street, number, mark)
    return Report(
        code, WEST + x / M_PER_LON, SOUTH + y / M_PER_LAT, SIGMA[channel], at, words, said
    )


def _words(gen: np.random.Generator, what: str, street: str, number: int, mark: str) -> str:
    parts = []
    if gen.random() < 0.6:
        parts.append(street + (f"{number}号" if gen.random() < 0.35 else ""))
    if gen.random() < 0.55:
        parts.append(mark + str(gen.choice(["门口", "旁边", "对面", "附近", ""])))
    parts.append(str(gen.choice(SAID[what])))
    if gen.random() < 0.3:
        parts.append(str(gen.choice(["请尽快处理", "好几天了", "麻烦派人来看看", "谢谢"])))
    return str(gen.choice(["，", "", " "])).join(parts)


class Links(NamedTuple):
    """What came of linking each report to the one that it is most like."""

    f1: float
    precision: float
    recall: float
    top3: float
    auto_precision: float
    auto_share: float


RADIUS_M, HOURS = 250.0, 48.0


def pairs(made: City, known: Vocabulary) -> list[tuple[int, list[int], list[tuple[float, ...]]]]:
    """Return for each report its candidates, those before it within 250 m and 48 hours, with features."""
    xy = np.array([[r.lon * M_PER_LON, r.lat * M_PER_LAT] for r in made.reports])
    at = np.array([r.at for r in made.reports])
    all_of = [r._replace(matter=known.matter(r.words, r.category)) for r in made.reports]
    found = []
    for i in range(len(at)):
        first = int(np.searchsorted(at, at[i] - HOURS * 3600))
        near = np.hypot(*(xy[first:i] - xy[i]).T) <= RADIUS_M
        others = [first + int(j) for j in np.flatnonzero(near)]
        said = [features(all_of[i], all_of[j], known) for j in others]
        found.append((i, others, said))
    return found


def vocabulary(made: City) -> Vocabulary:
    """Return how rare pairs of characters are among the reports."""
    known = Vocabulary()
    for one in made.reports:
        known.add(one.words, one.category)
    return known


def linked(made: City, weights: dict[str, float], suggest: float, auto: float) -> Links:
    """Link each report to the case that it is likeliest of, and tell how often that is right.

    What came before was settled by a person, as in the city, where a merge is suggested and confirmed:
    the reports of one incident stand there as one case, and their scores count together.
    """
    told = right = should = top = merged = merged_right = 0
    seen: set[int] = set()
    first: dict[int, int] = {}
    for i, others, said in pairs(made, vocabulary(made)):
        truth = made.incident[i]
        again = truth in seen
        seen.add(truth)
        should += again
        first.setdefault(truth, i)
        master = [first[made.incident[j]] for j in others]
        ranked = _cases([score(f, weights) for f in said], master)
        if not ranked:
            continue
        top += again and truth in [made.incident[j] for _, j in ranked[:3]]
        best, which = ranked[0]
        is_right = made.incident[which] == truth
        told += best >= suggest
        right += best >= suggest and is_right
        merged += best >= auto
        merged_right += best >= auto and is_right
    precision, recall = right / max(told, 1), right / max(should, 1)
    return Links(
        2 * precision * recall / max(precision + recall, 1e-9), precision, recall,
        top / max(should, 1), merged_right / max(merged, 1), merged_right / max(should, 1),
    )  # fmt: skip


def _cases(scores: list[float], master: list[int]) -> list[tuple[float, int]]:
    """Return the cases of the candidates, each with the sum of what its reports say."""
    total: dict[int, float] = {}
    for s, j in zip(compete(scores), master, strict=True):
        total[j] = total.get(j, 0.0) + s
    return sorted(((s, j) for j, s in total.items()), reverse=True)


def fit(seed: int, rounds: int = 60, ridge: float = 1e-3) -> dict[str, float]:
    """Fit the weights on one seed by Newton's method; the shipped policy holds what it gave for seed 7."""
    made = city(seed)
    rows, truth = [], []
    for i, others, said in pairs(made, vocabulary(made)):
        rows += said
        truth += [made.incident[i] == made.incident[j] for j in others]
    x, y = np.array(rows), np.array(truth, dtype=float)
    w = np.zeros(len(FEATURES))
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -40, 40)))
        gradient = x.T @ (y - p) - ridge * w
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(len(w))
        step = np.linalg.solve(hessian, gradient)
        w += step
        if np.abs(step).max() < 1e-9:
            break
    return {name: round(float(v), 4) for name, v in zip(FEATURES, w, strict=True)}
