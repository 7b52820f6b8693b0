"""The signed repository of updates (The Update Framework): who may say what a device installs.

Root needs two of three keys, which belong off line; targets are delegated to a role per product;
the timestamp is short-lived, so that nobody can hold devices back on an old state unnoticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from twin.errors import BadRequest, NotFound, Unavailable

ROOT_KEYS = ("root-1", "root-2", "root-3")
ONLINE_KEYS = ("targets", "snapshot", "timestamp")
# What an operator may carry away: with them gone, who takes this machine can sign no release.
CARRIED = (*ROOT_KEYS, "targets")
MARK = "carried"
THRESHOLD = 2
ROOT_LIVES, TARGETS_LIVE = timedelta(days=3650), timedelta(days=730)
SNAPSHOT_LIVES, TIMESTAMP_LIVES = timedelta(days=30), timedelta(hours=24)
RENEW_AFTER = timedelta(hours=6)


class Repository:
    """The repository of one home: `$home/ota/metadata`, keys in `$home/secrets/ota`."""

    def __init__(self, home: Path, carried: Path | None = None) -> None:
        self.carried = carried
        self.metadata = home / "ota" / "metadata"
        self.keys = home / "secrets" / "ota"

    def ensure(self) -> None:
        """Make keys and first metadata where there are none."""
        if (self.metadata / "timestamp.json").exists():
            return
        self.metadata.mkdir(parents=True, exist_ok=True)
        self.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        signers = {name: self._signer(name) for name in (*ROOT_KEYS, *ONLINE_KEYS)}
        root = Root(version=1, expires=_until(ROOT_LIVES))
        for name in ROOT_KEYS:
            root.add_key(signers[name].public_key, "root")
        for name in ONLINE_KEYS:
            root.add_key(signers[name].public_key, name)
        root.roles["root"].threshold = THRESHOLD
        made: Metadata[Root] = Metadata(root)
        for name in ROOT_KEYS[:THRESHOLD]:
            made.sign(signers[name], append=True)
        self._write("1.root.json", made.to_bytes())
        self._targets("targets", Targets(version=1, expires=_until(TARGETS_LIVE)))
        self._snapshot()

    @property
    def is_carried(self) -> bool:
        """True where the keys of root and targets are not on this machine."""
        return (self.keys / MARK).exists()

    def carry(self, folder: Path) -> list[str]:
        """Move the keys of root and targets into a folder that the operator takes away."""
        self.ensure()
        if self.is_carried:
            raise BadRequest("The keys have been carried away already.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        there = [name for name in CARRIED if (folder / name).exists()]
        if there:
            raise BadRequest(f"{folder} holds {there[0]} already; choose an empty folder.")
        for name in CARRIED:
            raw = (self.keys / name).read_bytes()
            _put(folder / name, raw)
            if (folder / name).read_bytes() != raw:
                raise Unavailable(f"{folder} did not keep {name}; the keys stay where they are.")
        _put(self.keys / MARK, (json.dumps({"keys": CARRIED}) + "\n").encode())
        for name in CARRIED:
            path = self.keys / name
            _put(path, b"\0" * path.stat().st_size)
            path.unlink()
        return list(CARRIED)

    def root(self) -> bytes:
        """Return the first root: what a device is born with."""
        return self.read("1.root.json")

    def read(self, name: str) -> bytes:
        """Return one file of the metadata; NotFound for anything else."""
        if not name.endswith(".json") or "/" in name or name.startswith("."):
            raise NotFound("There is no such metadata.")
        try:
            return (self.metadata / name).read_bytes()
        except OSError as why:
            raise NotFound("There is no such metadata.") from why

    def add(self, product: str, path: str, image: Path, said: Mapping[str, Any]) -> None:
        """Sign an image as a target of its product, with what it is for (`custom`)."""
        self.ensure()
        role = f"product-{product}"
        top = self._load("targets", Targets)
        if top.signed.delegations is None or role not in (top.signed.delegations.roles or {}):
            self._delegate(top.signed, role, product)
        mine = self._mine(role)
        if path in mine.targets:
            raise BadRequest(f"{path} is in the repository already.")
        target = TargetFile.from_file(path, str(image), ["sha256"])
        target.unrecognized_fields["custom"] = dict(said)
        mine.targets[path] = target
        mine.expires = _until(TARGETS_LIVE)
        self._targets(role, mine, key="targets")
        self._snapshot()

    def _delegate(self, top: Targets, role: str, product: str) -> None:
        if top.delegations is None:
            top.delegations = Delegations(keys={}, roles={})
        key = self._signer("targets").public_key
        top.delegations.keys[key.keyid] = key
        assert top.delegations.roles is not None
        top.delegations.roles[role] = DelegatedRole(
            role, [key.keyid], threshold=1, terminating=True, paths=[f"{product}/*"]
        )
        top.version += 1
        top.expires = _until(TARGETS_LIVE)
        self._targets("targets", top)

    def _mine(self, role: str) -> Targets:
        try:
            known: Targets = self._load(role, Targets).signed
        except NotFound:
            return Targets(version=1, expires=_until(TARGETS_LIVE))
        known.version += 1
        return known

    def renew(self) -> bool:
        """Sign the timestamp anew when it is some hours old; also the snapshot before it ends."""
        self.ensure()
        stamp = self._load("timestamp", Timestamp).signed
        if stamp.expires - TIMESTAMP_LIVES + RENEW_AFTER > datetime.now(UTC):
            return False
        snapshot = self._load("snapshot", Snapshot).signed
        if snapshot.expires - datetime.now(UTC) < SNAPSHOT_LIVES / 2:
            self._snapshot()
        else:
            self._timestamp(snapshot.version)
        return True

    def _targets(self, role: str, said: Targets, key: str = "targets") -> None:
        made: Metadata[Targets] = Metadata(said)
        made.sign(self._signer(key))
        self._write(f"{said.version}.{role}.json", made.to_bytes())

    def _snapshot(self) -> None:
        try:
            old = self._load("snapshot", Snapshot).signed.version
        except NotFound:
            old = 0
        meta = {
            f"{role}.json": MetaFile(version=version)
            for role, version in self._newest().items()
            if role == "targets" or role.startswith("product-")
        }
        made: Metadata[Snapshot] = Metadata(
            Snapshot(version=old + 1, expires=_until(SNAPSHOT_LIVES), meta=meta)
        )
        made.sign(self._signer("snapshot"))
        self._write(f"{old + 1}.snapshot.json", made.to_bytes())
        self._timestamp(old + 1)

    def _timestamp(self, snapshot: int) -> None:
        try:
            old = self._load("timestamp", Timestamp).signed.version
        except NotFound:
            old = 0
        made: Metadata[Timestamp] = Metadata(
            Timestamp(
                version=old + 1,
                expires=_until(TIMESTAMP_LIVES),
                snapshot_meta=MetaFile(version=snapshot),
            )
        )
        made.sign(self._signer("timestamp"))
        self._write("timestamp.json", made.to_bytes())

    def _newest(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self.metadata.glob("*.*.json"):
            version, role, _ = path.name.split(".")
            found[role] = max(found.get(role, 0), int(version))
        return found

    def _load(self, role: str, _kind: type[Any]) -> Metadata[Any]:
        if role == "timestamp":
            return Metadata.from_bytes(self.read("timestamp.json"))
        version = self._newest().get(role)
        if version is None:
            raise NotFound(f"The repository has no {role} yet.")
        return Metadata.from_bytes(self.read(f"{version}.{role}.json"))

    def _write(self, name: str, raw: bytes) -> None:
        # Whole or not at all: a device may read at any moment.
        part = self.metadata / f".{name}.{os.getpid()}"
        part.write_bytes(raw)
        part.replace(self.metadata / name)

    def _signer(self, name: str) -> CryptoSigner:
        path = self._key_file(name)
        if not path.exists():
            made = CryptoSigner.generate_ed25519()
            path.touch(mode=0o600)
            path.write_bytes(made.private_bytes)
            return made
        try:
            private: Any = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError) as why:
            raise Unavailable(f"The key {path} cannot be read.") from why
        made = CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))
        if path.parent != self.keys and made.public_key.keyid not in self._known(name):
            raise Unavailable(f"{path} is not the key of this installation.")
        return made

    def _key_file(self, name: str) -> Path:
        if name not in CARRIED or not self.is_carried:
            return self.keys / name
        if self.carried is None or not (self.carried / name).is_file():
            raise Unavailable(
                "The keys that sign releases are carried off line; sign with "
                "`twin ota release IMAGE --keys FOLDER` where they are."
            )
        return self.carried / name

    def _known(self, name: str) -> list[str]:
        role = "root" if name in ROOT_KEYS else name
        return list(self._load("root", Root).signed.roles[role].keyids)

    def manifest(self, said: Mapping[str, Any]) -> str:
        """Return a signed manifest for devices too small for the whole framework."""
        body = json.dumps(said, sort_keys=True, separators=(",", ":"))
        made = self._signer("targets").sign(body.encode())
        return json.dumps({"signed": body, "keyid": made.keyid, "sig": made.signature})

    def manifest_key(self) -> SSlibKey:
        """Return the public key of manifests: what a small device is born with."""
        root = self._load("root", Root).signed
        key = root.keys[root.roles["targets"].keyids[0]]
        assert isinstance(key, SSlibKey)
        return key


def _put(path: Path, raw: bytes) -> None:
    """Write a file for nobody else, to the disk and not only to its cache."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as sink:
        sink.write(raw)
        sink.flush()
        os.fsync(sink.fileno())


def _until(span: timedelta) -> datetime:
    return (datetime.now(UTC) + span).replace(microsecond=0)


@lru_cache(maxsize=4)
def repository(home: Path) -> Repository:
    """Return the repository of a home."""
    return Repository(home)
