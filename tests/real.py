"""Where the shared real data lies; tests that need it are skipped where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def folder() -> Path | None:
    """Return the folder of shared data: TWIN_TEST_DATA, or ../shared/data beside the repository."""
    said = os.environ.get("TWIN_TEST_DATA")
    tried = [Path(said)] if said else [p / "shared" / "data" for p in list(ROOT.parents)[:2]]
    return next((p for p in tried if p.is_dir()), None)


def shared(name: str) -> Path:
    """Return a shared file, or skip the test."""
    root = folder()
    if root is None or not (root / name).exists():
        pytest.skip(f"shared data {name} is not here (set TWIN_TEST_DATA)")
    return root / name
