"""TLS with a pre-shared key (RFC 4279) for devices too small for certificates.

Python's own `ssl` learns it with 3.13. Until then OpenSSL's callbacks are set through ctypes on the
context that `ssl` made. Who it is is asked of the finished handshake alone: with TLS 1.2 OpenSSL
keeps the identity there, with 1.3 it stands in the session that was made of the key.
The key is HMAC-SHA256 of the device's secret over `psk`; the identity is `product/device`.
"""

from __future__ import annotations

import _ssl
import asyncio
import ctypes
import hmac
import platform
import ssl
import sys
from collections.abc import Callable
from typing import Any

import structlog

TLS_1_2, TLS_1_3 = 0x0303, 0x0304
AES_128_GCM_SHA256 = b"\x13\x01"  # what a key without a name of its hash goes with
MOST_IDENTITY = 160
# Who offers a suite with a key means it; with forward secrecy first, then what certificates use.
CIPHERS = (
    "ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256:"
    "PSK-AES256-GCM-SHA384:PSK-AES128-GCM-SHA256:PSK-AES128-CCM:"
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
)
# With 1.3 the suite is chosen before the key is looked for, and its hash must be the key's.
SUITES = b"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_uint, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_uint
)
_FIND = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_void_p),
)  # fmt: skip
_POINTER, _TEXT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
# Of each function of OpenSSL: what it returns, what it takes.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "SSL_version": (ctypes.c_int, [_POINTER]),
    "SSL_get_psk_identity": (_TEXT, [_POINTER]),
    "SSL_get_session": (_POINTER, [_POINTER]),
    "SSL_CIPHER_find": (_POINTER, [_POINTER, _TEXT]),
    "SSL_SESSION_new": (_POINTER, []),
    "SSL_SESSION_free": (None, [_POINTER]),
    "SSL_SESSION_set1_master_key": (ctypes.c_int, [_POINTER, _TEXT, _SIZE]),
    "SSL_SESSION_set_cipher": (ctypes.c_int, [_POINTER, _POINTER]),
    "SSL_SESSION_set_protocol_version": (ctypes.c_int, [_POINTER, ctypes.c_int]),
    "SSL_SESSION_set1_ticket_appdata": (ctypes.c_int, [_POINTER, _TEXT, _SIZE]),
    "SSL_SESSION_get0_ticket_appdata": (
        ctypes.c_int, [_POINTER, ctypes.POINTER(_POINTER), ctypes.POINTER(_SIZE)],
    ),
    "SSL_CTX_set_ciphersuites": (ctypes.c_int, [_POINTER, _TEXT]),
    "SSL_CTX_set_psk_server_callback": (None, [_POINTER, _CALLBACK]),
    "SSL_CTX_set_psk_find_session_callback": (None, [_POINTER, _FIND]),
}  # fmt: skip
# Where CPython 3.11 keeps OpenSSL's own pointers within its objects (Modules/_ssl.c).
_CONTEXT_AT, _CONNECTION_AT = 16, 24
log = structlog.get_logger("doors")


def key(secret: str) -> bytes:
    """Return the pre-shared key of a device."""
    return hmac.digest(secret.encode(), b"psk", "sha256")


def possible() -> bool:
    """Tell whether this is the interpreter whose objects are known."""
    return sys.version_info[:2] == (3, 11) and platform.python_implementation() == "CPython"


class Keys:
    """Answers OpenSSL's question for the key of an identity."""

    def __init__(self, find: Callable[[str], bytes | None]) -> None:
        self._find = find
        # The library that `ssl` itself is bound to: its symbols are there through its module.
        self._lib = ctypes.CDLL(_ssl.__file__)
        for name, (gives, takes) in _FUNCTIONS.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = gives, takes
        self._called, self._looked = _CALLBACK(self._asked), _FIND(self._session)

    def serve(self, context: ssl.SSLContext) -> None:
        """Let a server's context admit who holds a key."""
        context.set_ciphers(CIPHERS)
        where = _pointer(context, _CONTEXT_AT)
        self._lib.SSL_CTX_set_ciphersuites(where, SUITES)
        self._lib.SSL_CTX_set_psk_server_callback(where, self._called)
        self._lib.SSL_CTX_set_psk_find_session_callback(where, self._looked)

    def _asked(self, connection: int, identity: bytes, into: Any, most: int) -> int:
        if self._lib.SSL_version(connection) != TLS_1_2:
            return 0  # `_session` answered
        found = self._key(identity or b"")
        if found is None or len(found) > most:
            return 0
        ctypes.memmove(into, found, len(found))
        return len(found)

    def _session(self, connection: int, said: Any, length: int, into: Any) -> int:
        """Make a session of TLS 1.3 from the key of an identity; the identity travels in it."""
        into[0] = None
        identity = bytes(said[:length]) if length <= MOST_IDENTITY else b""
        found = self._key(identity)
        if found is None:
            return 1  # perhaps a ticket: OpenSSL goes on looking
        made = self._lib.SSL_SESSION_new()
        suite = self._lib.SSL_CIPHER_find(connection, AES_128_GCM_SHA256)
        if (
            self._lib.SSL_SESSION_set1_master_key(made, found, len(found))
            and self._lib.SSL_SESSION_set_cipher(made, suite)
            and self._lib.SSL_SESSION_set_protocol_version(made, TLS_1_3)
            and self._lib.SSL_SESSION_set1_ticket_appdata(made, identity, len(identity))
        ):
            into[0] = made
            return 1
        self._lib.SSL_SESSION_free(made)
        return 0

    def _key(self, identity: bytes) -> bytes | None:
        try:
            return self._find(identity.decode()) if identity else None
        except (UnicodeDecodeError, ValueError):
            return None

    def identity(self, transport: asyncio.Transport) -> str | None:
        """Return who proved to hold the key on a connection; None where a key was not used."""
        secure = transport.get_extra_info("ssl_object")
        inner = getattr(secure, "_sslobj", None)
        if inner is None:
            return None
        where = _pointer(inner, _CONNECTION_AT)
        if self._lib.SSL_version(where) == TLS_1_2:
            said = self._lib.SSL_get_psk_identity(where)
        else:
            said = self._carried(where)
        return said.decode() if said else None

    def _carried(self, connection: int) -> bytes | None:
        """Return what the session of a connection carries."""
        session = self._lib.SSL_get_session(connection)
        data, length = ctypes.c_void_p(), ctypes.c_size_t()
        if not session or not self._lib.SSL_SESSION_get0_ticket_appdata(
            session, ctypes.byref(data), ctypes.byref(length)
        ):
            return None
        return ctypes.string_at(data.value, length.value) if data.value and length.value else None


def _pointer(held: Any, offset: int) -> int:
    found = ctypes.c_void_p.from_address(id(held) + offset).value
    assert found is not None
    return found
