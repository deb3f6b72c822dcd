"""The promotion gate in a process of its own, which the run starts early."""

import os
import signal

import psutil
import pytest

from tests.support.models import NO_REFERENCE, register, train_model
from tests.support.runs import wait_until
from toytip import cluster
from toytip.config import Settings
from toytip.errors import RegistryError
from toytip.evaluation.gate import Decision
from toytip.models.database import NEW_PREFIX
from toytip.models.registry import open_registry
from toytip.pipeline import promote
from toytip.pipeline.evaluate import evaluate_tallies
from toytip.pipeline.promote import Challenger, ChampionMatch
from toytip.pipeline.startup.gate_process import prepare_gate
from toytip.store.manifest import Manifest
from toytip.store.store import Store


@pytest.fixture(scope="module", autouse=True)
def _forkserver():
    cluster.prestart_forkserver("forkserver")


@pytest.fixture
def registry(tmp_path):
    return open_registry(Settings.load(store=str(tmp_path)), "green", "all")


def challenger_of(version):
    model = train_model("green", version=version)
    manifest = Manifest(
        table="models",
        version=version,
        created_at="2026-01-01T00:00:00+00:00",
        files=(),
        config={},
        config_digest="",
        parents=(),
        schema_digest="",
    )
    return Challenger(
        model=model, manifest=manifest, evaluation=evaluate_tallies({}, model), history=NO_REFERENCE
    )


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("in_process", [True, False])
def test_the_decision_is_that_of_this_process(registry, tmp_path, in_process):
    """A new registry, a challenger that fails, and then the champion."""
    store, before = Store(str(tmp_path), "dev"), children()
    with prepare_gate(registry, in_process=in_process, create=True) as gate:
        match = gate.match_champion(train_model("green", version="v1"))
        assert match == ChampionMatch()
        decision = gate.start(store, match, challenger_of("v1"), dry_run=False)()
    assert (decision.decision, decision.number) == (Decision.REJECTED, 1)
    assert decision.checks[-1].name == promote.GOLDEN_SET_CHECK
    assert decision.checks[-1].passed, decision.checks[-1].message
    assert children() <= before
    registry.promote(registry.find_model("1"), expected_champion=None)
    with prepare_gate(registry, in_process=in_process, create=True) as gate:
        match = gate.match_champion(train_model("green", version="v2"))
        assert (match.registered.number, match.model.version) == (1, "v1")


@pytest.mark.parametrize("in_process", [True, False])
def test_a_dry_run_creates_no_registry(registry, tmp_path, in_process):
    with prepare_gate(registry, in_process=in_process, create=False) as gate:
        start = gate.start(Store(str(tmp_path), "dev"), ChampionMatch(), challenger_of("v1"), dry_run=True)
        assert start().decision == Decision.WOULD_REJECT
    assert not registry.exists


def test_an_error_of_the_gate_is_raised_in_the_run(registry, tmp_path):
    register(tmp_path, train_model("green", version="v1"))
    (file,) = tmp_path.rglob("model.ubj")
    file.unlink()
    with prepare_gate(registry, in_process=True, create=True) as gate:
        with pytest.raises(RegistryError, match=r"model.ubj is missing .*") as raised:
            gate.match_champion(train_model("green", version="v2"))
        assert raised.value.hint.startswith("Restore the file")


def test_a_killed_gate_is_an_error(registry, tmp_path):
    before = children()
    with prepare_gate(registry, in_process=True, create=True) as gate:
        for pid in children() - before:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(RegistryError, match="cannot run the promotion gate: its process has exited"):
            gate.match_champion(train_model("green", version="v1"))


def test_an_interrupted_run_stops_the_processes_and_leaves_no_partial_registry(registry, tmp_path):
    folder, before = tmp_path / "dev" / "_registry", children()

    def interrupt_creation():
        with prepare_gate(registry, in_process=True, create=True):
            wait_until(lambda: list(folder.glob(f"{NEW_PREFIX}*")))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt_creation()
    assert children() <= before
    assert not list(folder.glob(f"{NEW_PREFIX}*"))
    assert registry.list_models() == []
