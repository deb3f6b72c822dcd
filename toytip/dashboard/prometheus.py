"""figures: what Prometheus scrapes of runs, beside Dask's own figures, from the scheduler's `/metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol, get_args

import prometheus_client as prom
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from toytip.core.tables import TABLES
from toytip.progress.state import RunOutcome
from toytip.stages.clean import REJECT_REASONS

# Counters by their label, and what they say. Prometheus' convention ends their names in `_total`.
COUNTERS = {
    "rows": ("toytip_rows", "stage", "Rows that stages have made."),
    "parts": ("toytip_parts", "stage", "Parts that stages have made or taken over."),
    "retried": ("toytip_parts_retried", "stage", "Parts that were begun again, as their worker was lost."),
    "seconds": ("toytip_stage_seconds", "stage", "Seconds that stages have taken."),
    "rejects": ("toytip_rejected_rows", "reason", "Rows that cleaning has rejected."),
    "published": ("toytip_versions_published", "table", "Versions that were published."),
    "ended": ("toytip_runs", "outcome", "Runs that have ended."),
}
# What is counted from zero on, before any of it: else a panel has no data, and misses the first of each.
PARTITION_STAGES = ("featurize", "preprocess", "tune", "infer")
LABEL_VALUES: dict[str, tuple[str, ...]] = {
    "rows": PARTITION_STAGES,
    "parts": PARTITION_STAGES,
    "retried": PARTITION_STAGES,
    "seconds": (*PARTITION_STAGES, "train"),
    "rejects": REJECT_REASONS,
    "published": tuple(table.name for table in TABLES),
    "ended": tuple(outcome for outcome in get_args(RunOutcome) if outcome != "running"),
}
PARTITION_STATUSES = ("waiting", "running", "done")


class RunCounters:
    """What all runs of a scheduler add up to: counters only ever grow."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {
            name: Counter(dict.fromkeys(LABEL_VALUES[name], 0)) for name in COUNTERS
        }
        self.rounds = self.lost_workers = 0

    def increment(self, name: str, label: str, amount: float) -> None:
        """Add to a counter; what is less than before adds nothing."""
        self.counts[name][label] += max(amount, 0)  # type: ignore[assignment]

    def add_progress(self, previous: dict[str, Any], current: dict[str, Any]) -> None:
        """Add what a run has done since it was last heard of."""
        then, now = _count_state(previous), _count_state(current)
        for (name, label), value in now.items():
            self.increment(name, label, value - then.get((name, label), 0))
        self.rounds += max(_count_rounds(current) - _count_rounds(previous), 0)


def _count_state(state: dict[str, Any]) -> dict[tuple[str, str], float]:
    found: Counter[tuple[str, str]] = Counter()
    for stage in state.get("stages", ()):
        word = stage["name"].split()[0]
        parted = stage["unit"] == "parts"
        if parted or stage["rows"]:
            found["rows", word] += stage["rows"]
        if parted:
            found["parts", word] += stage["done"]
        found["seconds", word] += stage["seconds"]
    for reason, count in state.get("rejects", {}).items():
        found["rejects", reason] += count
    for table in state.get("published", ()):
        found["published", table] += 1
    if state.get("outcome", "running") != "running":
        found["ended", state["outcome"]] += 1
    return dict(found)


def _count_rounds(state: dict[str, Any]) -> int:
    return sum(stage["done"] for stage in state.get("stages", ()) if stage["unit"] == "rounds")


class RunSource(Protocol):
    """What the figures are of."""

    runs: dict[str, Any]
    totals: RunCounters


class RunCollector:
    """Yields the figures of a scheduler's runs whenever they are scraped."""

    def __init__(self) -> None:
        self.source: RunSource | None = None

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: what there is, is known when it is asked for."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        if self.source is None:
            return
        totals, running = self.source.totals, _running_states(self.source)
        for name, (metric, label, help_) in COUNTERS.items():
            family = CounterMetricFamily(metric, help_, labels=[label])
            for value, count in sorted(totals.counts[name].items()):
                family.add_metric([value], count)
            yield family
        yield CounterMetricFamily("toytip_training_rounds", "Rounds of training.", value=totals.rounds)
        yield CounterMetricFamily(
            "toytip_workers_lost", "Workers that went unbidden.", value=totals.lost_workers
        )
        yield GaugeMetricFamily("toytip_runs_running", "Runs under way.", value=len(running))
        yield from _run_metrics(running)


def _running_states(source: RunSource) -> list[dict[str, Any]]:
    states = [run.state for run in list(source.runs.values())]
    return [state for state in states if state["outcome"] == "running"]


def _run_metrics(running: list[dict[str, Any]]) -> Iterator[Metric]:
    parts = GaugeMetricFamily(
        "toytip_run_parts", "Parts of the runs under way.", labels=["stage", "standing"]
    )
    losses = GaugeMetricFamily(
        "toytip_run_log_loss", "Log loss after the last round.", labels=["run", "split"]
    )
    left = GaugeMetricFamily("toytip_run_left_seconds", "Seconds that are left, about.", labels=["run"])
    fresh = GaugeMetricFamily(
        "toytip_run_rows_per_second", "Rows a second over the last seconds.", labels=["run", "stage"]
    )
    counts: Counter[tuple[str, str]] = Counter()
    for state in running:
        for stage in state["stages"]:
            counts.update(_count_statuses(stage))
            if stage["rate_now"] is not None:
                fresh.add_metric([state["run"], stage["name"]], stage["rate_now"])
        for split, place in (("train", 1), ("validation", 2)):
            known = [point[place] for point in state["curve"] if point[place] is not None]
            if known:
                losses.add_metric([state["run"], split], known[-1])
        if state["left"] is not None:
            left.add_metric([state["run"]], state["left"])
    for (stage, standing), count in sorted(counts.items()):
        parts.add_metric([stage, standing], count)
    yield from (parts, losses, left, fresh)


def _count_statuses(stage: dict[str, Any]) -> dict[tuple[str, str], int]:
    if not stage["cells"]:
        return {}
    cells = [cell[1:] for cell in stage["cells"].values()]
    total, done, running = (sum(cell[place] for cell in cells) for place in (0, 1, 3))
    running = min(running, total - done)
    counts = zip(PARTITION_STATUSES, (total - done - running, running, done), strict=True)
    return {(stage["name"].split()[0], standing): count for standing, count in counts}


_COLLECTOR = RunCollector()


def register(source: RunSource) -> None:
    """Have the process' figures be of this scheduler: a process has one registry, however many schedulers it has had."""
    if _COLLECTOR.source is None:
        prom.REGISTRY.register(_COLLECTOR)
    _COLLECTOR.source = source
