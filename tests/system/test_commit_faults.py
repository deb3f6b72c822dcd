"""Kill runs between the steps of their commit, and start several first runs at once.

The process that does a step stops the run at this step, so the moment does not depend on the speed
of the machine. `make test-faults` runs these tests.
"""

import json
import signal
import subprocess
import sys

import pytest

from tests.support import s3_server
from tests.support.kill_at import Step, run_until
from tests.support.reference_run import check_complete, check_same_results
from tests.support.runs import parse_summary, run_toytip
from toytip.config import Settings
from toytip.core.access import StorageOptions
from toytip.models.registry import CHAMPION, open_registry
from toytip.store.store import Store

pytestmark = pytest.mark.faults
OPTIONS = (
    "--gate",
    "on",
    "--rounds",
    12,
    "--max-depth",
    4,
    "--workers",
    2,
    "--partition-rows",
    2_000,
    "--json",
)

STEPS = {
    "before the first table": Step("toytip.store.store", "Store.add_table", "before"),
    "between two tables": Step("toytip.store.store", "Store.add_table", "before", 4),
    "after the model": Step("toytip.store.store", "Store.add_table", "after", 5),
    "after the predictions": Step("toytip.store.store", "Store.add_table", "after", 7),
    "in the creation of the registry": Step("toytip.models.database", "_initialize", "before"),
    "before the registration": Step("toytip.models.registry", "Registry.register", "before"),
    "after the registration": Step("toytip.models.registry", "Registry.register", "after"),
    "after the promotion": Step("toytip.models.registry", "Registry.promote", "after"),
    "before the run manifest": Step("toytip.store.store", "Store.publish", "before"),
    "after the run manifest": Step("toytip.store.store", "Store.publish", "after"),
}
IS_PUBLISHED = {"after the run manifest"}


@pytest.fixture(scope="module")
def reference(synthetic, tmp_path_factory):
    """The store of an undisturbed run, and its JSON result."""
    root = tmp_path_factory.mktemp("reference")
    return root, parse_summary(run_toytip("run", "--source", synthetic, "--store", root, *OPTIONS))


def check_registry(root, versions):
    """Check that the registry has one champion, and registered no run twice."""
    models = open_registry(Settings.load(store=str(root)), "yellow", "all").list_models()
    assert sum(CHAMPION in model.aliases for model in models) == 1
    registered = [model.run_version for model in models]
    assert len(registered) == len(set(registered))
    assert set(registered) <= versions


def check_survived(store, step, repeated, reference):
    """Check a store after a killed run and a repeated one."""
    summary = parse_summary(repeated)
    check_same_results(store, summary, reference)
    check_complete(store, reference)
    assert summary["status"] == "passed"
    assert summary["up_to_date"] == (step in IS_PUBLISHED)
    assert len(store.list_runs()) == 1
    assert store.incomplete_versions() == []


@pytest.mark.parametrize("step", STEPS)
def test_a_run_is_killed_at_a_step_of_its_commit(step, synthetic, reference, tmp_path):
    command = ("run", "--source", synthetic, "--store", tmp_path, *OPTIONS)
    killed = run_until(STEPS[step], signal.SIGKILL, *command, "--version-id", "vkilled")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    store = Store(str(tmp_path), "dev")
    assert len(store.list_runs()) == (step in IS_PUBLISHED)
    assert bool(store.list_manifests()) == (step in IS_PUBLISHED)
    check_complete(store, reference)
    repeated = run_toytip(*command)
    check_survived(store, step, repeated, reference)
    run_toytip("version", "gc", "--store", tmp_path)
    assert store.abandoned_versions() == []
    check_complete(store, reference)
    check_registry(tmp_path, {"vkilled", parse_summary(repeated)["version"]})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "step", ["in the creation of the registry", "after the registration", "before the run manifest"]
)
def test_a_run_is_interrupted_at_a_step_of_its_commit(step, number, synthetic, reference, tmp_path):
    command = ("run", "--source", synthetic, "--store", tmp_path, *OPTIONS)
    stopped = run_until(STEPS[step], number, *command)
    assert stopped.returncode == 128 + number, stopped.stderr
    assert "Traceback" not in stopped.stderr
    store = Store(str(tmp_path), "dev")
    assert store.list_manifests() == []
    check_survived(store, step, run_toytip(*command), reference)


@pytest.mark.parametrize("count", [2, 3])
def test_first_runs_at_the_same_moment_all_succeed(count, synthetic, reference, tmp_path):
    """Each creates the registry, if another one has not done so, and one model is the champion."""
    command = ("run", "--source", synthetic, "--store", tmp_path, *OPTIONS)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "toytip", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    outputs = [process.communicate(timeout=280) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, [err for _, err in outputs]
    store = Store(str(tmp_path), "dev")
    check_complete(store, reference)
    versions = {json.loads(out)["version"] for out, _ in outputs}
    assert {run.version for run in store.list_runs()} == versions
    check_registry(tmp_path, versions)
    for out, _ in outputs:
        check_same_results(store, json.loads(out), reference)
    assert not list((tmp_path / "dev" / "_staging").iterdir())


def test_first_runs_generate_the_synthetic_year_at_the_same_moment(tmp_path, monkeypatch):
    monkeypatch.setenv("TOYTIP_SYNTH_ROWS_PER_MONTH", "300")
    command = ("run", "--store", tmp_path, "--rounds", 4, "--workers", 1, "--json")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "toytip", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=280) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [err for _, err in outputs]
    metrics = [json.loads(out)["metrics"] for out, _ in outputs]
    assert metrics[0] == metrics[1]


OBJECT_STORE_STEPS = ("between two tables", "before the run manifest", "after the run manifest")


@pytest.mark.parametrize("step", OBJECT_STORE_STEPS)
def test_a_run_on_an_object_store_is_killed_at_a_step_of_its_commit(step, server, reference, tmp_path):
    root = f"s3://{s3_server.PRIVATE_BUCKET}/commit-{OBJECT_STORE_STEPS.index(step)}"
    source = f"s3://{s3_server.PRIVATE_BUCKET}/in"
    command = ("run", "--source", source, "--store", root, *OPTIONS, "--gate", "off")
    killed = run_until(STEPS[step], signal.SIGKILL, *command)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    store = Store(root, "dev", StorageOptions(server.endpoint))
    assert bool(store.list_manifests()) == (step in IS_PUBLISHED)
    check_complete(store, reference)
    repeated = run_toytip(*command, cwd=tmp_path)
    summary = parse_summary(repeated)
    check_same_results(store, summary, reference)
    assert summary["status"] == "not-gated"
    assert len(store.list_runs()) == 1
