"""`toytip version` and `toytip runs` on stores without versions, and the list of runs."""

from tests.support.runs import parse_summary


def test_an_empty_store_has_no_versions_runs_and_tags(tmp_path, invoke_cli):
    where = ("--store", tmp_path)
    assert "no versions in" in invoke_cli("version", "list", *where).stdout
    assert parse_summary(invoke_cli("version", "list", *where, "--json")) == {"versions": []}
    assert "no runs in" in invoke_cli("runs", *where).stdout
    assert parse_summary(invoke_cli("runs", *where, "--json")) == {"runs": []}
    assert "no tags in" in invoke_cli("version", "tag", *where).stdout
    assert parse_summary(invoke_cli("version", "tag", *where, "--json")) == {"tags": {}}


def test_a_tag_needs_a_version(tmp_path, invoke_cli):
    done = invoke_cli("version", "tag", "good", "--store", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: cannot set tag good: no version given",
        "hint: Run `toytip version tag good VERSION`, or use --delete to delete the tag.",
    ]


def test_runs_have_their_settings_and_metrics(two_runs, synthetic, invoke_cli):
    store, results = two_runs
    runs = parse_summary(invoke_cli("runs", "--store", store, "--json"))["runs"]
    assert [run["version"] for run in runs] == ["va", "vb"]
    assert [run["feature_set"] for run in runs] == ["payment", "dropoff"]
    assert [run["segment"] for run in runs] == ["all", "card"]
    for run, result in zip(runs, results, strict=True):
        assert run["source"] == str(synthetic)
        assert run["months"] == result["months"]
        assert run["test_auc"] == result["metrics"]["test"][run["segment"]]["auc"]
    printed = invoke_cli("runs", "--store", store).stdout
    assert "2020-01:2020-04" in printed
    assert f"{runs[1]['test_auc']:.4f}" in printed
