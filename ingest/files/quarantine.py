"""Rows left out of a load, with their reasons, as a GeoPackage that is written while reading."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas

from twin.errors import Unavailable
from twin.settings import settings

Refused = tuple[int, dict[str, Any], Any, str]


class Quarantine:
    """Appends refused rows to a file of their own; no file is made for none."""

    def __init__(self, kind: str, stem: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self._target = settings().home / "quarantine" / f"{kind}-{stem}-{stamp}.gpkg"
        self.path: Path | None = None

    def add(self, refused: Sequence[Refused]) -> None:
        """Write rows; Unavailable when they cannot be kept: a load never loses what it leaves out."""
        if not refused:
            return
        rows = [
            {"row_number": n, "reason": why, "given": json.dumps(row, ensure_ascii=False, default=str)}
            for n, row, _, why in refused
        ]  # fmt: skip
        shapes = [s if s is not None and not s.is_empty else None for _, _, s, _ in refused]
        frame = geopandas.GeoDataFrame(rows, geometry=shapes, crs="EPSG:4326")
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            frame.to_file(
                self._target, driver="GPKG", layer="quarantine", engine="pyogrio",
                append=self.path is not None, geometry_type="Unknown", promote_to_multi=False,
            )  # fmt: skip
        except (OSError, RuntimeError) as why:
            self.drop()
            raise Unavailable(
                f"The quarantine file {self._target} cannot be written ({why}); nothing was loaded."
            ) from why
        self.path = self._target

    def drop(self) -> None:
        """Remove the file: the load it belongs to did not happen."""
        self._target.unlink(missing_ok=True)
        self.path = None
