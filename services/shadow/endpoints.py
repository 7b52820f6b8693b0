"""HTTP doors of shadows and commands: /api/v1/shadow, /api/v1/commands."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.shadow import service
from services.web.auth import Person
from services.web.once import once
from twin import db, products
from twin.errors import BadRequest
from twin.shadow import commands, state

router = APIRouter(prefix="/api/v1", tags=["devices"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=128)]
Match = Annotated[str | None, Header(alias="If-Match", max_length=32)]
Code = Annotated[str, Path(min_length=1, max_length=64)]
Word = Annotated[str, Field(min_length=1, max_length=64)]
Args = Annotated[dict[Word, str | int | float | bool], Field(max_length=32)]


class Order(BaseModel):
    """A command and the devices that it goes to: by code, district, or an area of the map."""

    model_config = ConfigDict(extra="forbid")

    product: Word
    name: Word
    args: Args = {}
    devices: Annotated[list[Word], Field(max_length=commands.MAX_DEVICES)] | None = None
    district: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    area: dict[str, Any] | None = None
    ttl_s: Annotated[float, Field(gt=0, le=commands.MAX_TTL_S, allow_inf_nan=False)] | None = None
    reason: Annotated[str, Field(max_length=300)] | None = None


class Wish(BaseModel):
    """A change of what devices of a product should be, by a selection on the map."""

    model_config = ConfigDict(extra="forbid")

    product: Word
    desired: Annotated[dict[Word, Any], Field(min_length=1, max_length=64)]
    devices: Annotated[list[Word], Field(max_length=1000)] | None = None
    district: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    area: dict[str, Any] | None = None


@router.get("/shadow/{code}")
def shadow(code: Code, person: Person, response: Response) -> dict[str, Any]:
    """Return what a device should be, what it says it is, and what is still lacking."""
    with db.engine("app").connect() as conn:
        num, product = service.device(conn, person, code)
        said = state.read(conn, num)
    response.headers["ETag"] = f'"{said["desired_rev"]}"'
    return {"code": code, "product": product.key if product else None, **said}


@router.patch("/shadow/{code}")
def desire(
    code: Code, change: Annotated[dict[Word, Any], Field(max_length=64)], person: Person,
    response: Response, if_match: Match = None,
) -> dict[str, Any]:  # fmt: skip
    """Apply a JSON merge patch to what is desired; with If-Match only to the revision named."""
    with db.engine("app").begin() as conn:
        num, product = service.device(conn, person, code)
        said = state.desire(
            conn, num, change, actor=person, product=product, revision=_revision(if_match)
        )
    response.headers["ETag"] = f'"{said["desired_rev"]}"'
    return {"code": code, **said}


def _revision(said: str | None) -> int | None:
    if said is None:
        return None
    bare = said.strip().removeprefix("W/").strip('"')
    if not bare.isdigit() or len(bare) > 18:
        raise BadRequest("If-Match is the ETag of the shadow as you read it.")
    return int(bare)


@router.post("/shadow")
def desire_many(said: Wish, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Desire the same of many devices of a product, chosen by code, district or area."""

    def do() -> dict[str, Any]:
        product = products.one(conn, said.product)
        nums = service.chosen(
            conn, person, said.product, codes=said.devices, district=said.district,
            area=service.polygon(said.area),
        )  # fmt: skip
        if len(nums) > 1000:
            raise BadRequest("At most 1000 devices at once; choose a smaller area.")
        for num in nums:
            state.desire(conn, num, said.desired, actor=person, product=product)
        return {"devices": len(nums)}

    with db.engine("app").begin() as conn:
        return once(conn, person, idempotency_key, said.model_dump(), do)


@router.post("/commands", status_code=201)
def give(said: Order, person: Person, idempotency_key: Key = None) -> dict[str, Any]:
    """Give a command to devices; those that are away get it when they come, until it expires."""

    def do() -> dict[str, Any]:
        product = products.one(conn, said.product)
        declared = commands.known(product, said.name, said.args)
        nums = service.chosen(
            conn, person, said.product, codes=said.devices, district=said.district,
            area=service.polygon(said.area),
        )  # fmt: skip
        batch = commands.give(
            conn, nums, said.name, said.args, actor=person.user,
            ttl_s=said.ttl_s or declared.ttl_s, why={"reason": said.reason},
        )  # fmt: skip
        return {"batch": str(batch), "devices": len(nums)}

    with db.engine("app").begin() as conn:
        return once(conn, person, idempotency_key, said.model_dump(), do)


@router.get("/commands")
def listed(
    person: Person,
    device: Annotated[str | None, Query(max_length=64)] = None,
    batch: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List commands, the newest first, of one device, of one batch, or all."""
    with db.engine("app").connect() as conn:
        num = service.device(conn, person, device)[0] if device else None
        found = commands.listed(conn, person, num=num, batch=batch, limit=limit)
        tally = commands.tally(conn, batch) if batch else None
    return {"commands": found, "tally": tally}


@router.delete("/commands/{batch}")
def cancel(batch: UUID, person: Person) -> dict[str, Any]:
    """Take back what of a batch has not been delivered."""
    with db.engine("app").begin() as conn:
        return {"cancelled": commands.cancel(conn, batch, person)}
