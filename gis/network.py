"""Road network in memory: travel times to a place and the way there.

Every vertex of every road is a node, so lines that share a vertex are joined. Weights are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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


@dataclass(frozen=True, eq=False)
class RoadGraph:
    """Nodes (lon, lat in EPSG:4326) and directed edges weighted in seconds."""

    nodes: Floats
    seconds: Any
    metres: Any
    scale: tuple[float, float]
    tree: cKDTree
    main: NDArray[np.int64]

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
    matrix = _shortest(rows, columns, weights, len(nodes))
    main = _largest(matrix)
    tree = cKDTree(nodes[main] * scale)
    length = _shortest(rows, columns, lengths, len(nodes))
    return RoadGraph(nodes, matrix, length, scale, tree, main)


def _shortest(rows: NDArray[Any], columns: NDArray[Any], weights: Floats, n: int) -> Any:
    """Return the sparse matrix with the smallest weight of parallel edges (duplicates would add up)."""
    keep = (rows != columns) & (weights > 0)
    rows, columns, weights = rows[keep], columns[keep], weights[keep]
    order = np.lexsort((weights, columns, rows))
    rows, columns, weights = rows[order], columns[order], weights[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    return csr_matrix((weights[first], (rows[first], columns[first])), shape=(n, n))


def _largest(matrix: Any) -> NDArray[np.int64]:
    """Return the nodes of the largest strongly connected part: from there every way leads on."""
    _, label = connected_components(matrix, directed=True, connection="strong")
    return np.flatnonzero(label == np.bincount(label).argmax()).astype(np.int64)


def reach(graph: RoadGraph, lon: float, lat: float, limit_s: float = 1800.0) -> Reach:
    """Return the travel times from everywhere to a place, up to a limit in seconds."""
    nodes, far = graph.nearest(np.array([[lon, lat]]))
    target = int(nodes[0])
    times, onward = dijkstra(
        graph.seconds.T, directed=True, indices=target, limit=limit_s, return_predecessors=True
    )
    return Reach(graph, target, times + far[0] / OFF_ROAD_MPS, onward)


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
