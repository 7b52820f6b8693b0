"""Where the things of the topic databases stand: at kerbs, in parks, on banks, around other things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
import shapely.ops

from ingest.city import assets, names
from ingest.city.land import CENTRE, Land
from ingest.city.plane import Geoms, blob, facts, plane, polygons_of, rng, smooth
from ingest.city.roads import Network

Rows = list[dict[str, Any]]


def key(kind: str, i: int) -> str:
    """Return the key of the i-th row of a kind, as the frames have it."""
    return f"{kind}-{i + 1:06d}"


@dataclass
class Spot:
    """Where a thing stands: its shape, the thing it stands in, the road it stands on."""

    shape: Any
    host: tuple[str, int] | None = None
    road: tuple[str, str] | None = None


@dataclass
class Places:
    """What stands already, and the ways to find a place beside or inside of it."""

    net: Network
    land: Land
    road_name: np.ndarray
    rows: dict[str, Rows]
    gen: np.random.Generator
    seed: int
    room: Geoms | None = None
    _roads: shapely.STRtree | None = field(default=None, repr=False)
    _shapes: dict[str, Geoms] = field(default_factory=dict, repr=False)
    _free: dict[float, np.ndarray] = field(default_factory=dict, repr=False)

    def shapes(self, kind: str) -> Geoms:
        """Return the shapes of a kind in plane metres; records have none."""
        if kind not in self._shapes:
            self._shapes[kind] = np.array(
                [_shape(r) for r in self.rows.get(kind, [])], dtype=object
            )
        return self._shapes[kind]

    def nearest_road(self, points: Geoms) -> list[int]:
        """Return which row of the kind `road` runs nearest to each point."""
        if self._roads is None:
            self._roads = shapely.STRtree([r["geom"] for r in self.rows["road"]])
        return [int(i) for i in self._roads.nearest(points)]

    def road_of(self, shape: Any) -> tuple[str, str]:
        """Return key and name of the road that runs nearest to a shape."""
        i = self.nearest_road(np.array([shapely.centroid(shape)], dtype=object))[0]
        return key("road", i), str(self.rows["road"][i]["name"])

    def kerb(self, n: int, near_km: float) -> list[Spot]:
        """Return n places at the kerb, more of them near the middle of the city."""
        xy, _ = assets.kerb_places(self.net, n, self.gen, near_km)
        points = shapely.points(xy)
        return [
            Spot(p, road=(key("road", i), str(self.rows["road"][i]["name"])))
            for p, i in zip(points, self.nearest_road(points), strict=True)
        ]

    def outskirts(self, n: int) -> list[Spot]:
        """Return n places off the roads of the outer districts."""
        fits = self._outer(40_000)
        chosen = self.gen.choice(fits, n, replace=len(fits) < n)
        return [Spot(_point_in(self.net.blocks[int(i)], self.gen)) for i in chosen]

    def fields(self, n: int, radius: float) -> list[Spot]:
        """Return n round areas in the blocks of the outer districts, one to a block."""
        chosen = self.gen.choice(self._outer(60_000), n, replace=False)
        return [Spot(self._fitting(self.net.blocks[int(i)], radius)) for i in chosen]

    def blocks(self, n: int, kinds: tuple[str, ...] = ()) -> list[Spot]:
        """Return n whole blocks near the middle of the city, drawn back from their streets."""
        area = shapely.area(self.net.blocks)
        km = np.hypot(*shapely.get_coordinates(shapely.centroid(self.net.blocks)).T) / 1000
        taken = shapely.STRtree(np.concatenate([self.shapes(k) for k in ("park", *kinds)]))
        free = np.ones(len(area), bool)
        free[taken.query(self.net.blocks, predicate="intersects")[0]] = False
        fits = np.flatnonzero(free & (area > 6_000) & (area < 90_000) & (km < 16))
        chosen = self.gen.choice(fits, n, replace=False)
        inner = shapely.buffer(self.net.blocks[chosen], -9, join_style="mitre")
        return [Spot(_largest(g)) for g in inner]

    def inside(self, kind: str, n: int, which: np.ndarray | None = None) -> list[Spot]:
        """Return n points inside things of a kind, more of them in the large ones."""
        shapes = self.shapes(kind)
        pool = np.arange(len(shapes)) if which is None else which
        weight = np.sqrt(np.maximum(shapely.area(shapes[pool]), 1.0))
        chosen = self.gen.choice(pool, n, p=weight / weight.sum())
        return [Spot(_point_in(shapes[int(i)], self.gen), host=(kind, int(i))) for i in chosen]

    def around(self, kind: str, n: int, reach: float = 12.0) -> list[Spot]:
        """Return n points beside things of a kind."""
        shapes = self.shapes(kind)
        chosen = self.gen.integers(0, len(shapes), n)
        shift = self.gen.uniform(-reach, reach, (n, 2))
        middle = shapely.get_coordinates(shapely.point_on_surface(shapes[chosen])) + shift
        return [
            Spot(p, host=(kind, int(i)))
            for p, i in zip(shapely.points(middle), chosen, strict=True)
        ]

    def cuts(self, kind: str, n: int, share: float) -> list[Spot]:
        """Return n areas inside things of a kind, one to a thing; share 1 is the whole thing."""
        shapes = self.shapes(kind)
        chosen = self.gen.choice(len(shapes), n, replace=len(shapes) < n)
        made = []
        for i in chosen:
            shape = _largest(shapes[int(i)])
            if share < 1:
                shape = self._fitting(shape, float(np.sqrt(shapely.area(shape) * share / np.pi)))
            made.append(Spot(shape, host=(kind, int(i))))
        return made

    def wanders(self, kind: str, n: int, steps: int = 14) -> list[Spot]:
        """Return n tracks that wander inside things of a kind."""
        made = []
        for spot in self.inside(kind, n):
            host = self.shapes(kind)[spot.host[1]] if spot.host else spot.shape
            reach = min(2_000.0, 0.3 * float(np.sqrt(shapely.area(host))))
            turns = np.cumsum(self.gen.normal(0, 0.7, steps)) + self.gen.uniform(0, 6.28)
            walk = np.stack([np.cos(turns), np.sin(turns)], axis=-1) * reach / steps * 2
            track = shapely.get_coordinates(spot.shape) + np.cumsum(walk, axis=0)
            made.append(Spot(shapely.linestrings(smooth(track, 15.0)), host=spot.host))
        return made

    def along(self, classes: tuple[str, ...], n: int) -> list[Spot]:
        """Return n roads of some classes as lines."""
        fits = [i for i, r in enumerate(self.rows["road"])
                if r["class"] in classes and r["structure"] == "ground" and 80 < r["geom"].length < 4_000]  # fmt: skip
        chosen = self.gen.choice(fits, n, replace=False)
        return [
            Spot(
                self.rows["road"][i]["geom"],
                road=(key("road", int(i)), str(self.rows["road"][i]["name"])),
            )
            for i in chosen
        ]

    def strips(self, n: int, near: float, far: float) -> list[Spot]:
        """Return n strips beside streets, a few metres deep."""
        fits = np.flatnonzero(self.net.walkable & (self.net.length > 90))
        middle = shapely.get_coordinates(shapely.centroid(self.net.edges[fits]))
        weight = np.exp(-np.hypot(*middle.T) / 4_000) + 0.002
        chosen = self.gen.choice(fits, n, replace=False, p=weight / weight.sum())
        half = self.net.half
        made = []
        for e in chosen:
            side = 1.0 if self.gen.random() < 0.5 else -1.0
            bounds = [
                shapely.offset_curve(self.net.edges[e], side * (half[e] + d)) for d in (near, far)
            ]
            ring = np.concatenate(
                [shapely.get_coordinates(bounds[0]), shapely.get_coordinates(bounds[1])[::-1]]
            )
            shape = _largest(shapely.make_valid(shapely.polygons(ring))) if len(ring) > 3 else None
            if shape is None or shapely.area(shape) < 20:
                shape = shapely.buffer(self.net.edges[e], far, cap_style="flat")
            made.append(Spot(shape, road=self.road_of(shape)))
        return made

    def banks(self, n: int, most_m: float = 60.0) -> list[Spot]:
        """Return n points on the green banks of the Huangpu in the inner city."""
        river = self.land.rivers["黄浦江"]
        shapely.prepare(river)
        shapes = self.shapes("green_space")
        riverside = np.array([r["type"] == "riverside" for r in self.rows["green_space"]])
        inner = np.abs(shapely.get_x(shapely.centroid(shapes))) < 9_000
        fits = np.flatnonzero(riverside & inner)
        fits = fits[shapely.dwithin(river, shapes[fits], most_m)]
        made = []
        for i in self.gen.choice(fits, n):
            made.append(Spot(_point_in(shapes[int(i)], self.gen), host=("green_space", int(i))))
        return made

    def ring(self, n: int, depth: float = 380.0) -> list[Spot]:
        """Return n green areas outside of the outer ring road."""
        line = next(r["line"] for r in facts("roads.json")["roads"] if r["name"] == "外环高速")
        curve = shapely.linestrings(smooth(plane(line), 60))
        made = []
        for a, b in zip(np.arange(n) / n, (np.arange(n) + 0.94) / n, strict=True):
            piece = shapely.ops.substring(curve, a, b, normalized=True)
            wide = depth * self.gen.uniform(0.35, 1.0)
            belt = shapely.buffer(piece, wide, cap_style="flat", single_sided=True)
            inner = shapely.buffer(piece, 40, cap_style="flat")
            made.append(Spot(_largest(shapely.difference(belt, inner))))
        return made

    def flow(self, ends: tuple[Any, Any]) -> Any:
        """Return a gently bent line from one thing to another."""
        a, b = (shapely.get_coordinates(shapely.point_on_surface(e))[0] for e in ends)
        if np.hypot(*(b - a)) < 1.0:
            b = a + 60.0
        d = b - a
        middle = (a + b) / 2 + np.array([-d[1], d[0]]) * 0.12
        t = np.linspace(0, 1, 17)[:, None]
        return shapely.linestrings((1 - t) ** 2 * a + 2 * t * (1 - t) * middle + t**2 * b)

    def fixed(self, lonlats: list[tuple[float, float]]) -> list[Spot]:
        """Return known places (EPSG:4326)."""
        return [Spot(shapely.points(plane(np.array(p)))) for p in lonlats]

    def street_name(self) -> str:
        """Return the name of some street."""
        return names.street(self.gen)

    def _outer(self, least: float) -> np.ndarray:
        """Return the dry blocks of the outer districts that are large enough."""
        if least not in self._free:
            area = shapely.area(self.net.blocks)
            middle = shapely.get_coordinates(shapely.centroid(self.net.blocks))
            outer = [i for i, c in enumerate(self.land.codes) if c not in CENTRE]
            fits = np.isin(self.land.district_of(middle), outer) & (area > least) & (area < 4e6)
            wet = shapely.union_all([w["geom"] for w in self.land.waters])
            shapely.prepare(wet)
            fits[fits] = ~shapely.intersects(wet, self.net.blocks[fits])
            self._free[least] = np.flatnonzero(fits)
        return self._free[least]

    def _fitting(self, host: Any, radius: float) -> Any:
        x, y = shapely.get_coordinates(shapely.point_on_surface(host))[0]
        made = shapely.intersection(blob(float(x), float(y), radius, 0.18, self.gen, 26), host)
        return _largest(made)


def _shape(row: dict[str, Any]) -> Any:
    return shapely.points(row["xy"]) if "xy" in row else row.get("geom")


def _largest(shape: Any) -> Any:
    parts, _ = polygons_of([shape])
    return max(parts, key=shapely.area) if len(parts) else shape


def _point_in(shape: Any, gen: np.random.Generator) -> Any:
    x0, y0, x1, y1 = shapely.bounds(shape)
    tries = np.stack([gen.uniform(x0, x1, 24), gen.uniform(y0, y1, 24)], axis=-1)
    hit = np.flatnonzero(shapely.contains_xy(shape, tries[:, 0], tries[:, 1]))
    return shapely.points(tries[hit[0]]) if len(hit) else shapely.point_on_surface(shape)


def start(
    net: Network, land: Land, road_name: np.ndarray, rows: dict[str, Rows], seed: int
) -> Places:
    """Return the places of a city whose ground stands."""
    return Places(net, land, road_name, rows, rng(seed, 70), seed)
