"""The body of an action of the process engine, the same for every door that leads to one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Act(BaseModel):
    """What an action is given: the version it was decided on, a level, and words."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1)] | None = None
    level: Annotated[int, Field(ge=1, le=4)] | None = None
    note: Annotated[str, Field(max_length=2000)] | None = None
    reason: Annotated[str, Field(max_length=500)] | None = None

    def params(self) -> dict[str, Any]:
        """Return what was given, as the engine takes it."""
        return self.model_dump(exclude={"version"}, exclude_none=True)
