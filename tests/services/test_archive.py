"""Closing report and archive: whole, the same twice, provable offline; every change is found."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.services.conftest import Api
from twin import db, ledger, proofs
from twin.crypto import soft
from twin.settings import settings


def closed(api: Api, photo: str) -> str:
    body = {"category": "litter", "description": "绿化带旁有一堆建筑垃圾，约两立方米，气味明显。",
            "lon": 121.4712, "lat": 31.2211}  # fmt: skip
    code = str(api.post("/api/v1/events", body).json()["code"])
    best = api.get(f"/api/v1/events/{code}/proposals").json()["crews"][0]
    api.act(code, "dispatch", crew=best["code"])
    for action, said in (
        ("accept", {}),
        ("arrive", {}),
        ("finish", {"note": "已清运", "photos": [photo], "position": [121.4712, 31.2211]}),
    ):
        assert api.act(code, action, "patrol", **said).status_code == 200
    assert api.act(code, "close", note="复核合格").status_code == 200
    return code


def checkpoint() -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with db.engine("app").connect() as conn:
            if not conn.execute(text("select exists (select 1 from twin.unsealed)")).scalar_one():
                break
        time.sleep(0.05)
    with db.engine("app").begin() as conn:
        ledger.checkpoint(conn, ledger.tree(conn), settings().secret(ledger.KEY))


@pytest.fixture
def box(api: Api, photo: str, tmp_path: Path) -> Path:
    code = closed(api, photo)
    checkpoint()
    got = api.get(f"/api/v1/events/{code}/archive.zip")
    assert got.status_code == 200, got.text
    with zipfile.ZipFile(io.BytesIO(got.content)) as said:
        said.extractall(tmp_path)
    return tmp_path / code


def check(box: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(box / "verify.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_archive_holds_everything_and_proves_it_offline(box: Path, photo: str) -> None:
    names = {str(p.relative_to(box)) for p in box.rglob("*") if p.is_file()}
    digest = photo.rsplit("/", 1)[1]
    assert {"event.json", "story.json", "report.pdf", "proofs.json", "public.pem", "manifest.json",
            "verify.py", "README.md", f"evidence/{digest}.jpg"} <= names  # fmt: skip
    assert hashlib.sha256((box / f"evidence/{digest}.jpg").read_bytes()).hexdigest() == digest
    said = json.loads((box / "proofs.json").read_text("utf-8"))
    assert len(said["entries"]) == len(json.loads((box / "story.json").read_text("utf-8"))) >= 7
    assert all(e["proof"] for e in said["entries"]) and said["checkpoints"]
    assert check(box) == (0, "All files, entries and signatures hold.\n")


@pytest.mark.parametrize("what", ["photo", "entry", "path", "signature", "key", "story"])
def test_whatever_is_changed_is_found(box: Path, what: str) -> None:
    path = box / "proofs.json"
    said = json.loads(path.read_text("utf-8"))
    if what == "photo":
        one = next((box / "evidence").iterdir())
        one.write_bytes(one.read_bytes() + b" ")
    elif what == "story":
        story = box / "story.json"
        story.write_text(story.read_text("utf-8").replace("已清运", "未清运"), "utf-8")
    elif what == "key":
        (box / "public.pem").write_text(soft.sm2_keygen()[1], "utf-8")
    else:
        first = said["entries"][2]
        if what == "entry":
            first["entry"][4] = "somebody else"
        elif what == "path":
            first["proof"]["path"][0] = "00" * 32
        else:
            said["checkpoints"][0]["signature"] = said["checkpoints"][0]["signature"][:-2] + "00"
        path.write_text(json.dumps(said, ensure_ascii=False), "utf-8")
    if what in ("entry", "path", "signature", "key"):
        # Whoever changes a proof would mend the list of files as well.
        manifest = box / "manifest.json"
        listed = json.loads(manifest.read_text("utf-8"))
        for name in ("proofs.json", "public.pem"):
            listed[name] = hashlib.sha256((box / name).read_bytes()).hexdigest()
        manifest.write_text(json.dumps(listed), "utf-8")
    code, text_ = check(box)
    assert code == 1 and ("changed" in text_ or "signed" in text_), text_


def test_the_same_event_gives_the_same_report(api: Api, photo: str) -> None:
    code = closed(api, photo)
    first, second = (api.get(f"/api/v1/events/{code}/report.pdf") for _ in range(2))
    assert first.headers["content-type"] == "application/pdf"
    assert first.content[:5] == b"%PDF-" and first.content == second.content
    assert len(first.content) > 20_000


def test_reports_and_archives_stay_in_scope(api: Api) -> None:
    body = {"category": "litter", "description": "x", "lon": 121.42, "lat": 31.22}
    west = api.post("/api/v1/events", body).json()["code"]
    for name in ("report.pdf", "archive.zip"):
        assert api.get(f"/api/v1/events/{west}/{name}", "district-310104").status_code == 404
        assert api.get(f"/api/v1/events/{west}/{name}").status_code == 200, (
            "open ones too, as they stand"
        )
        assert api.get(f"/api/v1/events/SH-SA-20200101-0001/{name}").status_code == 404


def test_audit_paths_are_those_of_the_whole_tree() -> None:
    leaves = [soft.sm3(bytes([i % 251, i // 251])) for i in range(300)]
    for start in (0, 1, 2, 7, 64, 100, 255, 256):
        before, whole = ledger.Tree(), ledger.Tree()
        for one in leaves[:start]:
            before.add(one)
        for size in range(start + 1, min(start + 45, 300)):
            nodes = proofs.Nodes(start, before.frontier, leaves[start:size])
            whole = ledger.Tree()
            for one in leaves[:size]:
                whole.add(one)
            for index in range(start, size):
                path = nodes.path(index, size)
                assert proofs.root_of(leaves[index], index, size, path) == whole.root()
                assert (
                    proofs.root_of(leaves[index - 1], index, size, path) != whole.root()
                    or size == 1
                )
