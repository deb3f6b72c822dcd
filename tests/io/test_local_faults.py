"""File systems without locks or hard links: a store works there, or refuses them before a run."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.trips import publish_trips
from toytip.errors import StoreError
from toytip.io.local import LocalFileIO
from toytip.store.refs import resolve_version
from toytip.store.store import Store


def fail(number):
    def call(*_, **__):
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused_before_a_run(number, tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", fail(number))
    store = Store(str(tmp_path / "store"), "dev")
    with (
        pytest.raises(StoreError, match="the file system does not support locks") as caught,
        store.write_version("v1"),
    ):
        pass
    assert "Set --store to a folder on a local disk" in caught.value.hint
    assert "NFS" in caught.value.hint
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "no file of the check is left"


def test_locks_that_exclude_nobody_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    with pytest.raises(StoreError, match="do not exclude other processes"):
        LocalFileIO(str(tmp_path)).require_guarantees("dev/probes")


def test_a_check_leaves_nothing_behind(tmp_path):
    LocalFileIO(str(tmp_path)).require_guarantees("dev/probes/x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_one_of_many_writers_creates_a_file_without_hard_links(number, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", fail(number))
    disk = LocalFileIO(str(tmp_path))

    def create(content):
        try:
            disk.create("dev/file", content)
        except FileExistsError:
            return None
        return content

    with ThreadPoolExecutor(8) as pool:
        winners = [content for content in pool.map(create, [b"%d" % n for n in range(32)]) if content]
    assert winners == [disk.read("dev/file")]
    assert [path.name for path in (tmp_path / "dev").iterdir()] == ["file"]


def test_a_store_works_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", fail(errno.EPERM))
    store = Store(str(tmp_path / "store"), "dev")
    with store.write_version("v1"):
        publish_trips(store)
    assert resolve_version(store, "trips").version == "v1"


def test_other_failures_of_a_hard_link_are_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", fail(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        LocalFileIO(str(tmp_path)).create("file", b"x")
