"""Tests of cluster definitions: precedence, errors, and missing packages."""

import sys
from pathlib import Path

import pytest

import toytip
from tests.support.runs import parse_summary
from toytip.cluster import apply_cluster_definition
from toytip.cluster.definitions import ClusterDefinition, load_definition
from toytip.cluster.deploy import deploy_cluster
from toytip.config import Settings
from toytip.errors import ClusterError, ConfigError

ROOT = Path(__file__).parents[2]
LAB = '[clusters.lab]\nkind = "ssh"\nhosts = ["10.0.0.1"]\nworkers = 8\n'


def load_settings(folder, monkeypatch, text="", **flags):
    monkeypatch.chdir(folder)
    (folder / "toytip.toml").write_text(text)
    return apply_cluster_definition(Settings.load(**flags))


@pytest.mark.parametrize(
    ("text", "env", "flag", "workers"),
    [
        ("", None, None, 4),
        ("[clusters.slurm]\nworkers = 5", None, None, 5),
        ("workers = 6\n[clusters.slurm]\nworkers = 5", None, None, 6),
        ("workers = 6\n[clusters.slurm]\nworkers = 5", "7", None, 7),
        ("workers = 6\n[clusters.slurm]\nworkers = 5", "7", 8, 8),
    ],
)
def test_precedence(text, env, flag, workers, tmp_path, monkeypatch):
    if env:
        monkeypatch.setenv("TOYTIP_WORKERS", env)
    settings = load_settings(tmp_path, monkeypatch, text, cluster="slurm", workers=flag)
    assert settings.workers == workers
    assert load_definition(settings).kind == "slurm"


def test_the_packaged_file_is_the_documented_one():
    packaged = Path(toytip.__file__).parent / "cluster" / "clusters.toml"
    assert (ROOT / "cluster" / "clusters.toml").read_text() == packaged.read_text()


def test_a_user_defined_cluster(tmp_path, monkeypatch):
    settings = load_settings(tmp_path, monkeypatch, LAB, cluster="lab")
    assert (load_definition(settings).hosts, settings.workers) == (("10.0.0.1",), 8)


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        (LAB, {"cluster": "lap"}, "defined: compose, existing, kubernetes, lab, local, slurm, ssh"),
        (LAB + "host = 1", {"cluster": "lab"}, "cluster lab: host: extra inputs"),
        ('[clusters.lab]\nkind = "ssh"', {"cluster": "lab"}, "needs the key hosts"),
        ('[clusters.lab]\nkind = "ssh"\nworkers = 0', {"cluster": "lab"}, "cluster lab: workers"),
        (LAB, {"cluster": "lab", "scheduler": "tcp://10.0.0.1:8786"}, "cannot use both"),
    ],
)
def test_invalid_definitions(text, flags, message, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=message):
        load_settings(tmp_path, monkeypatch, text, **flags)


def test_a_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(ClusterError, match="asyncssh is not installed") as error:
        deploy_cluster(Settings(cluster="ssh"), ClusterDefinition(kind="ssh", hosts=("a",)))
    assert "pip install 'toytip[ssh]'" in error.value.hint


def test_the_list_of_clusters_has_their_kinds_and_files(tmp_path, invoke_cli, monkeypatch):
    monkeypatch.setenv("TOYTIP_STATE_DIR", str(tmp_path / "state"))
    definition = """[clusters.lab]
kind = "existing"
scheduler = "tcp://10.0.0.1:8786"
"""
    (tmp_path / "toytip.toml").write_text(definition)
    listed = parse_summary(invoke_cli("cluster", "list", "--json"))["clusters"]
    clusters = {item["cluster"]: item for item in listed}
    assert sorted(clusters) == ["compose", "existing", "kubernetes", "lab", "local", "slurm", "ssh"]
    assert clusters["lab"] == {
        "cluster": "lab",
        "kind": "existing",
        "file": "toytip.toml",
        "workers": None,
        "address": "tcp://10.0.0.1:8786",
    }
    assert (clusters["slurm"]["file"], clusters["slurm"]["workers"]) == ("clusters.toml", 4)
    assert clusters["local"]["address"] is None
    lines = invoke_cli("cluster", "list").stdout.splitlines()
    assert lines[0].split() == ["cluster", "kind", "defined", "in", "workers", "scheduler"]
    assert ["lab", "existing", "toytip.toml", "-", "tcp://10.0.0.1:8786"] in map(str.split, lines)
