"""The second factor: time-based codes (RFC 6238) and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from urllib.parse import quote

STEP_S, DIGITS, DRIFT = 30, 6, 1
RECOVERY_CODES = 10
ISSUER = "Lvrong Twin"


def new_secret() -> str:
    """Return a new secret of 160 bits in base32, as authenticator apps read it."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def address(secret: str, user: str) -> str:
    """Return the otpauth address that an app reads from a picture."""
    label = f"{quote(ISSUER)}:{quote(user)}"
    return (
        f"otpauth://totp/{label}?secret={secret}&issuer={quote(ISSUER)}"
        f"&algorithm=SHA1&digits={DIGITS}&period={STEP_S}"
    )


def code_at(secret: str, step: int) -> str:
    """Return the code of a time step."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    start = digest[-1] & 0xF
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(secret: str, code: str, now: float, used: int) -> int | None:
    """Return the time step of a code that holds now and was not used before, else None."""
    said = code.replace(" ", "")
    if len(said) != DIGITS or not said.isascii() or not said.isdigit():
        return None
    current = int(now // STEP_S)
    found = None
    # All steps are compared, whichever fits: the time taken tells nothing.
    for step in range(current - DRIFT, current + DRIFT + 1):
        if hmac.compare_digest(code_at(secret, step), said) and step > used:
            found = step
    return found


def recovery_codes() -> list[str]:
    """Return ten codes, each good once when the app is lost."""
    return [f"{secrets.token_hex(4)}-{secrets.token_hex(4)}" for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str) -> str:
    """Return what is kept of a recovery code: they are long and random, so a plain digest holds."""
    return hashlib.sha256(code.strip().lower().encode()).hexdigest()
