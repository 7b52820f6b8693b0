"""What callers send to the doors of loads."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Cell = Annotated[str, StringConstraints(max_length=100_000)]


class Layer(BaseModel):
    """Which part of the file, in which encoding."""

    model_config = ConfigDict(extra="forbid")
    layer: Name | None = None
    encoding: Name = "auto"


class Suggest(Layer):
    """Ask which column is which field of a kind."""

    kind: Name
    source: Name | None = None


class Check(Layer):
    """Ask what a load would do; `mapping` is column → field, `-` leaves a column out."""

    kind: Name
    mapping: dict[Name, Name] = Field(default_factory=dict, max_length=2000)
    key: Name | None = None
    crs: Name = "auto"
    x: Name | None = None
    y: Name | None = None
    source: Name | None = None

    def options(self) -> dict[str, Any]:
        """Return what `ingest.files.load` takes."""
        return self.model_dump(exclude={"kind"})


class Corrections(BaseModel):
    """Corrected cells: row number in the file → column → value."""

    model_config = ConfigDict(extra="forbid")
    rows: dict[int, dict[Name, Cell | None]] = Field(max_length=2000)
