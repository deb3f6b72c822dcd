"""Tests of the sizes of a cluster: precedence, and the rejection of unsupported sizes."""

import os

import psutil
import pytest

from toytip.cluster import apply_cluster_definition, lifecycle
from toytip.config import Settings
from toytip.errors import ConfigError

KUBERNETES = {"kind": "kubernetes", "config_file": "m", "scheduler": "tls://127.0.0.1:8786"}
HOSTS = {"kind": "ssh", "hosts": ["10.0.0.1", "10.0.0.2"]}
EXISTING = {"kind": "existing", "scheduler": "tcp://a:1"}


def apply(flags, uses_workers=False, **definition):
    settings = Settings(clusters={"lab": definition} if definition else {}, **flags)
    return apply_cluster_definition(settings, flags, uses_workers=uses_workers)


@pytest.mark.parametrize(
    ("options", "definition", "message"),
    [
        ({"adapt": "1:3", "workers": 7}, {}, "cannot use both --workers 7 and --adapt 1:3"),
        ({"adapt": "1:4"}, HOSTS, "--adapt 1:4: a cluster of kind ssh does not support it"),
        ({"workers": 5}, HOSTS, "5 workers cannot be divided evenly over 2 hosts"),
        ({"workers": 1}, HOSTS, "1 worker cannot be divided evenly over 2 hosts"),
        ({}, {**HOSTS, "workers": 3}, "3 workers cannot be divided evenly over 2 hosts"),
        ({"adapt": "1:2"}, KUBERNETES, "--adapt 1:2: a cluster of kind kubernetes does not support it"),
        ({"memory_limit": "4GB"}, EXISTING, "kind existing does not support it"),
        ({}, {**KUBERNETES, "adapt": "1:2"}, "the kind kubernetes does not support adapt"),
        ({}, {"kind": "local", "options": {"nonsense": 3}}, "the kind local does not support options"),
        ({}, {**HOSTS, "adapt": "1:4"}, "the kind ssh does not support adapt"),
        ({}, {"kind": "slurm", "workers": 3, "adapt": "1:4"}, "workers and adapt exclude each other"),
        ({}, {"kind": "slurm", "adapt": "0:4"}, "cannot use --adapt 0:4"),
    ],
)
def test_unsupported_sizes_are_rejected(options, definition, message):
    with pytest.raises(ConfigError, match=message):
        apply({**options, **({"cluster": "lab"} if definition else {})}, **definition)


@pytest.mark.parametrize(
    ("options", "definition", "hint"),
    [
        ({"workers": 5}, HOSTS, "Set --workers to 4 or 6."),
        ({"workers": 1}, HOSTS, "Set --workers to 2."),
        ({"adapt": "1:4"}, HOSTS, "Supported size options: --workers, --threads-per-worker, --memory-limit."),
        ({"adapt": "1:2"}, KUBERNETES, "Supported size options: --workers."),
        ({"memory_limit": "4GB"}, EXISTING, "Set the sizes when you start the workers of this cluster."),
    ],
)
def test_the_hint_names_valid_sizes(options, definition, hint):
    with pytest.raises(ConfigError) as error:
        apply({**options, "cluster": "lab"}, **definition)
    assert error.value.hint == hint


def test_running_workers_keep_their_sizes(tmp_path, caplog):
    assert apply({"workers": 7, "scheduler": "tcp://10.0.0.1:8786"}, uses_workers=True).workers is None
    message = "the workers at {} are already running, so --workers 7 has no effect"
    assert message.format("tcp://10.0.0.1:8786") in caplog.text
    record = lifecycle.ClusterRecord(
        name="local",
        kind="local",
        address="tcp://127.0.0.1:1",
        dashboard_url="",
        pid=os.getpid(),
        process_started_at=psutil.Process().create_time(),
    )
    lifecycle.save_record(Settings(cluster="local", state_dir=str(tmp_path)), record)
    apply({"workers": 7, "cluster": "local", "state_dir": str(tmp_path)}, uses_workers=True)
    assert message.format("tcp://127.0.0.1:1") in caplog.text


def test_an_explicit_count_overrides_the_other_kind_of_count(monkeypatch):
    monkeypatch.setenv("TOYTIP_ADAPT", "1:3")
    settings = apply({"workers": 7})
    assert (settings.workers, settings.adapt) == (7, None)
    monkeypatch.delenv("TOYTIP_ADAPT")
    adaptive = {"kind": "local", "adapt": "1:3"}
    assert apply({"cluster": "lab"}, **adaptive).adapt == "1:3"
    assert apply({"cluster": "lab", "workers": 2}, **adaptive).adapt is None
    assert apply({"cluster": "slurm", "adapt": "1:3"}).workers is None
    slurm = Settings(cluster="slurm", clusters={"slurm": {"adapt": "2:4"}})
    assert apply_cluster_definition(slurm).workers is None


def test_other_settings_apply_to_every_cluster_that_supports_them(monkeypatch):
    monkeypatch.setenv("TOYTIP_ADAPT", "1:3")
    monkeypatch.setenv("TOYTIP_MEMORY_LIMIT", "2GB")
    settings = apply({"cluster": "lab"}, **HOSTS)
    assert (settings.adapt, settings.memory_limit) == (None, "2GB")
