"""The private PostGIS cluster of one installation: make, configure, know whether it answers."""

from __future__ import annotations

import os
import secrets as randomness
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ui.terminal.checks import known_user
from ui.terminal.paths import log_dir
from ui.terminal.report import SetupError, run_quietly

BIN = Path("/usr/lib/postgresql/15/bin")
MIB = 1024**2
SERVER_USER = "postgres"
SECRETS = (
    "db-super",
    "db-owner",
    "db-app",
    "db-ingest",
    "db-tiles",
    "db-audit",
    "mqtt-ingest",
    "mqtt-sim",
    "mqtt-north",
)


def as_user(user: str | None, death: str = "TERM") -> list[str]:
    """Return the words before a command so that it runs as a user and ends with its parent.

    PostgreSQL refuses root. The signal at the parent's death keeps a killed supervisor from leaving
    servers behind that hold the ports.
    """
    words = ["setpriv", f"--pdeathsig={death}"]
    if user and os.geteuid() == 0:
        words += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return [*words, "--"]


def ensure_secrets(home: Path) -> None:
    """Generate the secrets that are missing, readable by their owner only."""
    folder = home / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in SECRETS:
        path = folder / name
        if not path.exists() or not path.stat().st_size:
            path.touch(mode=0o600)
            path.write_text(randomness.token_urlsafe(24) + "\n", encoding="utf-8")


class Cluster:
    """A PostgreSQL data folder below a home, on a port of its own."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home.resolve()
        self.port = port
        self.folder = self.home / "pg"
        self.data = self.folder / "data"

    def ensure(self) -> None:
        """Make the cluster when missing, and write its configuration; safe to repeat."""
        ensure_secrets(self.home)
        if os.geteuid() == 0 and not known_user(SERVER_USER):
            raise SetupError(
                "The user postgres is missing; install postgresql-15 and run this again."
            )
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._own(self.folder)
        if not (self.data / "PG_VERSION").exists():
            self._make()
        self._configure()

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        return [*as_user(SERVER_USER, "INT"), str(BIN / "postgres"), "-D", str(self.data)]

    def answers(self) -> bool:
        """Tell whether the server accepts connections."""
        asked = [str(BIN / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def end_orphan(self) -> None:
        """Stop a server that a killed supervisor left behind in this data folder."""
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        for _ in range(50):  # it may be on its way out already
            if not pid_file.exists() or not _is_postgres(pid_file):
                return
            time.sleep(0.1)
        stop = [
            *as_user(SERVER_USER),
            str(BIN / "pg_ctl"),
            "-D",
            str(self.data),
            "-m",
            "fast",
            "-w",
            "stop",
        ]
        run_quietly(stop, log_dir(self.home) / "setup.log",
                    failed=lambda why: f"The earlier database does not stop: {why}")  # fmt: skip

    def _make(self) -> None:
        """Run initdb beside the final place and rename: a broken attempt leaves nothing behind."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix="pw") as password:
            password.write((self.home / "secrets" / "db-super").read_text(encoding="utf-8"))
            password.flush()
            self._own(Path(password.name))
            run_quietly(
                [*as_user(SERVER_USER), BIN / "initdb", "-D", fresh, "-U", "postgres", "-A",
                 "scram-sha-256", f"--pwfile={password.name}", "--encoding=UTF8",
                 "--locale=C.UTF-8", "--data-checksums"],
                log_dir(self.home) / "setup.log",
                cwd=self.folder,
                failed=lambda why: f"The database cluster could not be made: {why}; "
                "repair that and run this again",
            )  # fmt: skip
        fresh.rename(self.data)

    def _configure(self) -> None:
        main = self.data / "postgresql.conf"
        line = "include 'twin.conf'"
        if line not in main.read_text(encoding="utf-8"):
            with main.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}\n")
        own = self.data / "twin.conf"
        own.write_text(configuration(self.port), encoding="utf-8")
        self._own(own)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, SERVER_USER, SERVER_USER)


def configuration(port: int) -> str:
    """Return twin.conf: TCP on loopback only, and the tuning that measurements asked for."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    buffers = max(128, min(1024, memory // MIB // 8))
    lines = {
        "listen_addresses": "'127.0.0.1'",
        "port": port,
        "unix_socket_directories": "''",  # a long home would not fit into a socket address
        "max_connections": 200,
        "password_encryption": "'scram-sha-256'",
        "shared_buffers": f"{buffers}MB",
        "effective_cache_size": f"{max(512, memory // MIB // 3)}MB",
        "work_mem": "32MB",
        "maintenance_work_mem": f"{min(512, buffers)}MB",
        "random_page_cost": 1.1,
        "max_wal_size": "4GB",
        "wal_compression": "on",
        "checkpoint_timeout": "15min",
        # After a crash one call instead of an fsync for each of thousands of files: seconds, not a minute.
        "recovery_init_sync_method": "syncfs",
        "jit": "off",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "log_line_prefix": "'%m [%p] %u@%d '",
        "lc_messages": "'C'",
    }
    return "# Written by ./up at every start; changes here are lost.\n" + "".join(
        f"{key} = {value}\n" for key, value in lines.items()
    )


def _is_postgres(pid_file: Path) -> bool:
    try:
        pid = int(pid_file.read_text(encoding="utf-8").splitlines()[0])
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "postgres"
    except (OSError, ValueError, IndexError):
        return False
