"""Road network in memory: travel times to a place and the way there.

Every vertex of every road is a node, so lines that share a vertex are joined. Weights are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
# WGS-84 metres per degree at the equator; good to 0.3 % within a city.
M_PER_DEG = 111_320.0
# About 0.1 m: vertices nearer than this are one junction.
GRID_DEG = 1e-6
# From the kerb to the exact place: on foot or at walking-like pace.
OFF_ROAD_MPS = 4.0
# Searches of a matrix run in batches of so many, or a thousand events would hold a gigabyte.
BATCH = 64


@dataclass(frozen=True, eq=False)
class RoadGraph:
    """Nodes (lon, lat in EPSG:4326) and directed edges weighted in seconds.

    `line` says of each edge, in the order of `seconds.data`, which of the lines given it lies on.
    """

    nodes: Floats
    seconds: Any
    metres: Any
    line: NDArray[np.int64]
    scale: tuple[float, float]
    tree: cKDTree
    main: NDArray[np.int64]

    @cached_property
    def back(self) -> Any:
        """The edges turned round: a search over them gives the way to a place."""
        return self.seconds.T.tocsr()

    @cached_property
    def ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The nodes from and to which each edge leads."""
        rows = np.repeat(np.arange(len(self.nodes)), np.diff(self.seconds.indptr))
        return rows, self.seconds.indices.astype(np.int64)

    def nearest(self, points: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Return the nearest node of the main network to each point, and the metres to it."""
        far, index = self.tree.query(points * self.scale)
        return self.main[index], np.asarray(far, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Reach:
    """Seconds from every node to one target, and the tree of ways that lead there."""

    graph: RoadGraph
    target: int
    times: Floats
    onward: NDArray[np.int32]

    def route(self, node: int) -> list[tuple[float, float]]:
        """Return the way from a node to the target as lon, lat pairs; empty when there is none."""
        if not np.isfinite(self.times[node]):
            return []
        path = [node]
        while path[-1] != self.target:
            path.append(int(self.onward[path[-1]]))
        return [(float(lon), float(lat)) for lon, lat in self.graph.nodes[path]]


def build(lines: Sequence[Floats], speeds_kmh: Floats, oneway: NDArray[np.bool_]) -> RoadGraph:
    """Build the graph from lines (each n × 2 lon, lat), a speed in km/h and a oneway flag a line."""
    if not lines:
        raise ValueError("a road graph needs at least one line")
    counts = np.array([len(line) for line in lines])
    vertices = np.concatenate(lines)
    keys = np.round(vertices / GRID_DEG).astype(np.int64)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    nodes = vertices[first]
    lat0 = float(np.mean(nodes[:, 1]))
    scale = (M_PER_DEG * float(np.cos(np.radians(lat0))), M_PER_DEG)
    owner = np.repeat(np.arange(len(lines)), counts)
    inner = owner[1:] == owner[:-1]
    a, b, line = inverse[:-1][inner], inverse[1:][inner], owner[:-1][inner]
    metres = np.hypot(*((nodes[b] - nodes[a]) * scale).T)
    seconds = metres / (np.maximum(speeds_kmh[line], 1.0) / 3.6)
    both = ~oneway[line]
    rows = np.concatenate([a, b[both]])
    columns = np.concatenate([b, a[both]])
    weights = np.concatenate([seconds, seconds[both]])
    lengths = np.concatenate([metres, metres[both]])
    on = np.concatenate([line, line[both]])
    kept = _shortest(rows, columns, weights)
    return _made(nodes, rows[kept], columns[kept], weights[kept], lengths[kept], on[kept], scale)


def _shortest(rows: NDArray[Any], columns: NDArray[Any], weights: Floats) -> NDArray[np.int64]:
    """Return the edges to keep, by row and column: the quickest of parallel ones (they would add up)."""
    order = np.lexsort((weights, columns, rows))
    order = order[(rows[order] != columns[order]) & (weights[order] > 0)]
    first = np.ones(len(order), dtype=bool)
    r, c = rows[order], columns[order]
    first[1:] = (r[1:] != r[:-1]) | (c[1:] != c[:-1])
    return np.asarray(order[first], dtype=np.int64)


def _made(
    nodes: Floats, rows: NDArray[Any], columns: NDArray[Any], seconds: Floats, metres: Floats,
    line: NDArray[np.int64], scale: tuple[float, float],
) -> RoadGraph:  # fmt: skip
    """Return the graph of edges that stand in the order of rows, then columns."""
    n = len(nodes)
    weighted = csr_matrix((seconds, (rows, columns)), shape=(n, n))
    length = csr_matrix((metres, (rows, columns)), shape=(n, n))
    main = _largest(weighted)
    return RoadGraph(nodes, weighted, length, line, scale, cKDTree(nodes[main] * scale), main)


def turned(graph: RoadGraph, factor: Floats, blocked: NDArray[np.bool_] | None = None) -> RoadGraph:
    """Return the graph as one vehicle finds it now.

    `factor` multiplies the seconds of each line (inf: it may not go there), `blocked` marks edges
    that nobody passes.
    """
    seconds = graph.seconds.data * factor[graph.line]
    keep = np.isfinite(seconds)
    if blocked is not None:
        keep &= ~blocked
    rows, columns = graph.ends
    return _made(
        graph.nodes, rows[keep], columns[keep], seconds[keep], graph.metres.data[keep],
        graph.line[keep], graph.scale,
    )  # fmt: skip


def crossed(graph: RoadGraph, shape: Any) -> NDArray[np.bool_]:
    """Return which edges a shape (EPSG:4326) touches: where a road is closed."""
    rows, columns = graph.ends
    a, b = graph.nodes[rows], graph.nodes[columns]
    west, south, east, north = shapely.bounds(shape)
    low, high = np.minimum(a, b), np.maximum(a, b)
    near = (high[:, 0] >= west) & (low[:, 0] <= east) & (high[:, 1] >= south) & (low[:, 1] <= north)
    found = np.zeros(len(rows), dtype=bool)
    index = np.flatnonzero(near)
    if len(index):
        shapely.prepare(shape)
        segments = shapely.linestrings(np.stack([a[index], b[index]], axis=1))
        found[index] = shapely.intersects(shape, segments)
    return found


def _largest(matrix: Any) -> NDArray[np.int64]:
    """Return the nodes of the largest strongly connected part: from there every way leads on."""
    _, label = connected_components(matrix, directed=True, connection="strong")
    return np.flatnonzero(label == np.bincount(label).argmax()).astype(np.int64)


def reach(graph: RoadGraph, lon: float, lat: float, limit_s: float = 1800.0) -> Reach:
    """Return the travel times from everywhere to a place, up to a limit in seconds."""
    nodes, far = graph.nearest(np.array([[lon, lat]]))
    target = int(nodes[0])
    times, onward = dijkstra(
        graph.back, directed=True, indices=target, limit=limit_s, return_predecessors=True
    )
    return Reach(graph, target, times + far[0] / OFF_ROAD_MPS, onward)


def outward(graph: RoadGraph, lon: float, lat: float, limit_s: float = 1800.0) -> Floats:
    """Return the seconds from a place to every node, up to a limit: what can be reached from it."""
    nodes, far = graph.nearest(np.array([[lon, lat]]))
    times = dijkstra(graph.seconds, directed=True, indices=int(nodes[0]), limit=limit_s)
    return np.asarray(times + far[0] / OFF_ROAD_MPS, dtype=np.float64)


def to_nearest(graph: RoadGraph, places: Floats, limit_s: float) -> Floats:
    """Return the seconds from every node to whichever place is nearest in time; inf beyond the limit.

    A place is taken as the road node next to it; one search serves any number of places.
    """
    nodes, _ = graph.nearest(places)
    found = dijkstra(
        graph.back, directed=True, indices=np.unique(nodes), limit=limit_s, min_only=True
    )
    return np.asarray(found, dtype=np.float64)


def matrix(graph: RoadGraph, places: Floats, starts: Floats, limit_s: float) -> Floats:
    """Return the seconds to each place (rows) from each start (columns); inf beyond the limit."""
    ends, end_far = graph.nearest(places)
    begins, begin_far = graph.nearest(starts)
    # The search goes from the side of which there are fewer.
    found = (
        _searched(graph.back, ends, begins, limit_s)
        if len(ends) <= len(begins)
        else _searched(graph.seconds, begins, ends, limit_s).T
    )
    far = (end_far[:, None] + begin_far[None, :]) / OFF_ROAD_MPS
    return np.asarray(found + far, dtype=np.float64)


def _searched(
    edges: Any, sources: NDArray[np.int64], targets: NDArray[np.int64], limit_s: float
) -> Floats:
    """Return the seconds from each source to each target; each node is searched from once."""
    unique, back = np.unique(sources, return_inverse=True)
    found = np.empty((len(unique), len(targets)))
    for at in range(0, len(unique), BATCH):
        some = slice(at, at + BATCH)
        times = dijkstra(edges, directed=True, indices=unique[some], limit=limit_s)
        found[some] = times[:, targets]
    return found[back]


def travel_times(reached: Reach, points: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the seconds from each point (n × 2 lon, lat) to the target, and its road node."""
    nodes, far = reached.graph.nearest(points)
    return reached.times[nodes] + far / OFF_ROAD_MPS, nodes


def length_m(path: Sequence[tuple[float, float]]) -> float:
    """Return the length of a way in metres (local scale at its first point)."""
    if len(path) < 2:
        return 0.0
    line = np.asarray(path)
    scale = (M_PER_DEG * np.cos(np.radians(line[0, 1])), M_PER_DEG)
    return float(np.hypot(*(np.diff(line, axis=0) * scale).T).sum())
