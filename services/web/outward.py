"""Pictures fetched from other machines: only from networks that are allowed, bounded in bytes and time."""

from __future__ import annotations

import ipaddress
import logging
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx

from twin.errors import Unavailable

# The client tells each address that it asks, keys included.
logging.getLogger("httpx").setLevel(logging.WARNING)
KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NoPicture(Unavailable):
    """The other machine gave no picture; it is asked again a little later."""

    code = "no_picture"


def picture(
    address: str, *, most: int, within_s: float, networks: Iterable[Network] | None
) -> tuple[bytes, str]:
    """Return a picture and its media type; NoPicture says why there is none, never the address."""
    try:
        said = urlsplit(address)
        if said.scheme not in ("http", "https") or not said.hostname:
            raise NoPicture("The declared address is neither http nor https.")
        port = said.port or (443 if said.scheme == "https" else 80)
        host = said.hostname if networks is None else _allowed(said.hostname, port, networks)
        return _read(address, said.hostname, host, said.netloc, most, within_s)
    except ValueError as why:
        raise NoPicture("The declared address cannot be used.") from why
    except httpx.TimeoutException as why:
        raise NoPicture("The other machine did not answer in time.") from why
    except httpx.HTTPError as why:
        raise NoPicture("The other machine cannot be reached.") from why


def _allowed(name: str, port: int, networks: Iterable[Network]) -> str:
    """Return the address of a host when it lies in an allowed network; it is the one then asked."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as why:
        raise NoPicture("The name of the other machine is not known.") from why
    ips = [ipaddress.ip_address(one[4][0]) for one in found]
    if not ips or not all(any(ip in net for net in networks) for ip in ips):
        raise NoPicture("The address lies outside the networks that pictures are fetched from.")
    return str(ips[0])


def _read(
    address: str, name: str, host: str, netloc: str, most: int, within_s: float
) -> tuple[bytes, str]:
    end = time.monotonic() + within_s
    url = httpx.URL(address).copy_with(host=host)
    headers = {"Host": netloc.rpartition("@")[2], "Accept": "image/*"}
    raw = bytearray()
    with (
        httpx.Client(timeout=within_s, follow_redirects=False, trust_env=False) as client,
        client.stream("GET", url, headers=headers, extensions={"sni_hostname": name}) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise NoPicture(f"The other machine answered {answer.status_code}.")
        for part in answer.iter_bytes():
            raw += part
            if len(raw) > most:
                raise NoPicture(f"The picture has more than {most >> 10} KiB.")
            if time.monotonic() > end:
                raise NoPicture("The other machine did not answer in time.")
    kind = next((k for sign, k in KINDS.items() if raw.startswith(sign)), None)
    if kind is None:
        raise NoPicture("What the other machine gave is no JPEG, PNG or WebP picture.")
    return bytes(raw), kind
