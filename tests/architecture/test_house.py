"""The rules of the house that a program can check: sizes, words, places, directions."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ui.terminal.paths import ROOT

PACKAGES = ("gis", "twin", "layers", "ingest", "services", "ui")
MAX_FILE, MAX_FUNCTION = 600, 80
# Spelled in pieces so that this file does not contain what it forbids.
MACHINE_PATHS = re.compile("|".join(["/" + "work/", "/" + "root/", "/home/" + r"\w+/"]))
REGISTRIES = re.compile(
    "|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "registry\\." + "npmjs"])
)
TEXT = {
    ".py",
    ".ts",
    ".js",
    ".json",
    ".yaml",
    ".md",
    ".txt",
    ".in",
    ".toml",
    ".sql",
    ".html",
    ".css",
    "",
}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def tracked() -> list[Path]:
    said = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in said.stdout.decode().split("\0") if name]


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def in_git() -> bool:
    return (ROOT / ".git").exists() and shutil.which("git") is not None


def test_every_module_says_what_it_is() -> None:
    silent = [short(p) for p in modules() if not ast.get_docstring(ast.parse(p.read_text("utf-8")))]
    assert not silent


def test_files_and_functions_stay_small() -> None:
    large = []
    for path in modules():
        source = path.read_text("utf-8")
        if source.count("\n") > MAX_FILE:
            large.append(f"{short(path)}: {source.count(chr(10))} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION:
                    large.append(f"{short(path)}:{node.lineno} {node.name}: {length} lines")
    assert not large


def test_only_the_terminal_prints() -> None:
    printing = [
        f"{short(path)}:{node.lineno}"
        for path in modules()
        if (ROOT / "ui" / "terminal") not in path.parents
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not printing


def test_domains_of_services_do_not_know_each_other() -> None:
    """They meet in twin; `services.app` composes them, `services.web` is what they share."""
    domains = {p.name for p in (ROOT / "services").iterdir() if (p / "__init__.py").exists()} - {
        "web"
    }
    broken = []
    for path in sorted((ROOT / "services").glob("*/*.py")):
        own = path.parent.name
        for found in re.finditer(
            r"^\s*(?:from|import) services\.(\w+)", path.read_text("utf-8"), re.M
        ):
            if found[1] in domains - {own}:
                broken.append(f"{short(path)} imports services.{found[1]}")
    assert not broken


def test_the_packages_keep_their_direction() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(tool), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-test.txt"])
def test_locks_have_hashes_and_no_addresses(lock: str) -> None:
    lines = [
        s for s in (ROOT / lock).read_text("utf-8").splitlines() if s and not s.startswith("#")
    ]
    assert not [line for line in lines if "://" in line or line.strip().startswith("--index")]
    pinned = "\n".join(lines).replace("\\\n", " ").splitlines()
    assert pinned
    assert not [line[:60] for line in pinned if "==" not in line or "--hash=sha256:" not in line]


@pytest.mark.skipif(not in_git(), reason="only a clone knows what is tracked")
def test_nothing_names_a_machine_or_a_registry() -> None:
    named = []
    for path in tracked():
        if path.suffix not in TEXT or not path.is_file() or path == Path(__file__):
            continue
        text = path.read_text("utf-8", "replace")
        for pattern in (MACHINE_PATHS, REGISTRIES):
            if found := pattern.search(text):
                named.append(f"{short(path)}: {found[0]}")
    assert not named


@pytest.mark.skipif(not in_git(), reason="only a clone knows what is tracked")
def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(" + "TO" + "DO|FIX" + "ME|X" + "XX)" + r"\b")
    left = [
        f"{short(path)}:{i}"
        for path in tracked()
        if path.suffix in {".py", ".ts", ".sql"} and path.is_file()
        for i, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if mark.search(line)
    ]
    assert not left
