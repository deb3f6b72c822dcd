"""Tests of the Prometheus metrics, and of the Grafana dashboard that queries them."""

import json
import types

from tests.support.grafana import GRAFANA_DIR, dashboard_queries
from tests.support.states import run_state
from toytip.dashboard.prometheus import COUNTERS, RunCollector, RunCounters
from toytip.progress.snapshot import snapshot_run
from toytip.progress.state import MonthProgress, RowCount, StageState

CONSTANT_RATE = tuple(RowCount(second, 10 * (second - 60)) for second in range(60, 101))


def test_counters_never_decrease():
    counters = RunCounters()
    months = {"2023-01": MonthProgress(2)}
    stage = StageState(
        name="infer", total=2, rows=50, done=1, started_at=80, ended_at=81, month_progress=months
    )
    first = snapshot_run(run_state(stage, rejects={"negative_tip": 3}))
    second = {
        **first,
        "stages": [{**first["stages"][0], "rows": 80, "done": 2}],
        "published": ["scores"],
        "outcome": "done",
    }
    counters.add_progress(None, first)
    counters.add_progress(first, second)
    counters.add_progress(second, first)
    assert +counters.counts["rows"] == {"infer": 80}
    assert +counters.counts["partitions"] == {"infer": 2}
    assert +counters.counts["seconds"] == {"infer": 1}
    assert +counters.counts["rejects"] == {"negative_tip": 3}
    assert +counters.counts["published"] == {"scores": 1}
    assert +counters.counts["ended"] == {"done": 1}


class FakeScheduler:
    """A scheduler with runs in these states."""

    def __init__(self, *states):
        self.totals = RunCounters()
        self.runs = {}
        for state in states:
            snapshot = json.loads(json.dumps(snapshot_run(state)))
            self.totals.add_progress(None, snapshot)
            self.runs[state.run] = types.SimpleNamespace(state=snapshot)

    def samples(self):
        collector = RunCollector()
        collector.source = self
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in collector.collect()
            for sample in family.samples
        }


def test_counters_start_at_zero():
    samples = FakeScheduler().samples()
    assert set(samples.values()) == {0}
    names = {name for name, *_ in samples}
    assert names == {f"{spec.metric}_total" for spec in COUNTERS.values()} | {
        "toytip_training_rounds_total",
        "toytip_workers_lost_total",
        "toytip_runs_active",
    }
    outcomes = {label for name, *labels in samples for label in labels if name == "toytip_runs_total"}
    assert outcomes == {"done", "failed", "stopped"}


def test_a_stage_that_waits_counts_from_zero():
    samples = FakeScheduler(run_state(StageState(name="clean", total=2))).samples()
    assert samples["toytip_rows_total", "clean"] == samples["toytip_partitions_total", "clean"] == 0


def test_the_current_rate_is_a_metric_of_the_running_stage():
    done = StageState(name="featurize", started_at=60, ended_at=70, row_counts=CONSTANT_RATE)
    running = StageState(name="infer", started_at=60, row_counts=CONSTANT_RATE)
    samples = FakeScheduler(run_state(done, running)).samples()
    rates = {name: value for name, value in samples.items() if name[0] == "toytip_run_rows_per_second"}
    assert rates == {("toytip_run_rows_per_second", "v1", "infer"): 10}


def test_partitions_are_counted_by_state():
    months = {"2023-01": MonthProgress(3, done=1, running=1), "2023-02": MonthProgress(2, done=2)}
    stage = StageState(name="infer", total=5, done=3, started_at=90, month_progress=months)
    samples = FakeScheduler(run_state(stage)).samples()
    name = "toytip_run_partitions"
    counts = {status: samples[name, "infer", status] for status in ("waiting", "running", "done")}
    assert counts == {"waiting": 1, "running": 1, "done": 3}


def test_grafana_can_read_the_dashboard():
    dashboard = json.loads((GRAFANA_DIR / "toytip.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${prometheus}"}
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {"prometheus", "job"}
    for query in dashboard_queries():
        assert query.count("(") == query.count(")")
        assert 'job=~"$job"' in query
