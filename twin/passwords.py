"""Passwords: argon2id digests, rules for new ones, made ones."""

from __future__ import annotations

import secrets
import string
from collections.abc import Sequence
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from twin.errors import BadRequest

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
NOBODY = _HASHER.hash(secrets.token_urlsafe(16))
SHORTEST, LONGEST, PHRASE = 10, 256, 16
CLASSES = 3
REMEMBERED = 5
RENEW_AFTER = timedelta(days=90)
# What guessing programs try first, without the digits and signs that people add at the end.
_COMMON = frozenset(
    "password passw0rd p@ssw0rd admin administrator root welcome letmein changeme secret default "
    "qwerty qwertyuiop asdfgh asdfghjkl zxcvbnm iloveyou woaini woaini1314 monkey dragon sunshine "
    "master superman test testtest guest user login abc abcd abcdef abcabc aaaa aaaaaa shanghai "
    "zhongguo china beijing lvrong lvhua shirong luhua lühua twin 1q2w3e 1q2w3e4r 1qaz2wsx q1w2e3r4 "
    "qazwsx zaq12wsx 5201314 123456 12345678 123456789 1234567890 111111 000000 666666 888888".split()
)


def digest(password: str) -> str:
    """Return what is kept of a password."""
    return _HASHER.hash(password)


def matches(kept: str | None, password: str) -> bool:
    """Tell whether a password is the one kept; nobody's takes as long as anybody's."""
    try:
        return _HASHER.verify(kept or NOBODY, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Tell whether a digest was made with weaker settings than today's."""
    return bool(kept) and _HASHER.check_needs_rehash(kept)


def check(password: str, user: str, past: Sequence[str] = ()) -> None:
    """Raise BadRequest with the rule that a new password breaks."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadRequest(f"A password has {SHORTEST} to {LONGEST} characters.", rule="length")
    # A Chinese character weighs as much as three letters.
    if len(password.encode()) < PHRASE and _classes(password) < CLASSES:
        raise BadRequest(
            f"A password under {PHRASE} characters has three of: small letters, capitals, digits, "
            "signs; a longer phrase needs none of that.",
            rule="classes",
        )
    low = password.lower()
    if len(user) >= 3 and user.lower() in low:
        raise BadRequest("A password does not contain the user name.", rule="name")
    if low.rstrip(string.digits + string.punctuation) in _COMMON or low in _COMMON or _dull(low):
        raise BadRequest("This password is among the first that are guessed.", rule="common")
    if any(matches(old, password) for old in past[:REMEMBERED]):
        raise BadRequest(f"This was one of the last {REMEMBERED} passwords.", rule="used")


def _classes(said: str) -> int:
    return (
        any(c.islower() for c in said)
        + any(c.isupper() for c in said)
        + any(c.isdigit() for c in said)
        + any(not c.isalnum() or ord(c) > 127 for c in said)
    )


def _dull(low: str) -> bool:
    """Tell whether few different characters, or one run through the alphabet, make it up."""
    runs = string.ascii_lowercase + string.digits + "01234567890" + string.digits[::-1]
    return len(set(low)) < 5 or low in runs


def made() -> str:
    """Return a new password that keeps the rules: about 71 bits."""
    while True:
        said = secrets.token_urlsafe(9)
        if _classes(said) >= CLASSES and len(set(said)) >= 5:
            return said
