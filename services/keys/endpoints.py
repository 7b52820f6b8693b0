"""HTTP doors of partner keys, for the security administrator: /api/v1/keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from services.web import auth
from twin import db, keys

router = APIRouter(prefix="/api/v1/keys", tags=["accounts"])
KeyId = Annotated[str, Path(min_length=1, max_length=16)]
Word = Annotated[str, Field(min_length=1, max_length=64)]


class NewKey(BaseModel):
    """What a partner's key opens."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80)]
    kinds: Annotated[list[Word], Field(max_length=500)] | None = None
    districts: (
        Annotated[list[Annotated[str, Field(pattern=r"^[0-9]{6}$")]], Field(max_length=64)] | None
    ) = None
    fields: (
        Annotated[dict[Word, Annotated[list[Word], Field(max_length=200)]], Field(max_length=500)]
        | None
    ) = None
    acts: Annotated[list[Word], Field(max_length=10)] = ["map.read"]
    clearance: Annotated[int, Field(ge=1, le=4)] = 1
    rate_per_s: Annotated[float, Field(gt=0, le=keys.MAX_RATE, allow_inf_nan=False)] = 10.0
    burst: Annotated[int, Field(ge=1, le=100_000)] = 50
    daily_quota: Annotated[int, Field(ge=1, le=keys.MAX_QUOTA)] = 100_000
    days: Annotated[int, Field(ge=1, le=keys.MAX_DAYS)] = 365
    addresses: Annotated[list[Word], Field(max_length=500)] | None = None


@router.get("")
def listed(person: auth.Person) -> dict[str, Any]:
    """Return all keys with their use; tokens are never shown again."""
    person.need("user.read")
    with db.engine("app").connect() as conn:
        return {"keys": keys.listed(conn), "acts": keys.ACTS}


@router.post("", status_code=201)
def add(said: NewKey, person: auth.Person) -> dict[str, Any]:
    """Make a key; its token is shown this once."""
    person.need("user.write")
    with db.engine("app").begin() as conn:
        key_id, token = keys.issue(conn, keys.Wanted(**said.model_dump()), person.user)
    return {"id": key_id, "token": token}


class Rotation(BaseModel):
    """How long the old key still opens beside the new one."""

    model_config = ConfigDict(extra="forbid")

    grace_hours: Annotated[int, Field(ge=0, le=168)] = 24


@router.post("/{key_id}/rotate", status_code=201)
def rotate(key_id: KeyId, said: Rotation, person: auth.Person) -> dict[str, Any]:
    """Make a new key with the same rights; its token is shown this once, the old one ends soon."""
    person.need("user.write")
    with db.engine("app").begin() as conn:
        new, token = keys.rotate(conn, key_id, said.grace_hours, person.user)
    auth.forget_user(f"key:{key_id}")
    return {"id": new, "token": token}


@router.delete("/{key_id}", status_code=204)
def revoke(key_id: KeyId, person: auth.Person) -> None:
    """End a key at once."""
    person.need("user.write")
    with db.engine("app").begin() as conn:
        keys.revoke(conn, key_id, person.user)
    auth.forget_user(f"key:{key_id}")
