"""What the doors of accounts take; every text and list is bounded."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Short = Annotated[str, Field(min_length=1, max_length=80)]
Code = Annotated[str, Field(min_length=1, max_length=64)]
Password = Annotated[str, Field(min_length=1, max_length=256)]
UserName = Annotated[str, Field(min_length=1, max_length=64)]
Districts = Annotated[list[Annotated[str, Field(pattern=r"^[0-9]{6}$")]], Field(max_length=64)]
Roles = Annotated[list[Code], Field(min_length=1, max_length=20)]
Level = Annotated[int, Field(ge=1, le=4)]
Degree = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Login(_Strict):
    """User name, password, and the code of the second factor where there is one."""

    user: UserName
    password: Password
    code: Annotated[str, Field(min_length=6, max_length=32)] | None = None


class NewPassword(_Strict):
    """The old password and the new one."""

    old: Password
    new: Password


class Proof(_Strict):
    """The code of the second factor, or the password of who has none."""

    proof: Password


class TotpCode(_Strict):
    """A code that the app shows."""

    code: Annotated[str, Field(min_length=6, max_length=8)]


class Name(_Strict):
    """A name in both languages."""

    zh: Short
    en: Short


class NewAccount(_Strict):
    """A person: roles, place in the tree, clearance."""

    user: UserName
    name: Name
    roles: Roles
    organisation: Code | None = None
    districts: Districts | None = None
    clearance: Level = 2
    crew: Code | None = None


class AccountChange(_Strict):
    """What of an account changes; what is left out stays."""

    name: Name | None = None
    roles: Roles | None = None
    organisation: Code | None = None
    districts: Districts | None = None
    clearance: Level | None = None
    crew: Code | None = None
    disabled: bool | None = None


class NewOrganisation(_Strict):
    """A place in the tree."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    type: Annotated[str, Field(pattern=r"^(unit|district|street|grid|village|contractor)$")]
    parent: Code
    name: Name
    district: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    street: Annotated[str, Field(pattern=r"^[0-9]{9}$")] | None = None
    things: Annotated[list[Code], Field(max_length=500)] | None = None
    shape: Annotated[list[Degree], Field(min_length=4, max_length=4)] | None = None


class OrganisationChange(_Strict):
    """What of a place changes, decided on a version of it."""

    version: Annotated[int, Field(ge=1)]
    parent: Code | None = None
    name: Name | None = None
    district: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    street: Annotated[str, Field(pattern=r"^[0-9]{9}$")] | None = None
    things: Annotated[list[Code], Field(max_length=500)] | None = None
    shape: Annotated[list[Degree], Field(min_length=4, max_length=4)] | None = None
    closed: bool | None = None
