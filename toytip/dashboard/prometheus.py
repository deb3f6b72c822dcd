"""Prometheus metrics of runs. The scheduler serves them at `/metrics`, next to Dask's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol, get_args

import prometheus_client as prom
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from toytip.core.tables import TABLES
from toytip.datasets.registry import REJECT_REASONS
from toytip.progress.snapshot import MonthSnapshot, RunSnapshot, StageSnapshot
from toytip.progress.state import CurvePoint, RunOutcome


class CounterSpec(NamedTuple):
    """A counter with one label. Prometheus adds the suffix `_total` to its name."""

    metric: str
    label: str
    help: str


COUNTERS = {
    "rows": CounterSpec("toytip_rows", "stage", "Number of rows that stages produced."),
    "partitions": CounterSpec(
        "toytip_partitions", "stage", "Number of partitions that stages computed or reused."
    ),
    "retried": CounterSpec(
        "toytip_partitions_retried",
        "stage",
        "Number of partitions that were retried because their worker was lost.",
    ),
    "seconds": CounterSpec("toytip_stage_seconds", "stage", "Duration of stages in seconds."),
    "rejects": CounterSpec("toytip_rejected_rows", "reason", "Number of rows that cleaning rejected."),
    "published": CounterSpec("toytip_versions_published", "table", "Number of published versions."),
    "ended": CounterSpec("toytip_runs", "outcome", "Number of finished runs."),
}
# Each counter starts at zero for these label values, before the first event. Without
# zeros, a Grafana panel would have no data, and `increase` would miss the first event of each label
# value.
PARTITION_STAGES = ("featurize", "preprocess", "tune", "infer")
LABEL_VALUES: dict[str, tuple[str, ...]] = {
    "rows": PARTITION_STAGES,
    "partitions": PARTITION_STAGES,
    "retried": PARTITION_STAGES,
    "seconds": (*PARTITION_STAGES, "train"),
    "rejects": REJECT_REASONS,
    "published": tuple(table.name for table in TABLES),
    "ended": tuple(outcome for outcome in get_args(RunOutcome) if outcome != "running"),
}


class RunCounters:
    """The totals of all runs of a scheduler. Counters never decrease."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {
            name: Counter(dict.fromkeys(LABEL_VALUES[name], 0)) for name in COUNTERS
        }
        self.rounds = self.lost_workers = 0

    def increment(self, name: str, label: str, amount: float) -> None:
        """Add an amount to a counter. Negative amounts are ignored."""
        self.counts[name][label] += max(amount, 0)  # type: ignore[assignment]

    def add_progress(self, previous: RunSnapshot | None, current: RunSnapshot) -> None:
        """Add the difference between the previous and the current state of a run.

        If there is no previous state, add the current state.
        """
        counts_before = _count_state(previous) if previous else Counter()
        for (name, label), value in _count_state(current).items():
            self.increment(name, label, value - counts_before.get((name, label), 0))
        rounds_before = _count_rounds(previous) if previous else 0
        self.rounds += max(_count_rounds(current) - rounds_before, 0)


def _count_state(state: RunSnapshot) -> Counter[tuple[str, str]]:
    """Return the counts in the state of a run, by counter and label value."""
    counts: Counter[tuple[str, str]] = Counter()
    for stage in state["stages"]:
        label = _stage_label(stage)
        has_partitions = stage["unit"] == "partitions"
        if has_partitions or stage["rows"]:
            counts["rows", label] += stage["rows"]
        if has_partitions:
            counts["partitions", label] += stage["done"]
        counts["seconds", label] += stage["elapsed_seconds"]  # type: ignore[assignment]
    for reason, count in state["rejects"].items():
        counts["rejects", reason] += count
    for table in state["published"]:
        counts["published", table] += 1
    if state["outcome"] != "running":
        counts["ended", state["outcome"]] += 1
    return counts


def _stage_label(stage: StageSnapshot) -> str:
    """Return the first word of a stage's name. A month or a fold may follow this word."""
    return stage["name"].split()[0]


def _count_rounds(state: RunSnapshot) -> int:
    return sum(stage["done"] for stage in state["stages"] if stage["unit"] == "rounds")


class RunWithState(Protocol):
    """A run with its latest state."""

    @property
    def state(self) -> RunSnapshot:
        """The latest state."""


class RunSource(Protocol):
    """The runs of a scheduler, and their totals."""

    @property
    def runs(self) -> Mapping[str, RunWithState]:
        """The runs by name."""

    @property
    def totals(self) -> RunCounters:
        """The totals of all runs."""


class RunCollector:
    """A Prometheus collector that yields the metrics of a scheduler's runs on each scrape."""

    def __init__(self) -> None:
        self.source: RunSource | None = None

    def describe(self) -> Iterator[Metric]:
        """Yield nothing, because the metrics exist only when they are collected."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        if self.source is None:
            return
        totals, active = self.source.totals, _active_states(self.source)
        for name, spec in COUNTERS.items():
            family = CounterMetricFamily(spec.metric, spec.help, labels=[spec.label])
            for value, count in sorted(totals.counts[name].items()):
                family.add_metric([value], count)
            yield family
        yield CounterMetricFamily("toytip_training_rounds", "Number of training rounds.", value=totals.rounds)
        yield CounterMetricFamily(
            "toytip_workers_lost", "Number of workers that were lost unexpectedly.", value=totals.lost_workers
        )
        yield GaugeMetricFamily("toytip_runs_active", "Number of active runs.", value=len(active))
        yield from (_partition_counts(active), _log_losses(active), _remaining(active), _rates(active))


def _active_states(source: RunSource) -> list[RunSnapshot]:
    states = [run.state for run in list(source.runs.values())]
    return [state for state in states if state["outcome"] == "running"]


def _partition_counts(active: list[RunSnapshot]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "toytip_run_partitions", "Number of partitions of active runs.", labels=["stage", "state"]
    )
    counts: Counter[tuple[str, str]] = Counter()
    for state in active:
        for stage in state["stages"]:
            counts.update(_count_by_status(stage))
    for (stage_label, status), count in sorted(counts.items()):
        family.add_metric([stage_label, status], count)
    return family


def _count_by_status(stage: StageSnapshot) -> dict[tuple[str, str], int]:
    if not stage["months"]:
        return {}
    # JSON and msgpack turn named tuples into lists.
    months = [MonthSnapshot(*values) for values in stage["months"].values()]
    total, done = sum(month.partitions for month in months), sum(month.done for month in months)
    running = min(sum(month.running for month in months), total - done)
    counts = {"waiting": total - done - running, "running": running, "done": done}
    return {(_stage_label(stage), status): count for status, count in counts.items()}


def _log_losses(active: list[RunSnapshot]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "toytip_run_log_loss",
        "Log loss after the latest training round of an active run.",
        labels=["run", "split"],
    )
    for state in active:
        points = [CurvePoint(*values) for values in state["curve"]]
        losses = {
            "train": [point.train for point in points if point.train is not None],
            "validation": [point.validation for point in points if point.validation is not None],
        }
        for split, values in losses.items():
            if values:
                family.add_metric([state["run"], split], values[-1])
    return family


def _remaining(active: list[RunSnapshot]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "toytip_run_remaining_seconds",
        "Estimated remaining time of an active run in seconds.",
        labels=["run"],
    )
    for state in active:
        if state["remaining_seconds"] is not None:
            family.add_metric([state["run"]], state["remaining_seconds"])
    return family


def _rates(active: list[RunSnapshot]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "toytip_run_rows_per_second", "Rows per second over the last ten seconds.", labels=["run", "stage"]
    )
    for state in active:
        for stage in state["stages"]:
            if stage["current_rows_per_second"] is not None:
                family.add_metric([state["run"], stage["name"]], stage["current_rows_per_second"])
    return family


_COLLECTOR = RunCollector()


def register(source: RunSource) -> None:
    """Make a scheduler the source of the metrics of this process.

    A process has one metrics registry, even if it has several schedulers. The source is the
    scheduler of the latest run.
    """
    if _COLLECTOR.source is None:
        prom.REGISTRY.register(_COLLECTOR)
    _COLLECTOR.source = source
