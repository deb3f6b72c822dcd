"""sizes: what is asked of a cluster is obeyed, or refused in a line."""

import os

import psutil
import pytest

from toytip.cluster import apply_cluster_definition, lifecycle
from toytip.config import Settings
from toytip.errors import ConfigError

KUBERNETES = {"kind": "kubernetes", "config_file": "m", "scheduler": "tls://127.0.0.1:8786"}
HOSTS = {"kind": "ssh", "hosts": ["10.0.0.1", "10.0.0.2"]}


def of(given, using=False, **defined):
    settings = Settings(clusters={"lab": defined} if defined else {}, **given)
    return apply_cluster_definition(settings, given, using=using)


@pytest.mark.parametrize(
    ("given", "defined", "said"),
    [
        ({"adapt": "1:3", "workers": 7}, {}, "--workers 7 and --adapt 1:3: only one of them"),
        ({"adapt": "1:4"}, HOSTS, "--adapt 1:4: a cluster of kind ssh takes --workers, --threads-per-worker"),
        ({"workers": 5}, HOSTS, "5 workers on 2 hosts: each has as many; make it 4 or 6"),
        ({"workers": 1}, HOSTS, "1 workers on 2 hosts: each has as many; make it 2"),
        ({}, {**HOSTS, "workers": 3}, "3 workers on 2 hosts"),
        ({"adapt": "1:2"}, KUBERNETES, "--adapt 1:2: a cluster of kind kubernetes takes --workers"),
        ({"memory_limit": "4GB"}, {"kind": "existing", "scheduler": "tcp://a:1"}, "kind existing takes no sizes"),
        ({}, {**KUBERNETES, "adapt": "1:2"}, "adapt: a cluster of kind kubernetes takes workers"),
        ({}, {"kind": "local", "options": {"nonsense": 3}}, "options: a cluster of kind local takes workers"),
        ({}, {**HOSTS, "adapt": "1:4"}, "adapt: a cluster of kind ssh takes"),
        ({}, {"kind": "slurm", "workers": 3, "adapt": "1:4"}, "workers and adapt: only one of them"),
        ({}, {"kind": "slurm", "adapt": "0:4"}, "write it as MIN:MAX"),
    ],
)  # fmt: skip
def test_what_would_not_be_obeyed(given, defined, said):
    with pytest.raises(ConfigError, match=said):
        of({**given, **({"cluster": "lab"} if defined else {})}, **defined)


def test_workers_that_are_there_have_sizes_of_their_own(tmp_path, caplog):
    assert of({"workers": 7, "scheduler": "tcp://10.0.0.1:8786"}, using=True).workers is None
    said = "--workers 7 is not used: the workers at {} are there already"
    assert said.format("tcp://10.0.0.1:8786") in caplog.text
    up = Settings(cluster="local", state_dir=str(tmp_path))

    lifecycle.save_record(up, lifecycle.ClusterRecord(
        name="local", kind="local", address="tcp://127.0.0.1:1", dashboard="", pid=os.getpid(),
        started=psutil.Process().create_time(),
    ))  # fmt: skip
    of({"workers": 7, "cluster": "local", "state_dir": str(tmp_path)}, using=True)
    assert said.format("tcp://127.0.0.1:1") in caplog.text


def test_a_count_goes_before_the_other_kind_of_count(monkeypatch):
    monkeypatch.setenv("TOYTIP_ADAPT", "1:3")
    assert (found := of({"workers": 7})).workers == 7
    assert found.adapt is None
    monkeypatch.delenv("TOYTIP_ADAPT")
    elastic = {"kind": "local", "adapt": "1:3"}
    assert of({"cluster": "lab"}, **elastic).adapt == "1:3"
    assert of({"cluster": "lab", "workers": 2}, **elastic).adapt is None
    assert of({"cluster": "slurm", "adapt": "1:3"}).workers is None
    assert (
        apply_cluster_definition(Settings(cluster="slurm", clusters={"slurm": {"adapt": "2:4"}})).workers
        is None
    )


def test_what_stands_elsewhere_is_for_every_cluster_that_takes_it(monkeypatch):
    monkeypatch.setenv("TOYTIP_ADAPT", "1:3")
    monkeypatch.setenv("TOYTIP_MEMORY_LIMIT", "2GB")
    found = of({"cluster": "lab"}, **HOSTS)
    assert (found.adapt, found.memory_limit) == (None, "2GB")
