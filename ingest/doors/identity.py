"""Who knocks: a device by its secret, signature, token or certificate, or the demo's gateway."""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl

from ingest.devices import Registry, Source
from twin import devices
from twin.errors import BadRequest, TwinError
from twin.settings import settings

GATEWAY = "gateway/demo"
REGISTER = "_register/"


class Caller(NamedTuple):
    """Who was let in: a device, the gateway that speaks for all, or one that only registers."""

    name: str
    source: Source | None = None
    gateway: bool = False
    registers: str | None = None  # the product
    secret: str = ""  # what a registering device gave as password
    claim: devices.Claim | None = None
    token: bool = False


class Login(NamedTuple):
    """What CONNECT says of who it is."""

    user: str
    password: str
    client: str
    certificate: bytes | None = None  # DER, verified by TLS already


@lru_cache(maxsize=65_536)
def opened(product: str, device: str, sealed: str) -> str:
    """Return a sealed secret; remembered, because a storm of reconnects asks for all of them."""
    return devices.unsealed(product, device, sealed)


def names(user: str) -> tuple[str, str] | None:
    """Return product and device of a user name: `product/device`, or `device&product`."""
    if "&" in user:
        device, _, product = user.partition("&")
        return product, device
    product, sign, device = user.partition("/")
    return (product, device) if sign else None


def parameters(client: str) -> tuple[str, dict[str, str]]:
    """Return the identifier and the parameters of `id|securemode=2,signmethod=hmacsha256|`."""
    own, sign, rest = client.partition("|")
    if not sign:
        return client, {}
    return own, dict(parse_qsl(rest.strip("|").replace(",", "&")))


def admit(registry: Registry, login: Login) -> Caller | None:
    """Return who this is; None for a stranger, a wrong secret, or a device that was revoked."""
    try:
        return _admit(registry, login)
    except (TwinError, ValueError):
        return None


def _admit(registry: Registry, login: Login) -> Caller | None:
    if login.certificate is not None and not login.password:
        return _by_certificate(registry, login)
    if login.user == GATEWAY:
        secret = settings().secret("mqtt-sim")
        return Caller(GATEWAY, gateway=True) if _same(secret, login.password) else None
    if login.user.startswith(REGISTER):
        product = login.user.removeprefix(REGISTER)
        return Caller(login.user, registers=product, secret=login.password)
    who = names(login.user)
    if who is None:
        return None
    own, said = parameters(login.client)
    if said.get("authType") in ("register", "regnwl"):
        method, random = said.get("signmethod", "hmacsha256"), said.get("random", "")
        claim = devices.Claim(*who, random, method, login.password)
        token = said["authType"] == "regnwl"
        return Caller(login.user, registers=who[0], claim=claim, token=token)
    source = registry.find(*who)
    if source is None:
        return None
    caller = Caller("/".join(who), source)
    if said.get("authType") == "connwl":
        return caller if _by_token(source, own, login.password) else None
    if source.sealed is None:
        return None
    secret = opened(*who, source.sealed)
    if "signmethod" in said:
        return caller if _signed(secret, who, own, said, login.password) else None
    return caller if _same(secret, login.password) else None


def _signed(
    secret: str, who: tuple[str, str], own: str, said: dict[str, str], signature: str
) -> bool:
    content = {"clientId": own, "deviceName": who[1], "productKey": who[0]}
    if "timestamp" in said:
        content["timestamp"] = said["timestamp"]
    return devices.signed(secret, content, said["signmethod"], signature)


def _by_token(source: Source, client: str, token: str) -> bool:
    if source.token is None or source.client is None:
        return False
    return _same(source.client, client) and _same(
        opened(source.product, source.device, source.token), token
    )


def _by_certificate(registry: Registry, login: Login) -> Caller | None:
    """Admit the device whose certificate this is; its user name says which, its hash proves it."""
    who = names(login.user)
    source = registry.find(*who) if who else None
    if source is None or source.certificate is None or login.certificate is None:
        return None
    held = hashlib.sha256(login.certificate).digest()
    if not hmac.compare_digest(held, source.certificate):
        return None
    return Caller(login.user, source)


def _same(one: str, other: str) -> bool:
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())


def mac(secret: str, name: str, channel: str, counter: int, payload: bytes, method: str) -> str:
    """Return the signature of a CoAP message: 16 bytes of HMAC over who, what, count and payload."""
    algorithm = devices.METHODS.get(method)
    if algorithm not in ("sha256", "sm3"):
        raise BadRequest("h is hmacsha256 or hmacsm3.")
    said = f"{name}/{channel}\n{counter}\n".encode() + payload
    return hmac.digest(secret.encode(), said, algorithm).hex()[:32]
