"""Cutting polygons along their own axes into pieces of a wanted size: blocks, lots, rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from ingest.city.plane import Floats, Geoms, polygons_of

_FAR = 60_000.0


@dataclass
class Box:
    """Oriented boxes: centre, unit axis nearest to east, and size along it and across it."""

    centre: Floats
    axis: Floats
    along: Floats
    across: Floats


def boxes(geoms: Geoms) -> Box:
    """Return the oriented box of each polygon; `along` is measured on the axis nearest to east."""
    ring = shapely.get_coordinates(shapely.get_exterior_ring(shapely.oriented_envelope(geoms)))
    corners = ring.reshape(len(geoms), 5, 2)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1]
    la, lb = np.hypot(*a.T), np.hypot(*b.T)
    ua, ub = a / np.maximum(la, 1e-9)[:, None], b / np.maximum(lb, 1e-9)[:, None]
    first = np.abs(ua[:, 0]) >= np.abs(ub[:, 0])
    axis = np.where(first[:, None], ua, ub)
    axis = np.where(axis[:, :1] < 0, -axis, axis)
    return Box(corners[:, :4].mean(axis=1), axis, np.where(first, la, lb), np.where(first, lb, la))


def rectangles(centre: Floats, axis: Floats, along: Floats, across: Floats) -> Geoms:
    """Return rectangles by centre, axis and sizes."""
    u = axis * (np.asarray(along) / 2)[:, None]
    v = np.stack([-axis[:, 1], axis[:, 0]], axis=-1) * (np.asarray(across) / 2)[:, None]
    ring = np.stack([centre - u - v, centre + u - v, centre + u + v, centre - u + v], axis=1)
    return np.asarray(shapely.polygons(ring))


@dataclass
class Pieces:
    """Polygons with the index of the polygon each came from, and the cuts with theirs."""

    geoms: Geoms
    origin: np.ndarray
    cuts: Geoms
    cut_origin: np.ndarray
    cut_round: np.ndarray


def divide(
    geoms: Geoms,
    along: Floats,
    across: Floats,
    gen: np.random.Generator,
    *,
    jitter: float = 0.08,
    min_area: float = 40.0,
    rounds: int = 14,
) -> Pieces:
    """Cut each polygon until it is no longer than about `along` × `across` (metres).

    Sizes are given per polygon and inherited; infinite ones leave the polygon whole.
    """
    work, origin = np.asarray(geoms, dtype=object), np.arange(len(geoms))
    done: list[Geoms] = []
    done_origin: list[np.ndarray] = []
    cuts: list[Geoms] = []
    cut_origin: list[np.ndarray] = []
    cut_round: list[np.ndarray] = []
    for turn in range(rounds):
        if not len(work):
            break
        box = boxes(work)
        ratio_u, ratio_v = box.along / along[origin], box.across / across[origin]
        split = np.maximum(ratio_u, ratio_v) > 1.5
        done.append(work[~split])
        done_origin.append(origin[~split])
        work, origin = work[split], origin[split]
        if not len(work):
            break
        box = Box(box.centre[split], box.axis[split], box.along[split], box.across[split])
        ratio_u, ratio_v = ratio_u[split], ratio_v[split]
        first, line, second = _halves(work, box, ratio_u, ratio_v, gen, jitter)
        chords, which = shapely.get_parts(line, return_index=True)
        is_line = shapely.get_type_id(chords) == 1
        cuts.append(chords[is_line])
        cut_origin.append(origin[which[is_line]])
        cut_round.append(np.full(int(is_line.sum()), turn))
        pieces, index = polygons_of(np.concatenate([first, second]), min_area)
        work, origin = pieces, np.concatenate([origin, origin])[index]
    done.append(work)
    done_origin.append(origin)
    empty = np.array([], dtype=object)
    return Pieces(
        np.concatenate(done),
        np.concatenate(done_origin),
        np.concatenate([*cuts, empty]),
        np.concatenate([*cut_origin, np.array([], int)]),
        np.concatenate([*cut_round, np.array([], int)]),
    )


def _halves(
    work: Geoms, box: Box, ratio_u: Floats, ratio_v: Floats, gen: np.random.Generator, jitter: float
) -> tuple[Geoms, Geoms, Geoms]:
    by_u = ratio_u >= ratio_v
    ratio = np.where(by_u, ratio_u, ratio_v)
    length = np.where(by_u, box.along, box.across)
    north = np.stack([-box.axis[:, 1], box.axis[:, 0]], axis=-1)
    d = np.where(by_u[:, None], box.axis, north)
    e = np.stack([-d[:, 1], d[:, 0]], axis=-1)
    n = np.maximum(2, np.round(ratio))
    # Equal pieces at the end: cut n pieces at a whole number of them, with some play.
    at = np.floor(n / 2) / n - 0.5 + gen.uniform(-jitter, jitter, len(n))
    middle = box.centre + d * (at * length)[:, None]
    far_d, far_e = d * _FAR, e * _FAR
    line = shapely.linestrings(np.stack([middle - far_e, middle + far_e], axis=1))
    one = shapely.polygons(
        np.stack(
            [middle - far_e, middle + far_e, middle + far_e + far_d, middle - far_e + far_d], axis=1
        )
    )
    two = shapely.polygons(
        np.stack(
            [middle - far_e, middle + far_e, middle + far_e - far_d, middle - far_e - far_d], axis=1
        )
    )
    return (
        np.asarray(shapely.intersection(work, one)),
        np.asarray(shapely.intersection(work, line)),
        np.asarray(shapely.intersection(work, two)),
    )
