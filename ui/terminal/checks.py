"""What must hold before a start: each failure is one sentence with the next step."""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import os
import pwd
import shutil
import socket
from pathlib import Path

from twin.settings import Settings
from ui.terminal.paths import ROOT
from ui.terminal.report import SetupError, say

GIB = 1024**3
FIRST_START_BYTES = 3 * GIB
LATER_START_BYTES = GIB // 2
TLS = "tls"
SHARED_HOMES = Path("/var/lib/lvrong-twin")


def debian_warning() -> None:
    """Warn on anything but Debian 12, and go on: the packages may well exist."""
    try:
        said = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        said = ""
    if "VERSION_CODENAME=bookworm" not in said:
        say("! This is not Debian 12 (bookworm); ./up is only tested there and goes on regardless.")


def own_certificate(home: Path) -> None:
    """Let this start, and all it starts, use what `twin cert` made, unless another is given."""
    cert, key = home / TLS / "host.pem", home / TLS / "host.key"
    if "TWIN_TLS_CERT" not in os.environ and cert.exists() and key.exists():
        os.environ["TWIN_TLS_CERT"], os.environ["TWIN_TLS_KEY"] = str(cert), str(key)


def public_host(config: Settings) -> None:
    """Refuse to open an unencrypted door to the network unless that was asked for."""
    try:
        loopback = ipaddress.ip_address(config.host).is_loopback
    except ValueError:
        loopback = config.host == "localhost"
    tls = os.environ.get("TWIN_TLS_CERT") and os.environ.get("TWIN_TLS_KEY")
    if not (loopback or tls or config.insecure):
        raise SetupError(
            f"TWIN_HOST={config.host} would serve without encryption; run `twin cert NAME` (or set "
            "TWIN_TLS_CERT and TWIN_TLS_KEY), or TWIN_INSECURE=1 if you accept that (every screen "
            "will say so)."
        )


def free_space(path: Path, need_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold."""
    there = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < need_bytes:
        raise SetupError(
            f"The disk of {there} has {free / GIB:.1f} GiB free and {need_bytes / GIB:.1f} GiB are "
            "needed; free some, or point TWIN_HOME to a larger disk."
        )


def free_ports(config: Settings) -> None:
    """Refuse a port that somebody else listens on, naming the variable that moves it."""
    wanted = [
        (config.host, config.port, "TWIN_PORT"),
        (None, config.mqtt_port, "TWIN_MQTT_PORT"),
        (None, config.north_mqtt_port, "TWIN_NORTH_MQTT_PORT"),
    ]
    if not config.database_url:
        wanted.append((None, config.db_port, "TWIN_DB_PORT"))
    for host, port, variable in wanted:
        if not _can_listen(host or "127.0.0.1", port):
            raise SetupError(
                f"Port {port} is taken by another program; stop it, or choose another port with "
                f"{variable}=<number>."
            )


def _can_listen(host: str, port: int) -> bool:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except OSError as why:
        raise SetupError(f"TWIN_HOST={host} is no address of this machine ({why}).") from why
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as why:
            raise SetupError(
                f"Port {port} needs root; choose one above 1023 with TWIN_PORT=<number>."
            ) from why
        except OSError as why:
            if why.errno == 99:
                raise SetupError(f"TWIN_HOST={host} is no address of this machine.") from why
            return False
    return True


def usable_home(home: Path) -> Path:
    """Make the home; where the database's user cannot reach it, say so and lay it elsewhere.

    The server refuses to run as root, so user postgres must be able to walk to its files. The home
    then is a link, and every later command still finds it where the settings say.
    """
    try:
        if os.geteuid() == 0 and not home.is_symlink() and (shut := _closed_parent(home)):
            home = _linked_home(home, shut)
        home.mkdir(parents=True, exist_ok=True)
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(13, "no right to write")
        (home / "secrets").mkdir(mode=0o700, exist_ok=True)
    except OSError as why:
        raise SetupError(
            f"The folder {home} cannot be used ({why.strerror}); give yourself the right, or set "
            "TWIN_HOME to a folder of yours."
        ) from why
    return home.resolve()


def _closed_parent(home: Path) -> Path | None:
    for parent in home.resolve().parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            return parent
    return None


def _linked_home(home: Path, shut: Path) -> Path:
    if home.is_dir() and any(home.iterdir()):
        raise SetupError(
            f"{home} lies below {shut}, which the database's user may not enter; move it with "
            f"TWIN_HOME=/var/lib/lvrong-twin/{ROOT.name}, or run: chmod o+x {shut}"
        )
    mark = hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:6]
    place = SHARED_HOMES / f"{ROOT.name}-{mark}"
    place.mkdir(parents=True, exist_ok=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    if home.is_dir():
        home.rmdir()
    home.symlink_to(place)
    say(f"! {shut} is closed to the database's user, so the data live in {place}.")
    return home


def hold(folder: Path) -> int | None:
    """Lock a folder for this process; None where another process holds it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def known_user(name: str) -> bool:
    """Tell whether the machine has this account."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
