"""Tests of the run dashboard during a run on a shared cluster: page, data and metrics."""

import contextlib
import dataclasses
import io
import json
import os
import re
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

import distributed
import pytest
from distributed.protocol.pickle import dumps
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from tests.support.grafana import GRAFANA_DIR, dashboard_queries
from tests.support.states import run_state
from toytip.config import Settings
from toytip.dashboard import reporter
from toytip.dashboard.plugin import DISCONNECTED_ERROR, DashboardPlugin
from toytip.errors import SourceError
from toytip.pipeline.run import run
from toytip.progress.snapshot import snapshot_run
from toytip.progress.state import MonthProgress, StageState
from toytip.progress.tracker import Progress
from toytip.store import timings
from toytip.store.store import Store


def address_of(client):
    return client.dashboard_link.removesuffix("/status")


def get(address, path):
    with urllib.request.urlopen(address + path, timeout=20) as response:  # noqa: S310 - a local address
        return response.headers, response.read().decode()


def get_state(client):
    return json.loads(get(address_of(client), "/toytip/state.json")[1])


class Watcher(threading.Thread):
    """Requests the state and the metrics during a run, as the page and Prometheus do."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.ended = address, threading.Event()
        self.states, self.metrics = [], []

    def run(self):
        while not self.ended.wait(0.1):
            with contextlib.suppress(urllib.error.HTTPError):  # the page exists from the first run on
                self.states.append(json.loads(get(self.address, "/toytip/state.json")[1]))
                self.metrics.append(get(self.address, "/metrics")[1])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(20)


@pytest.fixture(scope="module")
def watched(client, synthetic, tmp_path_factory):
    """A run on the shared cluster, and the responses during it."""
    store = tmp_path_factory.mktemp("live")
    settings = Settings.load(
        scheduler=client.scheduler.address,
        source=str(synthetic),
        store=str(store),
        rounds=12,
        max_depth=4,
        partition_rows=1_000,
        version_id="vlive",
    )
    progress = Progress("none")
    with Watcher(address_of(client)) as watcher:
        result = run(settings, progress)
    get_state(client)
    return result, watcher, progress, store


def states_of(watcher, name):
    return [run for state in watcher.states for run in state["runs"] if run["run"] == name]


def test_the_page_follows_a_run(watched):
    _, watcher, _, _ = watched
    states = states_of(watcher, "vlive")
    assert states[0]["outcome"] == "running"
    assert states[-1]["outcome"] == "done"
    first = next(run for run in states if run["stages"])
    assert {"featurize", "train", "infer"} <= {stage["name"] for stage in first["stages"]}
    last = {stage["name"]: stage for stage in states[-1]["stages"]}
    assert all(month[0] == "done" for month in last["infer"]["months"].values())
    assert all(stage["status"] == "done" for stage in last.values())
    done = [sum(month[2] for stage in run["stages"] for month in stage["months"].values()) for run in states]
    assert done == sorted(done)


def test_the_page_and_the_result_of_the_run_agree(watched, client):
    result, _, progress, _ = watched
    state = get_state(client)
    (last,) = [run for run in state["runs"] if run["run"] == "vlive"]
    stages = {stage["name"]: stage for stage in last["stages"]}
    assert stages["featurize"]["rows"] == result.rows.kept
    assert last["rejects"] == result.rejects
    assert [point[0] for point in last["curve"]] == list(range(1, 13))
    assert all(validation < 0.7 and (train is None or train < 0.7) for _, train, validation in last["curve"])
    assert last["curve"][0][2] > last["curve"][-1][2]
    assert set(last["published"]) == set(result.tables)
    memory = {worker["memory_limit_bytes"] > worker["memory_bytes"] > 0 for worker in state["workers"]}
    assert memory == {True}
    assert result.links.live_dashboard_url == f"{address_of(client)}/toytip"
    assert list(result.warnings) == progress.warnings


def test_the_training_loss_is_about_that_of_all_training_rows(watched):
    """The loss is that of a sample of the first rank's rows, so it only agrees approximately."""
    result, _, progress, _ = watched
    point = progress.state().curve[-2]
    assert point.train == pytest.approx(result.metrics["train"]["all"].log_loss, abs=0.06)


def test_manifests_record_the_duration_of_their_stage(watched):
    *_, store = watched
    manifests = Store(str(store), "dev").list_manifests()
    recorded = {manifest.table: manifest.duration for manifest in manifests}
    assert {table: timing.stage for table, timing in recorded.items() if timing} == {
        "features": "featurize",
        "feature_histograms": "featurize",
        "rejects": "featurize",
        "encodings": "preprocess",
        "models": "train",
        "predictions": "infer",
        "metric_histograms": "infer",
    }
    assert recorded["models"].work == 12 * recorded["encodings"].work
    assert [timing.stage for timing in timings.stage_timings(manifests)] == [
        "featurize",
        "preprocess",
        "train",
        "infer",
    ]


def test_a_run_that_reuses_everything_displays_so(watched, client, synthetic):
    *_, store = watched
    settings = Settings.load(
        scheduler=client.scheduler.address,
        source=str(synthetic),
        store=str(store),
        rounds=12,
        max_depth=4,
        partition_rows=1_000,
        version_id="vagain",
    )
    run(settings, Progress("none"))
    state = get_state(client)
    assert [run["run"] for run in state["runs"]][:2] == ["vagain", "vlive"]
    stages = {stage["name"]: stage for stage in state["runs"][0]["stages"]}
    months = stages["featurize"]["months"].values()
    assert {month[3] for month in months} == {month[1] for month in months}
    assert stages["train"]["status"] == stages["tune"]["status"] == "skipped"
    assert stages["train"]["note"] == "vlive is reused"


@pytest.fixture
def damaged_source(synthetic, tmp_path):
    """A source with one damaged file, which fails when a worker reads it."""
    source = shutil.copytree(synthetic, tmp_path / "damaged")
    file = source / "yellow_tripdata_2020-02.parquet"
    content = bytearray(file.read_bytes())
    content[4:2_000] = b"\xff" * 1_996
    file.write_bytes(content)
    return source


def test_a_failed_run_displays_its_error(watched, client, damaged_source, tmp_path):
    settings = Settings.load(
        scheduler=client.scheduler.address,
        source=str(damaged_source),
        store=str(tmp_path / "store"),
        version_id="vfails",
    )
    with pytest.raises(SourceError, match="2020-02") as error:
        run(settings, Progress("none"))
    failed = {run["run"]: run for run in get_state(client)["runs"]}["vfails"]
    assert (failed["outcome"], failed["error"]) == ("failed", str(error.value))


def test_a_run_fails_when_its_client_disconnects(watched, client):
    lost = distributed.Client(client.scheduler.address)
    stage = StageState(name="infer", total=2, started_at=90, month_progress={"2023-01": MonthProgress(2)})
    update_run(lost, dataclasses.replace(run_state(stage), run="vlost"))
    lost.close()
    failed = {run["run"]: run for run in get_state(client)["runs"]}["vlost"]
    assert (failed["outcome"], failed["error"]) == ("failed", DISCONNECTED_ERROR)
    assert failed["ended_at"] == failed["now"]


def test_the_page_loads_nothing_from_other_hosts(watched, client):
    for path, kind in (("", "html"), ("/page.js", "javascript"), ("/page.css", "css")):
        headers, text = get(address_of(client), f"/toytip{path}")
        assert kind in headers["Content-Type"]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "innerHTML" not in text


def test_only_the_name_of_the_plugin_is_sent_to_the_scheduler():
    sent = dumps(DashboardPlugin())
    assert b"toytip.dashboard.plugin" in sent
    assert len(sent) < 100


def test_dasks_pages_link_to_the_run_dashboard(watched, client):
    assert '<a href="toytip">Toytip</a>' in get(address_of(client), "/status")[1]


def sample_names(text):
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_the_metrics_and_the_result_of_the_run_agree(watched, client):
    result, _, _, _ = watched
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(get(address_of(client), "/metrics")[1])
        for sample in family.samples
    }
    assert samples["toytip_rows_total", "featurize"] >= result.rows.kept
    for reason, count in result.rejects.items():
        assert samples["toytip_rejected_rows_total", reason] >= count
    assert samples["toytip_training_rounds_total",] >= 12
    assert samples["toytip_versions_published_total", "predictions"] >= 1
    assert samples["toytip_runs_total", "done"] >= 1
    assert ("toytip_workers_lost_total",) in samples
    assert samples["toytip_runs_active",] == 0


def test_every_query_of_the_grafana_dashboard_names_an_existing_metric(watched):
    _, watcher, _, _ = watched
    existing = set().union(*map(sample_names, watcher.metrics))
    # These two have samples only with earlier timings and during a stage that takes a while.
    # Their families always exist.
    existing |= {"toytip_run_remaining_seconds", "toytip_run_rows_per_second"} & {
        f"{family.name}_total" if family.type == "counter" else family.name
        for text in watcher.metrics
        for family in text_string_to_metric_families(text)
    }
    queried = {name for query in dashboard_queries() for name in re.findall(r"\b(?:toytip|dask)_\w+", query)}
    assert queried <= existing, queried - existing
    ours = {name for name in existing if name.startswith("toytip_")}
    assert ours <= queried, "the dashboard displays all metrics"
    table = (GRAFANA_DIR / "README.md").read_text()
    assert ours == set(re.findall(r"^\| `(toytip_\w+)`", table, re.MULTILINE))


def test_a_scheduler_that_rejects_the_plugin_is_reported_on_one_line(client):
    closed = distributed.Client(client.scheduler.address)
    closed.close()
    out = io.StringIO()
    progress = Progress("plain", Console(file=out))
    with reporter.report_state(closed, Settings.load(), progress):
        pass
    assert re.fullmatch(r"no run dashboard: the scheduler rejected its plugin \(.+\)\n", out.getvalue())
    assert progress.state().outcome == "done"


def die_once(file):
    if not Path(file).exists():
        Path(file).touch()
        os._exit(1)
    return "survived"


def update_run(client, state, tasks_by_stage=None):
    return client.sync(
        client.scheduler.toytip_update_run,
        state=snapshot_run(state),
        tasks_by_stage=tasks_by_stage or {},
        client=client.id,
    )


def test_a_partition_whose_worker_dies_is_retried(watched, client, tmp_path):
    tasks = {"infer": {"part-1": "2023-01", "part-2": "2023-01"}}
    state = run_state(StageState(name="infer", total=2, month_progress={"2023-01": MonthProgress(2)}))
    assert update_run(client, state, tasks)["task_counts"] == {"infer": {"2023-01": (0, 0)}}
    lost_workers = get_state(client)["lost_workers"]
    future = client.submit(die_once, str(tmp_path / "died"), key="part-1", pure=False)
    assert future.result(timeout=60) == "survived"
    assert update_run(client, state, tasks)["task_counts"] == {"infer": {"2023-01": (0, 1)}}
    assert get_state(client)["lost_workers"] == lost_workers + 1
    metrics = get(address_of(client), "/metrics")[1]
    assert 'toytip_partitions_retried_total{stage="infer"} 1.0' in metrics
    update_run(client, dataclasses.replace(state, outcome="done", ended_at=100), tasks)
    client.wait_for_workers(2, timeout=60)


def test_the_metrics_are_those_of_the_scheduler_with_the_latest_update(client):
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as other,
    ):
        reporter.install_plugin(other)
        active = dataclasses.replace(run_state(), run="vactive")
        update_run(client, active)
        assert "toytip_runs_active 1.0" in get(address_of(client), "/metrics")[1]
        update_run(client, dataclasses.replace(active, outcome="done", ended_at=100))
        assert "toytip_runs_active 0.0" in get(address_of(client), "/metrics")[1]


def test_the_dashboard_can_be_disabled(client, damaged_source, tmp_path, capfd):
    settings = Settings.load(
        scheduler=client.scheduler.address,
        source=str(damaged_source),
        store=str(tmp_path / "store"),
        live_dashboard=False,
        version_id="vdark",
    )
    with pytest.raises(SourceError, match="2020-02"):
        run(settings, Progress("plain"))
    output = capfd.readouterr().err
    assert "version vdark" in output
    assert "run dashboard" not in output
