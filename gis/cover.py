"""How much of each cell of a grid areas cover, exactly; and the outlines of what is covered.

No area is drawn cell by cell: the edges of all areas are cut at the cell borders and each piece
adds what lies to its right (signed, as scanline fonts are filled), so that a thousand areas cost
one pass over their edges and the covered ground is the true one, however small an area is.
"""

from __future__ import annotations

from typing import Any

import contourpy
import numpy as np
import shapely

EXTENT = 4096
Grid = np.ndarray[Any, np.dtype[np.float32]]


def in_tile(coords: np.ndarray, zoom: int, x: int, y: int, cells: int) -> np.ndarray:
    """Return degrees as cells of an XYZ tile: columns to the east, rows to the south."""
    side = 2.0**zoom
    lat = np.radians(np.clip(coords[:, 1], -85.05, 85.05))
    column = (coords[:, 0] + 180.0) / 360.0 * side - x
    row = (1.0 - np.arcsinh(np.tan(lat)) / np.pi) / 2.0 * side - y
    return np.stack([column, row], axis=1) * cells


def coverage(areas: np.ndarray, zoom: int, x: int, y: int, cells: int) -> Grid:
    """Return the share (0 … 1) of each cell of a tile that areas in degrees cover."""
    whole = shapely.orient_polygons(areas)
    parts = shapely.get_parts(whole)
    if not len(parts):
        return np.zeros((cells, cells), np.float32)
    rings, _ = shapely.get_rings(parts, return_index=True)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    at = in_tile(coords, zoom, x, y, cells)
    joined = ring[1:] == ring[:-1]
    return _filled(at[:-1][joined], at[1:][joined], cells)


def _filled(start: np.ndarray, end: np.ndarray, cells: int) -> Grid:
    """Sum up the edges: what lies to the right of each, with the sign of its direction."""
    near = (np.minimum(start[:, 1], end[:, 1]) < cells) & (np.maximum(start[:, 1], end[:, 1]) > 0)
    near &= start[:, 1] != end[:, 1]
    start, end = start[near], end[near]
    edge, t = _cuts(start, end, cells)
    same = edge[1:] == edge[:-1]
    edge, t0, t1 = edge[:-1][same], t[:-1][same], t[1:][same]
    step = end - start
    middle = start[edge] + step[edge] * ((t0 + t1) / 2)[:, None]
    height = step[edge, 1] * (t1 - t0)
    row = np.floor(middle[:, 1]).astype(np.int64)
    inside = (row >= 0) & (row < cells) & (middle[:, 0] < cells)
    row, height = row[inside], height[inside]
    across = np.clip(middle[inside, 0], 0.0, cells - 1e-9)
    column = np.floor(across).astype(np.int64)
    part = across - column
    width = cells + 1
    flat = row * width + column
    size = cells * width
    acc = (
        np.bincount(flat, height * (1.0 - part), size)
        + np.bincount(flat + 1, height * part, size + 1)[:size]
    )
    made = np.cumsum(acc.reshape(cells, width), axis=1)[:, :cells]
    return np.clip(made, 0.0, 1.0).astype(np.float32)


def _cuts(start: np.ndarray, end: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return edge numbers and places (0 … 1) of both ends and of every cell border between, in order."""
    count = len(start)
    edges, places = [np.arange(count), np.arange(count)], [np.zeros(count), np.ones(count)]
    for axis in (0, 1):
        a, b = start[:, axis], end[:, axis]
        low = np.clip(np.ceil(np.minimum(a, b)), 0, cells).astype(np.int64)
        high = np.clip(np.floor(np.maximum(a, b)), -1, cells).astype(np.int64)
        times = np.maximum(0, high - low + 1)
        times[a == b] = 0
        edge = np.repeat(np.arange(count), times)
        before = np.repeat(np.cumsum(times) - times, times)
        border = low[edge] + np.arange(len(edge)) - before
        edges.append(edge)
        places.append(np.clip((border - a[edge]) / (b - a)[edge], 0.0, 1.0))
    edge, t = np.concatenate(edges), np.concatenate(places)
    order = np.lexsort((t, edge))
    return edge[order], t[order]


def halved(grid: Grid) -> Grid:
    """Return a grid of half as many cells to each side, each the mean of four."""
    corners = (grid[::2, ::2], grid[::2, 1::2], grid[1::2, ::2], grid[1::2, 1::2])
    return np.asarray(sum(corners), np.float32) / np.float32(4)


def outlines(
    grid: Grid, share: float, origin: tuple[int, int], unit: float, tolerance: float = 0.3
) -> list[np.ndarray]:
    """Return rings around the cells that are covered by at least a share, in units of a tile.

    `origin` is the column and row of the grid's first cell in the tile, `unit` the size of a cell.
    Outer rings run clockwise on the screen and each is followed by its holes, as tiles want them.
    """
    if float(grid.max(initial=0.0)) < share:
        return []
    # A frame of nothing closes what runs out of the grid.
    found: Any = contourpy.contour_generator(
        z=np.pad(grid, 1).astype(float), fill_type=contourpy.FillType.ChunkCombinedOffsetOffset
    ).filled(share, 2.0)
    points, rings, areas = found
    if points[0] is None:
        return []
    at = (points[0] - 0.5 + np.array(origin)) * unit
    offsets = (np.asarray(rings[0], np.int64), np.asarray(areas[0], np.int64))
    shapes = shapely.from_ragged_array(shapely.GeometryType.POLYGON, at, offsets)
    return _rings(shapes, tolerance * unit)


def borders(grid: Grid, share: float) -> int:
    """Return how often cells on either side of a share meet: about the points of its outlines."""
    over = grid >= share
    return int((over[1:] != over[:-1]).sum() + (over[:, 1:] != over[:, :-1]).sum())


def _rings(shapes: np.ndarray, tolerance: float) -> list[np.ndarray]:
    plain = shapely.simplify(shapes, tolerance, preserve_topology=False)
    # What simplification would make vanish stays as it was: a small wood is a wood.
    gone = shapely.is_empty(plain) | (shapely.get_type_id(plain) != shapely.GeometryType.POLYGON)
    plain = shapely.orient_polygons(np.where(gone, shapes, plain), exterior_cw=False)
    rings = shapely.get_rings(plain)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    units = np.round(coords).astype(np.int64)
    return np.split(units, np.flatnonzero(np.diff(ring)) + 1) if len(units) else []
