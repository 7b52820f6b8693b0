"""Run one installation: in the foreground, detached, stop it, tell its state."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twin.errors import TwinError
from twin.settings import Settings, settings
from ui.terminal import checks
from ui.terminal.broker import Broker, broker_address
from ui.terminal.cluster import Cluster, as_user
from ui.terminal.paths import ROOT, log_dir, run_dir, use_default_home
from ui.terminal.report import SetupError, complain, say, step
from ui.terminal.supervisor import Part, Stopped, Supervisor

READY_S = 60
STOP_S = 90


def main(arguments: list[str]) -> int:
    """Act on --detach, --stop, --status or nothing; exit 0, 1 (in part) or 2 (not at all)."""
    use_default_home()
    try:
        return _act(arguments)
    except TwinError as why:
        complain(why.detail)
        return 2


def _act(arguments: list[str]) -> int:
    config = settings()
    if "--stop" in arguments:
        return stop(config)
    if "--status" in arguments:
        return status(config, as_json="--json" in arguments)
    home = checks.usable_home(config.home)
    os.environ["TWIN_HOME"] = str(home)
    checks.own_certificate(home)
    settings.cache_clear()
    config = settings()
    running = _running(config.home)
    if running and running.get("state") == "ready":
        say(f"This installation is already running.\nready: {running.get('url')}")
        return 0
    if "--child" in arguments:
        return _serve(config, detached=True)
    if "--detach" in arguments:
        return _detach(config)
    return _serve(config, detached=False)


def _serve(config: Settings, *, detached: bool) -> int:
    lock = checks.hold(config.home)
    if lock is None:
        raise SetupError(
            f"Another ./up is starting or stopping {config.home}; ./up --status shows it, "
            "./up --stop ends it."
        )
    checks.public_host(config)
    supervisor = Supervisor(config.home, _environment(config))
    supervisor.listen(keep_on_hangup=detached)
    try:
        _bring_up(supervisor, config)
        supervisor.forever()
    except Stopped:
        say("stopping …")
        return 0
    finally:
        supervisor.stop()
        os.close(lock)
    return 0


def _bring_up(supervisor: Supervisor, config: Settings) -> None:
    home = config.home
    cluster = Cluster(home, config.db_port)
    supervisor.write_status()
    if not config.database_url:
        with step("Database server"):
            cluster.end_orphan()
            checks.free_ports(config)
            cluster.ensure()
            supervisor.start(Part("postgres", cluster.command(), signal.SIGINT, 60))
            supervisor.wait(
                cluster.answers, 60, f"The database does not answer; see {home}/log/postgres.log"
            )
    else:
        checks.free_ports(config)
    supervisor.run_once(
        [sys.executable, "-m", "ui.terminal.prepare"],
        "The installation is not set up; repair what is said above and run ./up again.",
    )
    with step("Services"):
        broker = Broker(home, config.north_mqtt_port, broker_address(config))
        supervisor.start(Part("mosquitto", broker.command()))
        supervisor.wait(
            broker.answers, 15, f"The broker does not answer; see {home}/log/mosquitto.log"
        )
        for part in service_parts(config):
            supervisor.start(part)
        supervisor.wait(
            lambda: _is_ready(config) and _listens(config.mqtt_port),
            READY_S,
            f"The services are not ready within {READY_S} s; ./up --status tells why.",
        )
    supervisor.state = "ready"
    supervisor.write_status()
    _greet(config)


def service_parts(config: Settings) -> list[Part]:
    """Return the parts that are ours, in the order of their start."""
    python = [*as_user(None), sys.executable, "-m"]
    web = [*python, "ui.serve", "--host", config.host, "--port", str(config.port)]
    if (cert := os.environ.get("TWIN_TLS_CERT")) and (key := os.environ.get("TWIN_TLS_KEY")):
        web += ["--ssl-certfile", cert, "--ssl-keyfile", key]
    parts = [
        Part("sequencer", [*python, "twin.sequencer"]),
        Part("ingest", [*python, "ingest.doors"]),
        Part("worker", [*python, "services.worker"]),
        Part("api", web),
    ]
    if config.mqtt_url:
        parts.insert(2, Part("brokerdoor", [*python, "ingest.mqtt"]))
    return parts


def url(config: Settings) -> str:
    """Return the address to open in a browser."""
    if "TWIN_PUBLIC_URL" in os.environ:
        return config.public_url
    scheme = "https" if os.environ.get("TWIN_TLS_CERT") else "http"
    host = "127.0.0.1" if config.host in ("0.0.0.0", "::", "localhost") else config.host
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.port}"


def _environment(config: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "TWIN_HOME": str(config.home),
        "TWIN_URL": url(config),
        "TWIN_PORT": str(config.port),
        "TWIN_DB_PORT": str(config.db_port),
        "TWIN_MQTT_PORT": str(config.mqtt_port),
        "TWIN_NORTH_MQTT_PORT": str(config.north_mqtt_port),
        "TWIN_MQTTS_PORT": str(config.mqtts_port),
        "TWIN_COAP_PORT": str(config.coap_port),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
    }


def _is_ready(config: Settings) -> bool:
    host = "127.0.0.1" if config.host in ("0.0.0.0", "::") else config.host
    door: http.client.HTTPConnection
    if os.environ.get("TWIN_TLS_CERT"):
        door = http.client.HTTPSConnection(host, config.port, timeout=2, context=_local_trust())
    else:
        door = http.client.HTTPConnection(host, config.port, timeout=2)
    try:
        door.request("GET", "/readyz")
        return door.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        door.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _local_trust() -> ssl.SSLContext:
    """Ask our own process on this machine, whatever name its certificate carries."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    return trust


def _greet(config: Settings) -> None:
    """Say where it runs; the demo log-ins are shown once, then kept in a file."""
    say(f"ready: {url(config)}")
    logins = config.home / "secrets" / "demo-logins"
    shown = run_dir(config.home) / "logins-shown"
    if not logins.exists():
        return
    if shown.exists():
        say(f"log-ins: {logins}")
        return
    say(f"log-ins (shown once, kept in {logins}):")
    for line in logins.read_text(encoding="utf-8").splitlines():
        user, _, password = line.partition(" ")
        say(f"  {user:<16} {password}")
    shown.touch()


def _running(home: Path) -> dict[str, Any] | None:
    """Return the written status when a supervisor holds this home, else None."""
    if not home.is_dir():
        return None
    lock = checks.hold(home)
    if lock is not None:
        os.close(lock)
        return None
    try:
        said: dict[str, Any] = json.loads(
            (run_dir(home) / "status.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        said = {}
    # A status of the run before this one names a process that is gone, or by now somebody else's.
    return {"state": "starting", "parts": {}} if said.get("state", "stopped") == "stopped" else said


def _detach(config: Settings) -> int:
    if _running(config.home):
        raise SetupError(
            f"Another ./up is starting or stopping {config.home}; ./up --status shows it, "
            "./up --stop ends it."
        )
    log = log_dir(config.home) / "up.log"
    with log.open("wb") as sink:
        child = subprocess.Popen(
            [sys.executable, "-m", "ui.terminal.start", "--child"],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=ROOT,
        )
    with log.open("rb") as said:
        while True:
            over = child.poll() is not None
            sys.stdout.write(said.read().decode("utf-8", "replace"))
            sys.stdout.flush()
            if over:
                return 2 if child.returncode else 0
            if (_running(config.home) or {}).get("state") == "ready":
                time.sleep(0.1)
                sys.stdout.write(said.read().decode("utf-8", "replace"))
                return 0
            time.sleep(0.1)


def stop(config: Settings) -> int:
    """Ask the supervisor of this home to stop, and wait until it has."""
    running = _running(config.home)
    if not running:
        say("Nothing is running in this home.")
        return 0
    if "pid" not in running:
        raise SetupError("The installation begins to start just now; run ./up --stop again.")
    with step("Stopping"):
        os.kill(int(running["pid"]), signal.SIGTERM)
        end = time.monotonic() + STOP_S
        while _running(config.home):
            if time.monotonic() > end:
                raise SetupError(
                    f"Process {running['pid']} has not stopped yet; see {config.home}/log."
                )
            time.sleep(0.1)
    return 0


def status(config: Settings, *, as_json: bool = False) -> int:
    """Show the state of every part: 0 all up, 1 some down, 2 not running."""
    running = _running(config.home)
    if as_json:
        say(json.dumps(running or {"state": "stopped", "parts": {}}))
    elif not running:
        say("Nothing is running in this home; ./up starts it.")
    else:
        say(f"{running['state']}: {running.get('url', '')}")
        for name, part in running["parts"].items():
            extra = f"  last end: {part['last_exit']}" if part["last_exit"] else ""
            say(
                f"  {name:<10} {part['state']:<10} pid {part['pid'] or '-':<8} "
                f"restarts {part['restarts']}{extra}"
            )
    if not running:
        return 2
    whole = running["state"] == "ready" and all(
        p["state"] == "up" for p in running["parts"].values()
    )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
