"""Settings at start, read once from TWIN_* variables."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from twin.errors import BadRequest, Unavailable

# West, south, east, north of the city in EPSG:4326: what maps open on and tile sets cover.
CITY_BOUNDS = (120.85, 30.66, 122.05, 31.88)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ROLES = ("owner", "app", "ingest", "tiles", "audit")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where this installation lives and listens; see interfaces in the handbook."""

    home: Path
    host: str
    port: int
    mqtt_port: int
    db_port: int
    north_mqtt_port: int = 1884
    mqtts_port: int = 8883
    coap_port: int = 5683
    jt808_port: int = 0
    hj212_port: int = 0
    ais_port: int = 0
    database_url: str | None
    mqtt_url: str | None
    demo: str
    demo_people: bool
    lang: str
    public_url: str
    insecure: bool
    oidc_issuer: str | None = None
    oidc_client: str | None = None
    tile_cache_mb: int = 128
    snapshot_url: str | None = None  # where cameras without an address of their own give pictures
    camera_nets: tuple[Network, ...] = ()  # from which networks pictures are fetched
    tianditu_key: str | None = field(default=None, repr=False)
    tianditu_url: str = "https://t0.tianditu.gov.cn"

    def secret(self, name: str) -> str:
        """Return the secret kept in `$TWIN_HOME/secrets/{name}`."""
        path = self.home / "secrets" / name
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as why:
            raise Unavailable(
                f"The secret {path} cannot be read ({why.strerror}); run ./up to set this home up."
            ) from why

    def dsn(self, role: str) -> str:
        """Return the SQLAlchemy URL for a database role (`owner app ingest tiles audit`)."""
        user = f"twin_{role}"
        password = quote(self.secret(f"db-{role}"), safe="")
        if self.database_url:
            parts = urlsplit(self.database_url)
            host = parts.netloc.rpartition("@")[2]
            return urlunsplit(
                ("postgresql+psycopg", f"{user}:{password}@{host}", parts.path, parts.query, "")
            )
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.db_port}/twin"


def _port(name: str, default: int) -> int:
    raw = os.environ.get(name, str(default))
    if not raw.isdigit() or not 0 < int(raw) < 65536:
        raise BadRequest(f"{name}={raw!r} is not a port; give a number from 1 to 65535.")
    return int(raw)


def _optional_port(name: str) -> int:
    return _port(name, 0) if os.environ.get(name) else 0


def _megabytes(name: str, default: int) -> int:
    raw = os.environ.get(name, str(default))
    if not raw.isdigit() or int(raw) > 65536:
        raise BadRequest(f"{name}={raw!r} is no size; give megabytes from 0 to 65536.")
    return int(raw)


# Where cameras stand: never the open internet, never this machine's own doors.
_PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def _networks(name: str, default: str) -> tuple[Network, ...]:
    try:
        return tuple(
            ipaddress.ip_network(one.strip()) for one in os.environ.get(name, default).split(",")
        )
    except ValueError as why:
        raise BadRequest(f"{name} lists networks such as 10.0.0.0/8, with commas.") from why


def _scheme(env: Mapping[str, str]) -> str:
    return "https" if env.get("TWIN_TLS_CERT") else "http"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process."""
    env = os.environ
    demo = env.get("TWIN_DEMO", "small")
    if demo not in ("none", "small", "city"):
        raise BadRequest(f"TWIN_DEMO={demo!r} is not known; use none, small or city.")
    host = env.get("TWIN_HOST", "127.0.0.1")
    port = _port("TWIN_PORT", 8080)
    return Settings(
        home=Path(env.get("TWIN_HOME", "var")).absolute(),
        host=host,
        port=port,
        mqtt_port=_port("TWIN_MQTT_PORT", 1883),
        db_port=_port("TWIN_DB_PORT", 5433),
        north_mqtt_port=_port("TWIN_NORTH_MQTT_PORT", 1884),
        mqtts_port=_port("TWIN_MQTTS_PORT", 8883),
        coap_port=_port("TWIN_COAP_PORT", 5683),
        jt808_port=_optional_port("TWIN_JT808_PORT"),
        hj212_port=_optional_port("TWIN_HJ212_PORT"),
        ais_port=_optional_port("TWIN_AIS_PORT"),
        database_url=env.get("TWIN_DATABASE_URL") or None,
        mqtt_url=env.get("TWIN_MQTT_URL") or None,
        demo=demo,
        demo_people=demo != "none" or bool(env.get("TWIN_DEMO_ACCOUNTS")),
        lang=env.get("TWIN_LANG", "zh-CN"),
        public_url=env.get("TWIN_PUBLIC_URL", f"{_scheme(env)}://{host}:{port}"),
        insecure=env.get("TWIN_INSECURE") == "1",
        oidc_issuer=env.get("TWIN_OIDC_ISSUER") or None,
        oidc_client=env.get("TWIN_OIDC_CLIENT") or None,
        tile_cache_mb=_megabytes("TWIN_TILE_CACHE_MB", 128),
        snapshot_url=env.get("TWIN_SNAPSHOT_URL") or None,
        camera_nets=_networks("TWIN_CAMERA_NETS", _PRIVATE),
        tianditu_key=env.get("TWIN_TIANDITU_KEY") or None,
        tianditu_url=env.get("TWIN_TIANDITU_URL", "https://t0.tianditu.gov.cn").rstrip("/"),
    )
