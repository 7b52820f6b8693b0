"""Updates: what is forged, old, expired or for others is refused; power cuts resume; bad canaries halt."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater

from tests import minicity
from tests.alarms import devices
from twin import db, shadow
from twin.errors import BadRequest, Unavailable
from twin.ota import rollouts
from twin.ota.device import Device, Refuses, Store
from twin.ota.doors import in_window
from twin.ota.repository import Repository

IMAGE = bytes(range(256)) * 3 + b"end"
NEWER = IMAGE[::-1]


class Files(FetcherInterface):
    """Serves files of a folder by their name."""

    def __init__(self, metadata: Path, targets: dict[str, bytes]) -> None:
        self.metadata, self.targets = metadata, targets

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.split("://x/", 1)[1]
        if name in self.targets:
            yield self.targets[name]
            return
        path = self.metadata / name
        if not path.exists():
            raise DownloadHTTPError("none", 404)
        yield path.read_bytes()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "home")
    made.ensure()
    return made


def add(
    made: Repository,
    tmp: Path,
    version: str,
    counter: int,
    image: bytes = IMAGE,
    product: str = "bin_level",
) -> None:
    path = tmp / "image"
    path.write_bytes(image)
    made.add(product, f"{product}/{version}.bin", path, {"version": version, "counter": counter})


def update(
    made: Repository, at: Path, path: str, targets: dict[str, bytes], metadata: Path | None = None
) -> bytes:
    at.mkdir(parents=True, exist_ok=True)
    (at / "targets").mkdir(exist_ok=True)
    client = Updater(
        str(at / "meta"),
        "http://x/",
        str(at / "targets"),
        "http://x/",
        Files(metadata or made.metadata, targets),
        bootstrap=made.root(),
    )
    client.config.prefix_targets_with_hash = False
    client.refresh()
    info = client.get_targetinfo(path)
    assert info is not None
    return Path(client.download_target(info)).read_bytes()


def test_a_standard_client_takes_what_is_signed_and_refuses_the_rest(
    repository: Repository, tmp_path: Path
) -> None:
    add(repository, tmp_path, "1.1", 2)
    old = tmp_path / "old"
    shutil.copytree(repository.metadata, old)
    add(repository, tmp_path, "1.2", 3, NEWER)
    name = "bin_level/1.2.bin"
    at = tmp_path / "client"
    assert update(repository, at, name, {name: NEWER}) == NEWER
    with pytest.raises(RepositoryError):
        update(repository, tmp_path / "b", name, {name: NEWER[:-1] + b"!"})
    with pytest.raises(RepositoryError):  # rolled back: the client has seen a newer timestamp
        update(repository, at, "bin_level/1.1.bin", {"bin_level/1.1.bin": IMAGE}, old)
    mixed = tmp_path / "mixed"  # the old product targets under the new snapshot
    shutil.copytree(repository.metadata, mixed)
    newest = max(int(p.name.split(".")[0]) for p in mixed.glob("*.product-bin_level.json"))
    shutil.copy(
        mixed / f"{newest - 1}.product-bin_level.json", mixed / f"{newest}.product-bin_level.json"
    )
    with pytest.raises(RepositoryError):
        update(repository, tmp_path / "c", name, {name: NEWER}, mixed)


def test_frozen_metadata_expires(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(repository, tmp_path, "1.1", 2)
    stamp: Metadata[Any] = Metadata.from_file(str(repository.metadata / "timestamp.json"))
    stamp.signed.expires = datetime.now(UTC) - timedelta(seconds=1)
    stamp.sign(repository._signer("timestamp"))
    (repository.metadata / "timestamp.json").write_bytes(stamp.to_bytes())
    with pytest.raises(ExpiredMetadataError):
        update(repository, tmp_path / "a", "bin_level/1.1.bin", {"bin_level/1.1.bin": IMAGE})
    assert repository.renew()
    assert not repository.renew()
    assert (
        update(repository, tmp_path / "b", "bin_level/1.1.bin", {"bin_level/1.1.bin": IMAGE})
        == IMAGE
    )
    del monkeypatch


def test_another_products_role_cannot_sign_for_this_one(
    repository: Repository, tmp_path: Path
) -> None:
    add(repository, tmp_path, "1.1", 2, product="smoke")
    add(repository, tmp_path, "1.1", 2)
    with pytest.raises(BadRequest):
        add(repository, tmp_path, "1.1", 2)


def offer(made: Repository, **changed: Any) -> str:
    import hashlib

    said = {
        "product": "bin_level",
        "version": "1.1.0",
        "counter": 2,
        "hardware": ["a"],
        "min_from": 0,
        "bytes": len(IMAGE),
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
        "sm3": hashlib.new("sm3", IMAGE).hexdigest(),
        "expires": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    return made.manifest(said | changed)


def reader(image: bytes) -> Any:
    return lambda start, count: image[start : start + count]


def test_a_small_device_refuses_what_is_not_for_it(repository: Repository) -> None:
    device = Device("bin_level", "a", repository.manifest_key())
    forged = json.loads(offer(repository))
    forged["signed"] = forged["signed"].replace('"counter":2', '"counter":9')
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    for bad in (
        json.dumps(forged),
        "{}",
        "no",
        offer(repository, hardware=["b"]),
        offer(repository, product="smoke"),
        offer(repository, counter=1),
        offer(repository, min_from=2),
        offer(repository, expires=past),
    ):
        with pytest.raises(Refuses):
            device.offered("x", bad)
    device.offered("x", offer(repository))
    device.download(reader(NEWER))  # the manifest of one image with the bytes of another
    with pytest.raises(Refuses, match="not the one"):
        device.verify()
    with pytest.raises(Refuses, match="not been verified"):
        device.install()
    assert device.offset == 0


class PowerCut(Exception):
    """The lights went out."""


def test_power_may_go_at_every_byte(repository: Repository) -> None:
    envelope = offer(repository)
    for cut in range(len(IMAGE) + 1):
        store = Store()
        taken = 0

        def one_by_one(start: int, count: int, cut: int = cut) -> bytes:
            nonlocal taken
            if taken == cut:
                taken += 1
                raise PowerCut
            taken += 1
            return IMAGE[start : start + 1]

        device = Device("bin_level", "a", repository.manifest_key(), store)
        device.offered("x", envelope)
        try:
            device.download(one_by_one)
        except PowerCut:
            assert device.offset == cut
        again = Device("bin_level", "a", repository.manifest_key(), copy.deepcopy(store))
        again.offered("x", envelope)
        assert again.offset == min(cut, len(IMAGE))
        again.download(one_by_one)
        again.verify()
        again.install()
        assert again.boot(lambda image: image == IMAGE)
        assert (again.store.version, again.store.counter) == ("1.1.0", 2)
        with pytest.raises(Refuses):
            again.offered("y", envelope)


def test_an_image_that_does_not_start_leaves_the_old_one_running(repository: Repository) -> None:
    device = Device("bin_level", "a", repository.manifest_key())
    device.offered("x", offer(repository))
    device.download(reader(IMAGE))
    device.verify()
    device.install()
    assert not device.boot(lambda _image: False)
    assert (device.store.version, device.store.running) == ("1.0.0", 0)


@pytest.fixture(scope="module")
def fleet(database: str) -> list[int]:
    minicity.build()
    return devices.build("bin_level", [(121.41 + i * 0.0005, 31.21) for i in range(100)], "f")


@pytest.fixture
def rollout(fleet: list[int], repository: Repository, tmp_path: Path) -> Any:
    path = tmp_path / "fw"
    path.write_bytes(IMAGE)
    with db.engine("app").begin() as conn:
        conn.execute(
            text(
                "update iot.ota_attempt set state = 'cancelled' "
                "where state not in ('committed', 'failed', 'rolled_back', 'expired')"
            )
        )
        n = conn.scalar(text("select coalesce(max(counter), 1) + 1 from iot.ota_release"))
        made = rollouts.release(
            conn,
            repository,
            path,
            product="bin_level",
            version=f"1.{n}",
            counter=n,
            hardware=["a"],
            min_from=0,
            note={},
            actor="t",
        )
        return rollouts.start(
            conn,
            made,
            fleet,
            stages=[0.05, 0.2, 1],
            halt_above=0.2,
            plan={"silent_s": 60, "open_s": 3600},
            actor="t",
        ), f"1.{n}"


def door(what: Any, *args: Any) -> Any:
    with db.engine("ingest").begin() as conn:
        return what(conn.connection.driver_connection, *args)


def say(num: int, **said: Any) -> None:
    door(shadow.uplink, num, "ota/progress", orjson.dumps(said))


def offers(fleet: list[int]) -> list[Any]:
    return [d for d in door(shadow.due, fleet) if d.topic_suffix == "ota"]


def advance(later_s: float = 0) -> None:
    with db.engine("app").begin() as conn:
        rollouts.advance(conn, datetime.now(UTC) + timedelta(seconds=later_s))


def stands(which: Any) -> Any:
    with db.engine("app").connect() as conn:
        row = conn.execute(text("select * from iot.ota_rollout where id = :i"), {"i": which}).one()
        return row.state, row.stage, rollouts.tally(conn, which)


def whole(num: int, attempt: str, version: str) -> None:
    for state in ("downloading", "downloaded", "verified", "installing", "rebooting"):
        say(num, attempt=attempt, state=state)
    say(num, boot={"version": version, "counter": 2, "hardware": "a"})
    say(num, attempt=attempt, state="committed")


def test_stage_after_stage_until_all_have_it(fleet: list[int], rollout: Any) -> None:
    which, version = rollout
    sizes = []
    for _ in range(3):
        found = offers(fleet)
        sizes.append(len(found))
        assert offers(fleet) == []
        for one in found:
            door(shadow.acknowledged, one.id)
            whole(one.num, orjson.loads(one.payload)["attempt"], version)
        advance()
    assert sizes == [5, 15, 80]
    state, stage, tally = stands(which)
    assert (state, stage, tally) == (
        "done",
        2,
        [{"committed": 5}, {"committed": 15}, {"committed": 80}],
    )


def test_a_canary_that_falls_silent_halts_the_rest(fleet: list[int], rollout: Any) -> None:
    which, _ = rollout
    canary = offers(fleet)
    assert len(canary) == 5
    for one in canary:
        attempt = orjson.loads(one.payload)["attempt"]
        for state in ("downloading", "downloaded", "verified", "installing", "rebooting"):
            say(one.num, attempt=attempt, state=state)
    advance()
    assert stands(which)[0] == "running"
    advance(later_s=61)
    state, stage, tally = stands(which)
    assert (state, stage, tally[0]) == ("halted", 0, {"failed": 5})
    assert tally[1:] == [{"cancelled": 15}, {"cancelled": 80}]
    assert offers(fleet) == []


def test_the_old_version_after_a_reboot_is_no_update(fleet: list[int], rollout: Any) -> None:
    which, version = rollout
    one = offers(fleet)[0]
    attempt = orjson.loads(one.payload)["attempt"]
    say(one.num, attempt=attempt, state="rebooting")
    say(one.num, attempt=attempt, state="downloading", offset=5)  # late: nothing goes backwards
    say(one.num, boot={"version": "1.0"})
    (again,) = offers([one.num])
    assert orjson.loads(again.payload)["attempt"] == attempt
    say(one.num, attempt=attempt, state="rebooting")
    say(one.num, boot={"version": version})
    say(one.num, boot={"version": "1.0"})
    with db.engine("app").connect() as conn:
        row = conn.execute(
            text("select state, reason from iot.ota_attempt where id = :i"), {"i": attempt}
        ).one()
    assert row.state == "rolled_back"
    for bad in (
        {"state": "happy"},
        {"state": "failed", "attempt": "x"},
        {"boot": 5},
        {"boot": {"version": "1", "counter": "x"}},
        {"state": "downloading", "attempt": attempt, "offset": -1},
    ):
        with pytest.raises(shadow.Refused):
            say(one.num, **bad)
    del which


def test_maintenance_windows_reach_over_midnight() -> None:
    at = lambda h, m=0: datetime(2026, 11, 21, h, m, tzinfo=UTC) - timedelta(hours=8)  # noqa: E731
    night = {"window": [23 * 60, 5 * 60]}
    assert [in_window(night, at(h)) for h in (22, 23, 2, 5)] == [False, True, True, False]
    assert in_window({}, at(12))
    assert not in_window({"window": [60, 120]}, at(12))


def test_stages_have_a_device_each() -> None:
    assert rollouts.stage_of(3, [0.01, 0.1, 1]) == [0, 1, 2]
    assert rollouts.stage_of(1, [0.01, 0.1, 1]) == [0]
    assert rollouts.stage_of(1000, [0.01, 0.1, 1]).count(0) == 10


def test_carried_keys_sign_where_they_are_and_nowhere_else(
    repository: Repository, tmp_path: Path
) -> None:
    """With root and targets carried away the machine renews, but signs no release without them."""
    home, away = tmp_path / "home", tmp_path / "stick"
    assert repository.carry(away) == ["root-1", "root-2", "root-3", "targets"]
    left = {path.name for path in repository.keys.iterdir()}
    assert left == {"snapshot", "timestamp", "carried"}
    assert all((path.stat().st_mode & 0o77) == 0 for path in away.iterdir())
    with pytest.raises(Unavailable, match="carried off line"):
        add(repository, tmp_path, "1.0", 1)
    repository._snapshot()
    with pytest.raises(BadRequest, match="already"):
        repository.carry(tmp_path / "second")

    add(Repository(home, away), tmp_path, "1.0", 1)
    device = Device("bin_level", "a", Repository(home).manifest_key())
    assert (
        device is not None and "1.0" in Repository(home).read("1.product-bin_level.json").decode()
    )
    stranger = Repository(tmp_path / "other")
    stranger.carry(tmp_path / "strange")
    with pytest.raises(Unavailable, match="not the key of this installation"):
        add(Repository(home, tmp_path / "strange"), tmp_path, "1.1", 2)
