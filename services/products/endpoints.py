"""HTTP doors of products: list, show, standards, check, publish, debug a codec."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from services.products import service
from services.web.auth import Person
from services.web.declared import read_source
from twin import db, jobs
from twin.errors import BadRequest
from twin.products import change, forms

router = APIRouter(prefix="/api/v1/products", tags=["products"])
MAX_BYTES = 400_000
Key = Annotated[str, Path(pattern="^[a-z][a-z0-9_]{1,39}$")]


class Payload(BaseModel):
    """A payload to be decoded by a product that runs, or by the draft of one."""

    payload: str = Field(max_length=20_000)
    form: Literal["hex", "base64", "json"] = "hex"
    port: int | None = Field(default=None, ge=0, le=255)
    product: str | None = Field(default=None, max_length=40)
    declaration: str | None = Field(default=None, max_length=MAX_BYTES)


@router.get("")
def listed(person: Person) -> dict[str, Any]:
    """Return the products, each with how many devices it has."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return {"products": service.listed(conn, person)}


@router.get("/{key}")
def shown(key: Key, person: Person) -> dict[str, Any]:
    """Return a product with its declaration and an example of what its devices send."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        found = service.one(conn, person, key)
        return {
            **forms.shown(found), "declaration": dict(found.doc), "example": forms.example(found),
        }  # fmt: skip


@router.get("/{key}/td")
def thing_model(key: Key, person: Person) -> Response:
    """Return the W3C Thing Model of a product."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        said = forms.thing_model(service.one(conn, person, key))
    return Response(json.dumps(said, ensure_ascii=False), media_type="application/tm+json")


@router.get("/{key}/schema.json")
def schema(key: Key, person: Person) -> Response:
    """Return the JSON Schema of the messages of a product."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        said = forms.message_schema(service.one(conn, person, key))
    return Response(json.dumps(said, ensure_ascii=False), media_type="application/schema+json")


@router.post("/check")
async def check(request: Request, person: Person) -> dict[str, Any]:
    """Return what a declaration (YAML or JSON) would be; nothing is published."""
    person.need("device.write")
    source = await read_source(request, MAX_BYTES)
    async with db.async_engine("app").connect() as conn:
        return await conn.run_sync(service.checked, source)


@router.post("/decode")
def decode(said: Payload, person: Person) -> dict[str, Any]:
    """Return every step from a payload to values of the model: the debugger of codecs."""
    person.need("device.write")
    with db.engine("app").connect() as conn:
        return service.decoded(conn, person, said.model_dump())


@router.post("", status_code=202)
async def publish(request: Request, person: Person) -> dict[str, Any]:
    """Ask for a product to be made or extended; follow the job under /api/v1/jobs."""
    person.need("device.write")
    source = await read_source(request, MAX_BYTES)
    async with db.async_engine("app").begin() as conn:
        found = await conn.run_sync(service.checked, source)
        if found["wrong_vectors"]:
            raise BadRequest(
                "The codec does not meet its golden vectors; correct it or them.",
                wrong_vectors=found["wrong_vectors"],
            )
        args = {"declaration": source}
        job = await conn.run_sync(jobs.enqueue, change.TASK, args, actor=person.user)
    return {"job": job, "plan": found, "follow": f"/api/v1/jobs/{job}"}
