"""HTTP doors of policies: /api/v1/policies."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, File, Path, Query, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from services.policies import bpmn, choices, flow, sheets
from services.web.auth import Person
from twin import db, policies
from twin.indicators import policy
from twin.process import migration

router = APIRouter(prefix="/api/v1/policies", tags=["policies"])
Kind = Annotated[str, Path(min_length=1, max_length=32)]
Key = Annotated[str, Path(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=1, le=1_000_000)]
Doc = Annotated[dict[str, Any], Field(max_length=60)]


class Draft(BaseModel):
    """A document that is not published."""

    model_config = ConfigDict(extra="forbid")
    document: Doc


class Trial(Draft):
    """A document and the stretch of the past that it is tried over."""

    days: int = Field(default=30, ge=1, le=policies.MAX_DAYS)


class OneOf(Draft):
    """A set of indicators and the one that is tried."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]


class Publication(Draft):
    """A document to be published, and why."""

    note: str = Field(default="", max_length=1000)


class Version(BaseModel):
    """A published version."""

    model_config = ConfigDict(extra="forbid")
    version: Number


class Move(Version):
    """The version that running cases are moved to; a dry run only tells."""

    dry_run: bool = True


class Batch(BaseModel):
    """A migration that is taken back."""

    model_config = ConfigDict(extra="forbid")
    batch: str = Field(min_length=36, max_length=36)


@router.get("")
def listed(person: Person) -> list[dict[str, Any]]:
    """List the policies that run."""
    with db.engine("app").connect() as conn:
        return policies.listed(conn)


@router.get("/choices")
def offered(person: Person) -> dict[str, Any]:
    """Tell what the forms offer: roles, groups, kinds, products, scenes, plans."""
    with db.engine("app").connect() as conn:
        return choices.offered(conn, person)


@router.get("/choices/fields")
def fields(
    person: Person, form: Literal["kind", "product", "records"],
    name: Annotated[str, Query(pattern="^[a-z][a-z0-9_]{0,39}$")],
) -> dict[str, Any]:  # fmt: skip
    """Tell which fields a filter over a kind, a product or records may name."""
    with db.engine("app").connect() as conn:
        return {"fields": choices.fields(conn, person, {form: name})}


@router.post("/indicators/{key}/trial")
def indicator(key: Key, said: OneOf, person: Person) -> dict[str, Any]:
    """Count one indicator of a draft now: its value, by district, and the first things behind it."""
    with db.engine("app").connect() as conn:
        return policy.trial(conn, person, said.document, f"{key}.{said.name}")


@router.get("/duty/{key}.xlsx")
def sheet(key: Key, person: Person) -> Response:
    """Hand out a duty list as an Excel sheet."""
    with db.engine("app").connect() as conn:
        doc = policies.one(conn, "duty", key, None)["document"]
    return Response(
        sheets.write(doc), media_type=sheets.TYPE,
        headers={"Content-Disposition": f'attachment; filename="{quote(key)}.xlsx"'},
    )  # fmt: skip


@router.post("/duty/{key}/import")
def read_sheet(key: Key, file: Annotated[UploadFile, File()], person: Person) -> dict[str, Any]:
    """Read an Excel sheet as the rows of a duty list: checked, not yet published."""
    rows = sheets.read(file.file.read(sheets.MAX_BYTES + 1))
    with db.engine("app").connect() as conn:
        doc = policies.one(conn, "duty", key, None)["document"] | {"rows": rows}
        return {"document": doc, **policies.check(conn, "duty", doc)}


@router.get("/{kind}/{key}")
def one(
    kind: Kind, key: Key, person: Person,
    version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> dict[str, Any]:  # fmt: skip
    """Show a document as it runs, or one of its versions."""
    with db.engine("app").connect() as conn:
        return policies.one(conn, kind, key, version)


@router.post("/{kind}/{key}/check")
def check(kind: Kind, key: Key, said: Draft, person: Person) -> dict[str, Any]:
    """Check a document without publishing it."""
    with db.engine("app").connect() as conn:
        return policies.check(conn, kind, said.document)


@router.post("/{kind}/{key}/simulate")
def simulate(kind: Kind, key: Key, said: Trial, person: Person) -> dict[str, Any]:
    """Tell what a document would have changed over the last days; nothing is written."""
    with db.engine("app").connect() as conn:
        return policies.simulate(conn, kind, person, said.document, said.days)


@router.post("/{kind}/{key}/publish")
def publish(kind: Kind, key: Key, said: Publication, person: Person) -> dict[str, Any]:
    """Publish a document: what is opened from now on follows it."""
    with db.engine("app").begin() as conn:
        return policies.publish(
            conn, kind, key, said.document, actor=person.user, note=said.note
        )  # fmt: skip


@router.post("/{kind}/{key}/rollback")
def rollback(kind: Kind, key: Key, said: Version, person: Person) -> dict[str, Any]:
    """Publish an earlier version anew."""
    with db.engine("app").begin() as conn:
        return policies.rollback(conn, kind, key, said.version, actor=person.user)


@router.post("/process/{key}/migrate")
def migrate(key: Key, said: Move, person: Person) -> dict[str, Any]:
    """Move running cases to a version, or tell which could not go."""
    with db.engine("app").begin() as conn:
        return migration.migrate(conn, key, said.version, actor=person, dry_run=said.dry_run)


@router.post("/process/{key}/migrate/undo")
def undo(key: Key, said: Batch, person: Person) -> dict[str, Any]:
    """Take a migration back: each case returns to the version that it came from."""
    with db.engine("app").begin() as conn:
        return migration.undo(conn, key, said.batch, actor=person)


@router.get("/process/{key}/bpmn")
def drawn(
    key: Key, person: Person,
    version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> Response:  # fmt: skip
    """Hand out a process as BPMN 2.0 with its drawing."""
    with db.engine("app").connect() as conn:
        said = bpmn.export(conn, key, version)
    return Response(
        said, media_type=bpmn.TYPE,
        headers={"Content-Disposition": f'attachment; filename="{quote(key)}.bpmn"'},
    )  # fmt: skip


@router.get("/process/{key}/flow")
def live(
    key: Key, person: Person, days: Annotated[int, Query(ge=1, le=366)] = 30
) -> dict[str, Any]:
    """Count the cases in each state and on each way, and how long they stay."""
    with db.engine("app").connect() as conn:
        return flow.flow(conn, person, key, days)
