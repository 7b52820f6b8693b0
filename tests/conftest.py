"""Fixtures: private servers, a clean database for each module, a whole running city."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests import support
from twin import memory


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end: looking through them for garbage again and again costs minutes."""
    memory.settle()


@pytest.fixture(scope="session")
def servers() -> Iterator[support.Servers]:
    """A private PostGIS cluster and Mosquitto, migrated and published once."""
    with support.servers() as running:
        yield running


@pytest.fixture(scope="module")
def database(servers: support.Servers, request: pytest.FixtureRequest) -> Iterator[str]:
    """A clean database for this module: `twin.db.engine(role)` leads to it."""
    name = re.sub(r"\W", "_", request.module.__name__)[-40:].strip("_").lower()
    with servers.fresh_database(f"t_{name}") as address:
        yield address


@pytest.fixture(scope="session")
def city() -> Iterator[support.City]:
    """The whole installation with the small demo city, all parts as real processes."""
    with support.installation("small") as running:
        yield running
