"""Every door asked what its OpenAPI description allows and forbids: no five-hundreds, no breaks of schema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks as known
from schemathesis.generation import GenerationMode

from services.app import create_app
from services.features import openapi
from tests import minicity
from twin import catalogue, kinds
from twin.scope import Actor
from ui.terminal.benchmarks import serving

# A point, a polygon, a line and a record: the feature doors of other kinds differ in names alone.
KINDS = ("toilet", "green_space", "road", "toilet_cleaning")
SHORT, LONG = 4, 150
CHECKS = [
    known.not_a_server_error,
    known.response_schema_conformance,
    known.content_type_conformance,
]
WRITER = Actor(user="writer", acts=frozenset({"data.write"}), clearance=3)


def _features() -> Any:
    chosen = {k.kind: k for k in kinds.shipped() if k.kind in KINDS}
    return openapi.document(chosen, WRITER)


def _operations(doc: Any) -> list[Any]:
    made = schemathesis.openapi.from_dict(doc)
    return [result.ok() for result in made.get_all_operations()]


def _whole() -> Any:
    """The description of the whole API; FastAPI's own 422 never comes: refusals are 400."""
    return create_app().openapi()


FEATURES = _operations(_features())
WHOLE = [o for o in _operations(_whole()) if not o.path.startswith("/ogc/collections/{")]


@pytest.fixture(scope="module")
def server(database: str) -> Iterator[serving.Server]:
    minicity.build()
    catalogue.forget()
    with serving.server("described") as running:
        yield running


def _ask(operation: Any, base: str, user: str, times: int) -> None:
    """Ask a door what it describes, and what it does not: the latter may be refused, never break."""
    headers = serving.bearer(user)
    _each(operation, base, headers, times, GenerationMode.POSITIVE, CHECKS)
    if operation.query or operation.path_parameters or operation.body:
        # Where any text is allowed nothing is forbidden.
        with contextlib.suppress(Unsatisfiable):
            _each(operation, base, headers, times, GenerationMode.NEGATIVE, CHECKS[:1])


def _each(
    operation: Any,
    base: str,
    headers: dict[str, str],
    times: int,
    mode: GenerationMode,
    checks: list[Any],
) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(max_examples=times, deadline=None, phases=[Phase.explicit, Phase.generate],
                         suppress_health_check=list(HealthCheck), derandomize=True, database=None)  # fmt: skip
    def asked(case: Any) -> None:
        answer = case.call(base_url=base, headers=headers, timeout=30)
        case.validate_response(answer, checks=checks)

    asked()


@pytest.mark.parametrize("operation", FEATURES, ids=lambda o: o.label)
def test_features_keep_what_they_describe(operation: Any, server: serving.Server) -> None:
    _ask(operation, f"{server.url}/ogc", "planner", SHORT)


@pytest.mark.parametrize("operation", WHOLE, ids=lambda o: o.label)
def test_no_door_breaks(operation: Any, server: serving.Server) -> None:
    _ask(operation, server.url, "admin", SHORT)


@pytest.mark.long
@pytest.mark.parametrize("operation", [*FEATURES, *WHOLE], ids=lambda o: o.label)
def test_no_door_breaks_however_often_it_is_asked(operation: Any, server: serving.Server) -> None:
    base = f"{server.url}/ogc" if operation in FEATURES else server.url
    _ask(operation, base, "planner", LONG)
