"""Bodies of the event doors, with bounds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class NewEvent(BaseModel):
    """A report from the map: what, where, how bad."""

    model_config = ConfigDict(extra="forbid")
    category: str = Field(min_length=1, max_length=48)
    title: str | None = Field(default=None, max_length=120)
    description: str = Field(default="", max_length=4000)
    lon: float
    lat: float
    severity: int | None = Field(default=None, ge=1, le=4)
    address: str | None = Field(default=None, max_length=200)
    photos: list[str] = Field(default_factory=list, max_length=12)
    source: Literal["map", "patrol"] = "map"
    fields: dict[str, Any] = Field(default_factory=dict, max_length=40)
    thing: str | None = Field(default=None, max_length=64)


class Act(BaseModel):
    """An action on an event: the version it was decided on, then what the action needs."""

    model_config = ConfigDict(extra="allow")
    version: int | None = Field(default=None, ge=1)

    def params(self) -> dict[str, Any]:
        """Return what the action was given, bounded in size."""
        return dict(self.model_extra or {})


class Chosen(BaseModel):
    """What a list was narrowed to, as its address says it."""

    model_config = ConfigDict(extra="forbid")
    state: Literal["open", "closed", "all"] = "open"
    district: str | None = Field(default=None, max_length=12)
    holder: str | None = Field(default=None, max_length=64)
    category: list[str] | None = Field(default=None, max_length=60)
    department: str | None = Field(default=None, max_length=64)
    source: str | None = Field(default=None, max_length=64)
    severity: list[int] | None = Field(default=None, max_length=4)
    stage: list[int] | None = Field(default=None, max_length=9)
    text: str | None = Field(default=None, max_length=80)
    late: bool | None = None
    opened_from: datetime | None = None
    opened_to: datetime | None = None
    tag: str | None = Field(default=None, max_length=40)
    bbox: tuple[float, float, float, float] | None = None


class Bulk(BaseModel):
    """An action on many events: named one by one, or by what a list was narrowed to."""

    model_config = ConfigDict(extra="forbid")
    keys: list[str] | None = Field(default=None, min_length=1, max_length=20_000)
    filter: Chosen | None = None
    action: str = Field(min_length=1, max_length=48)
    params: dict[str, Any] = Field(default_factory=dict, max_length=20)
