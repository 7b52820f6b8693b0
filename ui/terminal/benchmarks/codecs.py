"""Codecs: microseconds a message of a declared layout and of a script, against bare decoding in Python."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from ingest.codecs import decode_many
from twin import products
from ui.terminal.benchmarks import Figure, figure

MESSAGES = 20_000
ROUNDS = 3
Raws = list[tuple[bytes, int | None]]
CHUNK = 1_000
LAYOUT = ("bin_level", "5C52016E00E900")
SCRIPT = ("soil_moisture", "01756403671901046873057FF000")


def run(size: int) -> list[Figure]:
    """Decode so many messages in batches, the best of some rounds; the limit is `struct` and a dict."""
    many = size or MESSAGES
    shipped = {one.key: one for one in products.shipped()}
    limit = _best(lambda: _bare(many), many)
    figures = []
    for what, (key, payload) in (("layout", LAYOUT), ("JavaScript", SCRIPT)):
        raws: Raws = [(bytes.fromhex(payload), 1)] * CHUNK
        product = shipped[key]
        decode_many(product, raws)  # the sandbox begins, the script is read

        def work(product: products.Product = product, raws: Raws = raws) -> None:
            for _ in range(many // CHUNK):
                decode_many(product, raws)

        figures.append(figure(f"codec, {what}: a message", _best(work, many), "us", limit))
    return figures


def _bare(many: int) -> None:
    unpack = struct.Struct(">BBHhB").unpack
    payload = bytes.fromhex(LAYOUT[1])
    for _ in range(many):
        battery, level, distance, temp, flags = unpack(payload)
        _ = {
            "battery_pct": battery, "level_pct": level, "distance_mm": distance,
            "temp_c": temp * 0.1, "tilted": bool(flags & 1),
        }  # fmt: skip


def _best(work: Callable[[], None], many: int) -> float:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took) / many * 1e6
