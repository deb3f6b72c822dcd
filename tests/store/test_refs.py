"""References to versions: the newest one, tags, rollbacks and times."""

import datetime as dt
from dataclasses import replace

import pytest

from tests.support.runs import parse_summary, run_toytip
from tests.support.trips import make_manifest, make_part_record, make_trips, publish_table
from toytip.config import Settings
from toytip.core.tables import TRIPS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ConfigError, StoreError
from toytip.pipeline.context import RunContext
from toytip.progress.tracker import Progress
from toytip.store.refs import (
    next_event_time,
    parse_as_of,
    read_tags,
    remove_tag,
    resolve_version,
    set_tag,
)
from toytip.store.release import roll_back_to
from toytip.store.run_manifest import RunStatus
from toytip.store.store import Store


def publish_at(store, version, created_at):
    record = store.write_data_file(TLC.table(TRIPS), version, make_part_record(), make_trips({}, {}, {}))
    return publish_table(store, replace(make_manifest([record], version), created_at=created_at))


def test_the_newest_version_is_the_default(store_of_three):
    store = store_of_three
    assert resolve_version(store, "trips").version == "v3"
    assert resolve_version(store, "trips", "v1").version == "v1"
    with pytest.raises(StoreError, match=r"cannot read features in .*: it has no version"):
        resolve_version(store, "features")


def test_a_tag_names_a_version(store_of_three):
    store = store_of_three
    set_tag(store, "good", "v2")
    set_tag(store, "good", "v2")
    assert resolve_version(store, "trips", "good").version == "v2"
    with pytest.raises(StoreError, match="cannot set tag good: it already names version v2") as refused:
        set_tag(store, "good", "v1")
    assert refused.value.hint == "Move the tag with --force."
    set_tag(store, "good", "v1", force=True)
    assert read_tags(store) == {"good": "v1"}
    with pytest.raises(StoreError, match="a version has this name"):
        set_tag(store, "v3", "v1")
    with pytest.raises(StoreError, match=r"cannot read version v9 .*: it does not exist"):
        set_tag(store, "bad", "v9")
    remove_tag(store, "good")
    with pytest.raises(StoreError, match=r"cannot remove tag good .*: it does not exist"):
        remove_tag(store, "good")


def test_a_clock_that_is_behind_hides_no_run(store_of_three):
    """Another machine, whose clock is an hour ahead, has published the newest run."""
    store = store_of_three
    ahead = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat(timespec="microseconds")
    with store.write_version("v4"):
        publish_at(store, "v4", ahead)
    context = RunContext(Settings.load(), store, None, Progress("none"), "v5")
    assert context.run_manifest("run", {}, RunStatus.NOT_GATED).created_at > ahead
    roll_back_to(store, "v1")
    assert resolve_version(store, "trips").version == "v1"
    assert next_event_time(store) > ahead


def test_a_rollback_lasts_until_the_next_version(store_of_three):
    store = store_of_three
    assert roll_back_to(store, "v1").tables == {"trips": "v1"}
    assert resolve_version(store, "trips").version == "v1"
    assert parse_as_of("2026-01-01") < dt.datetime.now(dt.UTC)
    files = store.list_manifests()[0].files
    now = dt.datetime.now(dt.UTC).isoformat()
    with store.write_version("v4"):
        manifest = publish_at(store, "v4", now)
    assert manifest.files[0].rows == files[0].rows
    assert resolve_version(store, "trips").version == "v4"


def test_the_newest_version_as_of_a_time(tmp_path):
    store = Store(str(tmp_path), "dev")
    for version, created_at in (("v1", "2026-01-01T10:00:00+00:00"), ("v2", "2026-01-02T10:00:00+00:00")):
        with store.write_version(version):
            publish_at(store, version, created_at)
    assert resolve_version(store, "trips", as_of="2026-01-01T12:00").version == "v1"
    assert resolve_version(store, "trips", as_of="2026-01-02").version == "v2"
    assert resolve_version(store, "trips", as_of="2026-01-02T11:00+02:00").version == "v1"
    with pytest.raises(StoreError, match="no version as of 2025-12-31"):
        resolve_version(store, "trips", as_of="2025-12-31")
    with pytest.raises(ConfigError, match="cannot use --as-of 'yesterday': it is not a date or time"):
        resolve_version(store, "trips", as_of="yesterday")


@pytest.mark.cluster
def test_commands_read_versions_as_of_a_time(tagged_runs):
    _, where, _, _ = tagged_runs
    listed = parse_summary(run_toytip("version", "list", *where, "--as-of", "2020-01-01", "--json"))
    assert listed["versions"] == []
    assert "first" in run_toytip("version", "list", *where).stdout
    refused = run_toytip("stage", "evaluate", *where, "--as-of", "2020-01-01")
    assert refused.returncode == 1
    assert "as of 2020-01-01" in refused.stderr
