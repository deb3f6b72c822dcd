"""Verification and garbage collection."""

import shutil
from pathlib import Path

import pytest

from tests.support.runs import parse_summary, run_toytip
from toytip.errors import StoreError
from toytip.store import maintenance
from toytip.store.refs import remove_tag, resolve_version, set_tag
from toytip.store.release import roll_back_to


def test_unneeded_versions_are_garbage(store_of_three):
    store = store_of_three
    set_tag(store, "good", "v1")
    garbage = maintenance.find_garbage(store, 1)
    assert [ref.version for ref in garbage.versions] == ["v2"]
    assert garbage.bytes == store.get_manifest("trips", "v2").bytes
    roll_back_to(store, "v2")
    assert maintenance.find_garbage(store, 1).versions == (), "v2 is the newest after the rollback"
    remove_tag(store, "good")
    with store.write_version("v9"):
        garbage = maintenance.find_garbage(store, 1)
        assert [ref.version for ref in garbage.versions] == ["v1"]
        assert garbage.incomplete_versions == (), "v9 is being written"
        maintenance.collect_garbage(store, garbage)
    assert {manifest.version for manifest in store.list_manifests()} == {"v2", "v3"}
    assert not Path(store.version_uri("trips", "v1")).exists()


def test_a_damaged_manifest_is_named_and_blocks_no_other(store_of_three, invoke_cli):
    store = store_of_three
    manifest = Path(store.manifest_uri("trips", "v2"))
    manifest.write_text("{")
    where = ("--store", store.root)
    for command in (("version", "list"), ("version", "gc", "--keep", 1)):
        result = invoke_cli(*command, *where)
        assert result.returncode == 1
        assert "v3" in invoke_cli("version", "list", *where).stdout
        assert str(manifest) in result.stderr
        assert "pydantic" not in result.stderr
    assert Path(store.version_uri("trips", "v2")).exists(), "its manifest may be restored"
    assert not Path(store.version_uri("trips", "v1")).exists()
    assert invoke_cli("version", "show", "v3", *where).returncode == 0
    with pytest.raises(StoreError, match="cannot read manifest") as refused:
        resolve_version(store, "trips")
    assert refused.value.hint.startswith("Restore the file from a copy.")
    manifest.unlink()
    assert invoke_cli("version", "gc", *where).returncode == 0
    assert not Path(store.version_uri("trips", "v2")).exists()


@pytest.mark.cluster
def test_rollback_garbage_collection_and_a_changed_byte(tagged_runs, tmp_path):
    _, (_, original), first, _ = tagged_runs
    store = shutil.copytree(original, tmp_path / "st")
    where = ("--store", store)
    rolled_back = run_toytip("version", "rollback", "first", *where).stdout
    assert rolled_back.startswith("rolled back to first. Commands now read these versions:\n  ")
    assert "predictions" in rolled_back
    evaluation = parse_summary(run_toytip("stage", "evaluate", *where, "--workers", 1, "--json"))
    assert evaluation["version"] == first["version"]
    assert evaluation["metrics"] == first["metrics"]
    planned = parse_summary(run_toytip("version", "gc", "--keep", 1, "--dry-run", *where, "--json"))
    assert planned["deleted"] is False
    assert first["version"] not in {row["version"] for row in planned["versions"]}, "it has a tag"
    assert run_toytip("version", "gc", "--keep", 1, *where).returncode == 0
    assert parse_summary(run_toytip("version", "verify", "first", *where, "--json"))["faults"] == []

    path = f"dev/predictions/version={first['version']}/year=2020/month=3/part-00000.parquet"
    content = bytearray((store / path).read_bytes())
    content[len(content) // 2] ^= 1
    (store / path).unlink()
    (store / path).write_bytes(content)
    verified = run_toytip("version", "verify", "first", *where)
    assert verified.returncode == 1
    assert "predictions/version=" in verified.stdout
    assert "month=3/part-00000.parquet has changed" in verified.stdout
    refused = run_toytip("stage", "evaluate", "--input-version", "first", *where, "--workers", 1)
    assert refused.returncode == 1
    assert "its checksum differs from the manifest" in refused.stderr
