"""Seals over what must not be read or altered in the database: HMAC-SM3 and SM4-GCM, one key per use."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from twin.errors import Unavailable
from twin.settings import settings

KEY = "seal-key"
_NONCE, _TAG = 12, 16


def mac(use: str, *parts: object) -> bytes:
    """Return the seal over some values; anybody who alters one needs the key to seal it again."""
    said = json.dumps(parts, ensure_ascii=False, sort_keys=True, default=str)
    return hmac.new(_key(use), said.encode(), "sm3").digest()


def holds(seal: bytes | None, use: str, *parts: object) -> bool:
    """Tell whether a seal is the one over these values."""
    return bool(seal) and hmac.compare_digest(bytes(seal or b""), mac(use, *parts))


def shut(use: str, said: str, about: str) -> str:
    """Return a text that only this installation reads; `about` binds it to its row."""
    nonce = os.urandom(_NONCE)
    cipher = Cipher(SM4(_key(use)[:16]), modes.GCM(nonce)).encryptor()
    cipher.authenticate_additional_data(about.encode())
    raw = cipher.update(said.encode()) + cipher.finalize()
    return base64.b64encode(nonce + raw + cipher.tag).decode()


def opened(use: str, sealed: str, about: str) -> str:
    """Return what `shut` sealed; Unavailable when it was altered or belongs to another row."""
    raw = base64.b64decode(sealed)
    cipher = Cipher(SM4(_key(use)[:16]), modes.GCM(raw[:_NONCE], raw[-_TAG:])).decryptor()
    cipher.authenticate_additional_data(about.encode())
    try:
        return (cipher.update(raw[_NONCE:-_TAG]) + cipher.finalize()).decode()
    except InvalidTag as why:
        raise Unavailable(
            "A sealed value was altered, or the key of this home is another."
        ) from why


def _key(use: str) -> bytes:
    return _derived(settings().home, use)


@lru_cache(maxsize=32)
def _derived(home: Path, use: str) -> bytes:
    return hmac.new(_secret(home), use.encode(), "sm3").digest()


def _secret(home: Path) -> bytes:
    path = home / "secrets" / KEY
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever comes first makes the key whole; the link fails for whoever comes second.
            part = path.with_name(f"{KEY}.{os.getpid()}.{secrets.token_hex(4)}")
            part.touch(mode=0o600)
            part.write_text(secrets.token_hex(32), encoding="utf-8")
            try:
                os.link(part, path)
            except FileExistsError:
                pass
            finally:
                part.unlink()
        return hashlib.sha256(path.read_bytes().strip()).digest()
    except OSError as why:
        raise Unavailable(f"The secret {path} cannot be read ({why.strerror}).") from why
