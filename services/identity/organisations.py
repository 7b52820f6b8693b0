"""HTTP doors of the organisation tree: /api/v1/organisations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from services.identity.schemas import NewOrganisation, OrganisationChange
from services.web import auth
from twin import db, organisations

router = APIRouter(prefix="/api/v1/organisations", tags=["accounts"])
Code = Annotated[str, Path(min_length=1, max_length=48)]


@router.get("")
def tree(person: auth.Person) -> dict[str, Any]:
    """Return the whole tree, flat, with the number of people at each place."""
    person.need("user.read")
    with db.engine("app").connect() as conn:
        return {"organisations": organisations.tree(conn), "parents": organisations.PARENTS}


@router.post("", status_code=201)
def add(said: NewOrganisation, person: auth.Person) -> dict[str, Any]:
    """Add a place to the tree."""
    person.need("user.write")
    given = said.model_dump(exclude={"code"})
    with db.engine("app").begin() as conn:
        organisations.add(conn, said.code, given, person.user)
    auth.forget_all()
    return {"code": said.code}


@router.patch("/{code}", status_code=204)
def change(code: Code, said: OrganisationChange, person: auth.Person) -> None:
    """Change a place of the tree; what its people see changes at once."""
    person.need("user.write")
    given = said.model_dump(exclude_unset=True, exclude={"version"})
    with db.engine("app").begin() as conn:
        organisations.change(conn, code, given, said.version, person.user)
    auth.forget_all()
