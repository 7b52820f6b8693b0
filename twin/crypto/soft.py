"""SM3 from hashlib and SM2 from the system's libcrypto.

Software for development, demo and tests; a certified module takes its place in production
behind the same three functions. SM2 goes through ctypes because no maintained Python binding has it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
from functools import lru_cache

from twin.errors import Unavailable

# GM/T 0009-2012: the default distinguishing identifier of a signer.
SM2_ID = b"1234567812345678"


def sm3(data: bytes) -> bytes:
    """Return the 32-byte SM3 digest (GB/T 32905)."""
    return hashlib.new("sm3", data).digest()


_P, _I, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "EVP_PKEY_free": (None, [_P]),
    "EVP_PKEY_CTX_new": (_P, [_P, _P]),
    "EVP_PKEY_CTX_free": (None, [_P]),
    "EVP_PKEY_CTX_set1_id": (_I, [_P, ctypes.c_char_p, _I]),
    "EVP_MD_CTX_new": (_P, []),
    "EVP_MD_CTX_free": (None, [_P]),
    "EVP_MD_CTX_set_pkey_ctx": (None, [_P, _P]),
    "EVP_sm3": (_P, []),
    "EVP_DigestSignInit": (_I, [_P, _P, _P, _P, _P]),
    "EVP_DigestSign": (_I, [_P, ctypes.c_char_p, ctypes.POINTER(_S), ctypes.c_char_p, _S]),
    "EVP_DigestVerifyInit": (_I, [_P, _P, _P, _P, _P]),
    "EVP_DigestVerify": (_I, [_P, ctypes.c_char_p, _S, ctypes.c_char_p, _S]),
    "BIO_new": (_P, [_P]),
    "BIO_s_mem": (_P, []),
    "BIO_new_mem_buf": (_P, [ctypes.c_char_p, _I]),
    "BIO_free": (_I, [_P]),
    "BIO_read": (_I, [_P, ctypes.c_char_p, _I]),
    "PEM_write_bio_PrivateKey": (_I, [_P, _P, _P, _P, _I, _P, _P]),
    "PEM_write_bio_PUBKEY": (_I, [_P, _P]),
    "PEM_read_bio_PrivateKey": (_P, [_P, _P, _P, _P]),
    "PEM_read_bio_PUBKEY": (_P, [_P, _P, _P, _P]),
}


@lru_cache(maxsize=1)
def _lib() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libcrypto.so.3")
    except OSError as why:
        raise Unavailable("OpenSSL 3 (libcrypto.so.3) is missing; install libssl3.") from why
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.EVP_PKEY_Q_keygen.restype = _P
    return lib


def _pem(write: object, key: int, *rest: object) -> str:
    lib = _lib()
    bio = lib.BIO_new(lib.BIO_s_mem())
    try:
        if write(bio, key, *rest) != 1:  # type: ignore[operator]
            raise Unavailable("The signing key could not be written as PEM.")
        buffer = ctypes.create_string_buffer(4096)
        n = lib.BIO_read(bio, buffer, 4096)
        return buffer.raw[:n].decode()
    finally:
        lib.BIO_free(bio)


def sm2_keygen() -> tuple[str, str]:
    """Return a new SM2 key pair as PEM: private (PKCS#8), public."""
    lib = _lib()
    key = lib.EVP_PKEY_Q_keygen(None, None, ctypes.c_char_p(b"SM2"))
    if not key:
        raise Unavailable("This OpenSSL has no SM2; install Debian's libssl3.")
    try:
        private = _pem(lib.PEM_write_bio_PrivateKey, key, None, None, 0, None, None)
        return private, _pem(lib.PEM_write_bio_PUBKEY, key)
    finally:
        lib.EVP_PKEY_free(key)


def _load(read: object, pem: str) -> int:
    lib = _lib()
    raw = pem.encode()
    bio = lib.BIO_new_mem_buf(raw, len(raw))
    key = read(bio, None, None, None)  # type: ignore[operator]
    lib.BIO_free(bio)
    if not key:
        raise Unavailable("The signing key is damaged; restore secrets/checkpoint-key.pem.")
    return int(key)


def sm2_sign(private_pem: str, message: bytes) -> bytes:
    """Return the DER signature SM2-with-SM3 over the message (GB/T 32918)."""
    lib = _lib()
    key = _load(lib.PEM_read_bio_PrivateKey, private_pem)
    context, digest = lib.EVP_PKEY_CTX_new(key, None), lib.EVP_MD_CTX_new()
    try:
        lib.EVP_PKEY_CTX_set1_id(context, SM2_ID, len(SM2_ID))
        lib.EVP_MD_CTX_set_pkey_ctx(digest, context)
        size = ctypes.c_size_t(256)
        out = ctypes.create_string_buffer(256)
        good = lib.EVP_DigestSignInit(digest, None, lib.EVP_sm3(), None, key) == 1
        if not good or lib.EVP_DigestSign(digest, out, size, message, len(message)) != 1:
            raise Unavailable("The checkpoint could not be signed with SM2.")
        return out.raw[: size.value]
    finally:
        lib.EVP_MD_CTX_free(digest)
        lib.EVP_PKEY_CTX_free(context)
        lib.EVP_PKEY_free(key)


def sm2_verify(public_pem: str, message: bytes, signature: bytes) -> bool:
    """Tell whether the signature is the key's signature over the message."""
    lib = _lib()
    key = _load(lib.PEM_read_bio_PUBKEY, public_pem)
    context, digest = lib.EVP_PKEY_CTX_new(key, None), lib.EVP_MD_CTX_new()
    try:
        lib.EVP_PKEY_CTX_set1_id(context, SM2_ID, len(SM2_ID))
        lib.EVP_MD_CTX_set_pkey_ctx(digest, context)
        if lib.EVP_DigestVerifyInit(digest, None, lib.EVP_sm3(), None, key) != 1:
            return False
        done = lib.EVP_DigestVerify(digest, signature, len(signature), message, len(message))
        return bool(done == 1)
    finally:
        lib.EVP_MD_CTX_free(digest)
        lib.EVP_PKEY_CTX_free(context)
        lib.EVP_PKEY_free(key)
