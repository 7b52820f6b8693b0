"""The error tree: each class is a stable code, an HTTP status and one sentence.

TwinError
├── NotFound            thing, case or page unknown, or outside the caller's scope
├── BadRequest          a parameter or body that cannot be used
│   ├── DeclarationError    a file under data/ that does not hold; names file, line, key
│   ├── Unreadable          a data file that cannot be opened or understood
│   └── FilterError         a CQL2 filter that cannot be used
│       ├── TooComplex          too long, too deep
│       ├── UnknownProperty     names what is not there or not to be seen
│       ├── UnknownFunction     calls what is not there
│       └── WrongType           compares what cannot be compared
├── Unauthorized        no or wrong credentials
│   └── CodeNeeded          the password is right, the second factor is missing
├── Forbidden           known caller, act not granted
│   ├── KeyNotAllowed       a door that no partner key passes
│   └── StepUpNeeded        the password or second factor is asked anew
├── Conflict            the state has moved on
│   ├── VersionConflict     somebody changed it first
│   └── NotAllowedNow       the action does not fit the present state or guard
├── NotAcceptable       none of the formats that the caller accepts
├── WrongMedia          a body of a format that is not read here
├── TooLarge            a body of more bytes than are taken
├── PreconditionMissing a change that must say which version it changes
├── PreconditionFailed  a change of a version that is no more
├── TooMany             a rate or size cap
└── Unavailable         a part of the installation is down
"""

from __future__ import annotations

from typing import Any


class TwinError(Exception):
    """Something went wrong; the log has the details."""

    code = "error"
    status = 500

    def __init__(self, detail: str | None = None, **extra: Any) -> None:
        self.detail = detail or (self.__doc__ or "").strip().splitlines()[0]
        self.extra = extra
        super().__init__(self.detail)


class NotFound(TwinError):
    """There is nothing here that you may see."""

    code = "not_found"
    status = 404


class BadRequest(TwinError):
    """The request cannot be used as it is."""

    code = "bad_request"
    status = 400


class DeclarationError(BadRequest):
    """A declaration does not hold."""

    code = "declaration_invalid"
    status = 422

    def __init__(self, file: str, line: int | None, key: str, why: str) -> None:
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {key}: {why}", file=file, line=line, key=key)


class Unreadable(BadRequest):
    """The file cannot be read; check that it is whole and of a supported format."""

    code = "unreadable"
    status = 422


class FilterError(BadRequest):
    """The filter cannot be used."""

    code = "filter_invalid"


class TooComplex(FilterError):
    """The filter is too long or too deep."""

    code = "filter_too_complex"


class UnknownProperty(FilterError):
    """The filter names a property that is not there."""

    code = "filter_unknown_property"


class UnknownFunction(FilterError):
    """The filter calls a function that is not there."""

    code = "filter_unknown_function"


class WrongType(FilterError):
    """The filter compares what cannot be compared."""

    code = "filter_type"


class Unauthorized(TwinError):
    """Please log in first."""

    code = "unauthorized"
    status = 401


class Forbidden(TwinError):
    """Your roles do not include this act."""

    code = "forbidden"
    status = 403


class CodeNeeded(Unauthorized):
    """Give the six digits of your second factor too."""

    code = "code_needed"


class KeyNotAllowed(Forbidden):
    """This door is not open to keys of partner systems."""

    code = "key_not_allowed"


class StepUpNeeded(Forbidden):
    """Confirm this with your password or the code of your second factor."""

    code = "step_up_needed"


class Conflict(TwinError):
    """The present state does not allow this."""

    code = "conflict"
    status = 409


class VersionConflict(Conflict):
    """Somebody changed this first; look at it again and repeat."""

    code = "version_conflict"


class NotAllowedNow(Conflict):
    """This action is not possible in the present state."""

    code = "not_allowed_now"


class NotAcceptable(TwinError):
    """None of the formats that you accept is given here."""

    code = "not_acceptable"
    status = 406


class WrongMedia(TwinError):
    """The body is of a format that is not read here."""

    code = "unsupported_media_type"
    status = 415


class TooLarge(TwinError):
    """The body is larger than is taken here; send less at once."""

    code = "too_large"
    status = 413


class PreconditionMissing(TwinError):
    """Say which version you change: send If-Match with the ETag that you read."""

    code = "if_match_missing"
    status = 428


class PreconditionFailed(TwinError):
    """Somebody changed this since you read it; read it again and repeat."""

    code = "if_match_failed"
    status = 412


class TooMany(TwinError):
    """Too many requests; wait a little and try again."""

    code = "too_many"
    status = 429


class Unavailable(TwinError):
    """A part of the system is not reachable; it will be tried again."""

    code = "unavailable"
    status = 503
