"""`toytip version` and `toytip runs` on stores without versions, and the list of runs."""

import pytest

from tests.support.runs import parse_summary, require_error
from toytip.store.store import Store


@pytest.fixture
def empty_store(tmp_path):
    """A store in which a first run was killed before it published a version."""
    Store(str(tmp_path / "st"), "dev").file_io.write("dev/_staging/v1.lock", b"")
    return tmp_path / "st"


@pytest.mark.parametrize(
    "command", [("version", "list"), ("version", "tag"), ("version", "gc"), ("runs",), ("model", "list")]
)
def test_a_store_that_does_not_exist_is_an_error(command, tmp_path, invoke_cli):
    (tmp_path / "foreign" / "dev").mkdir(parents=True)
    (tmp_path / "foreign" / "dev" / "x").touch()
    for folder in (tmp_path / "none", tmp_path / "foreign"):
        done = invoke_cli(*command, "--store", folder)
        require_error(done, f"cannot read store {folder}/dev: it does not exist", "Check --store")


def test_an_empty_store_has_no_versions_runs_and_tags(empty_store, invoke_cli):
    where = ("--store", empty_store)
    assert "no versions in" in invoke_cli("version", "list", *where).stdout
    assert parse_summary(invoke_cli("version", "list", *where, "--json")) == {"versions": []}
    assert "no runs in" in invoke_cli("runs", *where).stdout
    assert parse_summary(invoke_cli("runs", *where, "--json")) == {"runs": []}
    assert "no tags in" in invoke_cli("version", "tag", *where).stdout
    assert parse_summary(invoke_cli("version", "tag", *where, "--json")) == {"tags": {}}


def test_a_tag_needs_a_version(empty_store, invoke_cli):
    done = invoke_cli("version", "tag", "good", "--store", empty_store)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: cannot set tag good: no version given",
        "hint: Run `toytip version tag good VERSION`, or use --delete to delete the tag.",
    ]


def test_runs_have_their_settings_and_metrics(two_runs, synthetic, invoke_cli):
    store, results = two_runs
    runs = parse_summary(invoke_cli("runs", "--store", store, "--json"))["runs"]
    assert [run["version"] for run in runs] == ["vb", "va"]
    assert [run["feature_set"] for run in runs] == ["dropoff", "payment"]
    assert [run["segment"] for run in runs] == ["card", "all"]
    for run, result in zip(reversed(runs), results, strict=True):
        assert run["source"] == str(synthetic)
        assert run["months"] == result["months"]
        test = result["metrics"]["test"]
        assert run["test_auc"] == {name: metrics["auc"] for name, metrics in test.items()}
    printed = invoke_cli("runs", "--store", store).stdout
    assert "yellow 2020-01:04" in printed
    assert f"{runs[1]['test_auc']['all']:.3f}" in printed
