"""What is said to the house of single sign-on: where it lives, the way there, the code for claims."""

from __future__ import annotations

import ipaddress
import time
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]
from authlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

from twin.errors import Unauthorized, Unavailable
from twin.external import Begun
from twin.settings import settings

RETURN = "/api/v1/sign-in/return"
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
_KEEP_S, _WAIT_S, _LEEWAY_S = 3600.0, 10.0, 60
_LARGEST = 1_000_000
_known: dict[str, tuple[float, dict[str, Any]]] = {}


def house() -> dict[str, Any]:
    """Return what the issuer says of itself; kept for an hour."""
    issuer = settings().oidc_issuer
    assert issuer is not None
    kept = _known.get(issuer)
    if kept is None or kept[0] < time.monotonic():
        said = _read(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if said.get("issuer") != issuer:
            raise Unavailable("Single sign-on calls itself by another name than TWIN_OIDC_ISSUER.")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _check_address(str(said.get(name, "")))
        kept = _known[issuer] = (time.monotonic() + _KEEP_S, said)
    return kept[1]


def _check_address(address: str) -> None:
    """Refuse what does not go by TLS; a house on this very machine may (trials, tests)."""
    parts = urlsplit(address)
    try:
        local = ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        local = parts.hostname == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise Unavailable(f"Single sign-on must be reached by https, not {address!r}.")


def _read(address: str) -> dict[str, Any]:
    _check_address(address)
    try:
        answer = httpx.get(address, timeout=_WAIT_S, follow_redirects=False)
        answer.raise_for_status()
        if len(answer.content) > _LARGEST:
            raise Unavailable("Single sign-on answers with far too much.")
        said: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as why:
        raise Unavailable(
            "Single sign-on does not answer; log in with a password, or later."
        ) from why
    return said


def _client() -> OAuth2Client:
    said = settings()
    path = said.home / "secrets" / "oidc-client"
    secret = path.read_text(encoding="utf-8").strip() if path.exists() else None
    return OAuth2Client(
        said.oidc_client, secret, scope="openid profile", redirect_uri=said.public_url + RETURN,
        code_challenge_method="S256", timeout=_WAIT_S,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
    )  # fmt: skip


def way(begun: Begun) -> str:
    """Return the address to which the browser goes."""
    with _client() as client:
        address, _ = client.create_authorization_url(
            house()["authorization_endpoint"], state=begun.state, nonce=begun.nonce,
            code_verifier=begun.verifier,
        )  # fmt: skip
    return str(address)


def claims(code: str, row: Any) -> dict[str, Any]:
    """Return the claims for a code, proved: signature, issuer, audience, time, nonce."""
    said = house()
    try:
        with _client() as client:
            token = client.fetch_token(
                said["token_endpoint"], grant_type="authorization_code", code=code,
                code_verifier=row.verifier,
            )  # fmt: skip
        return _proved(str(token["id_token"]), said, row.nonce)
    except (OAuth2Error, JoseError, httpx.HTTPError, KeyError, ValueError) as why:
        raise Unauthorized("Single sign-on gave no proof that holds.", reason="proof") from why


def _proved(raw: str, said: dict[str, Any], nonce: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(cast(KeySetSerialization, _read(said["jwks_uri"])))
    token = jwt.decode(raw, keys, algorithms=ALGORITHMS)
    wanted = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY_S,
        iss={"essential": True, "value": said["issuer"]},
        aud={"essential": True, "value": str(settings().oidc_client)},
        exp={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    wanted.validate(token.claims)
    return dict(token.claims)


def forget() -> None:
    """Ask the house again who it is."""
    _known.clear()
