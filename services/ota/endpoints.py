"""HTTP doors of updates: /api/v1/ota."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text

from services.ota import service
from services.web.auth import Person
from twin import db, products
from twin.errors import BadRequest, TooLarge
from twin.ota import rollouts
from twin.ota.repository import repository
from twin.settings import settings

router = APIRouter(prefix="/api/v1/ota", tags=["updates"])
MAX_IMAGE = 256 << 20
Word = Annotated[str, Field(min_length=1, max_length=64)]
Minute = Annotated[int, Field(ge=0, le=1440)]


class Rollout(BaseModel):
    """A release, the devices that get it, and how carefully."""

    model_config = ConfigDict(extra="forbid")

    release: UUID
    devices: Annotated[list[Word], Field(max_length=20_000)] | None = None
    district: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    area: dict[str, Any] | None = None
    everywhere: bool = False
    stages: Annotated[
        list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1, max_length=6)
    ] = [*rollouts.STAGES]
    halt_above: Annotated[float, Field(ge=0, lt=1)] = 0.2
    window: tuple[Minute, Minute] | None = None
    silent_s: Annotated[float, Field(ge=60, le=86400)] = rollouts.SILENT_S
    kbps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Halt(BaseModel):
    """Why a rollout is stopped."""

    reason: Annotated[str, Field(min_length=2, max_length=300)]


@router.get("")
def overview(person: Person) -> dict[str, Any]:
    """List releases and rollouts, with how each stage stands."""
    with db.engine("app").connect() as conn:
        return {
            "releases": rollouts.releases(conn), "rollouts": rollouts.listed(conn),
            "carried": repository(settings().home).is_carried,
        }  # fmt: skip


@router.post("/releases", status_code=201)
def release(
    person: Person,
    product: Annotated[str, Form(max_length=40)],
    version: Annotated[str, Form(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+-]{0,31}$")],
    counter: Annotated[int, Form(ge=1, le=2**31 - 1)],
    image: Annotated[UploadFile, File()],
    hardware: Annotated[
        str, Form(pattern=r"^[0-9A-Za-z._-]{1,32}(,[0-9A-Za-z._-]{1,32}){0,15}$")
    ] = "any",
    min_from: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
    note: Annotated[str, Form(max_length=500)] = "",
) -> dict[str, Any]:
    """Sign an image as a release of a product; counters only go upwards."""
    if image.size is None or image.size > MAX_IMAGE:
        raise TooLarge(f"An image has at most {MAX_IMAGE >> 20} MiB.")
    made = repository(settings().home)
    made.ensure()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        with path.open("wb") as sink:
            shutil.copyfileobj(image.file, sink)
        with db.engine("app").begin() as conn:
            products.one(conn, product)
            new = rollouts.release(
                conn, made, path, product=product, version=version, counter=counter,
                hardware=hardware.split(","), min_from=min_from, note={"text": note},
                actor=person.user,
            )  # fmt: skip
            service.keep(conn, new, path)
    return {"id": str(new)}


@router.post("/rollouts", status_code=201)
def start(said: Rollout, person: Person) -> dict[str, Any]:
    """Start a rollout to devices chosen by code, district or area, stage by stage."""
    with db.engine("app").begin() as conn:
        product = conn.scalar(
            text("select product from iot.ota_release where id = :id"), {"id": said.release}
        )
        if product is None:
            raise BadRequest("There is no such release.")
        nums = service.chosen(
            conn, person, product, codes=said.devices, district=said.district, area=said.area,
            everywhere=said.everywhere,
        )  # fmt: skip
        plan = {"silent_s": said.silent_s, "kbps": said.kbps, "window": said.window}
        new = rollouts.start(
            conn, said.release, nums, stages=said.stages, halt_above=said.halt_above,
            plan={k: v for k, v in plan.items() if v is not None}, actor=person.user,
        )  # fmt: skip
    return {"id": str(new), "devices": len(nums)}


@router.get("/rollouts/{which}")
def one(
    which: UUID, person: Person, limit: Annotated[int, Query(ge=1, le=2000)] = 500
) -> dict[str, Any]:
    """Return how a rollout stands, device by device, trouble first."""
    with db.engine("app").connect() as conn:
        return {
            "tally": rollouts.tally(conn, which),
            "attempts": rollouts.attempts(conn, person, which, limit),
        }


@router.post("/rollouts/{which}/halt", status_code=204)
def halt(which: UUID, said: Halt, person: Person) -> None:
    """Stop a rollout for good: what has not begun to install is taken back."""
    with db.engine("app").begin() as conn:
        rollouts.halt(conn, which, said.reason, person.user)


@router.post("/rollouts/{which}/pause", status_code=204)
def pause(which: UUID, person: Person, on: bool = True) -> None:
    """Pause a rollout, or let it go on."""
    with db.engine("app").begin() as conn:
        rollouts.pause(conn, which, on, person.user)


@router.get("/metadata/{name}")
def metadata(name: Annotated[str, InPath(max_length=80)]) -> Response:
    """Return a file of the signed metadata (The Update Framework)."""
    return Response(repository(settings().home).read(name), media_type="application/json")


@router.get("/images/{sha256}")
def image(sha256: Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]) -> FileResponse:
    """Return an image by its digest; Range is understood, so that a download goes on where it broke."""
    return FileResponse(
        service.image(sha256), media_type="application/octet-stream",
        headers={"ETag": f'"{sha256}"', "Cache-Control": "public, max-age=31536000, immutable"},
    )  # fmt: skip


@router.get("/targets/{product}/{name}")
def target(
    product: Annotated[str, InPath(max_length=40)], name: Annotated[str, InPath(max_length=64)]
) -> FileResponse:
    """Return an image by the path that the metadata name; a leading digest is understood."""
    with db.engine("app").connect() as conn:
        return image(service.digest_of(conn, product, name))
