"""Bodies of the event doors, with bounds."""

from __future__ import annotations

from typing import Any

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


class Act(BaseModel):
    """An action on an event: the version it was decided on, then what the action needs."""

    model_config = ConfigDict(extra="allow")
    version: int | None = Field(default=None, ge=1)

    def params(self) -> dict[str, Any]:
        """Return what the action was given, bounded in size."""
        return dict(self.model_extra or {})
