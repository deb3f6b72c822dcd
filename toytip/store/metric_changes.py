"""Changes of the test metrics between two versions, with intervals if the trips are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from toytip.core.tables import METRIC_HISTOGRAMS
from toytip.evaluation import metrics
from toytip.evaluation.bootstrap import paired_bootstrap
from toytip.evaluation.metrics import HIGHER_IS_BETTER
from toytip.evaluation.report import Interval
from toytip.evaluation.tally import Tallies, Tally, segments_of, slice_tallies, tally_of
from toytip.store.artifacts import load_tallies
from toytip.store.store import Store


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """The difference between a metric of two versions, on test trips."""

    values: tuple[float | None, float | None]
    """Value of the metric in each version."""
    change: float | None
    """Second value minus first value. Null if one of the values is null."""
    interval: Interval | None
    """95 % interval of the change, by a paired bootstrap over days. Null if the versions have
    different test trips, if the trips are of fewer than seven days, or if the metric has no
    interval."""


MetricChanges = Mapping[str, Mapping[str, MetricChange]]


def compare_test_metrics(store: Store, versions: tuple[str, str]) -> MetricChanges:
    """Return the changes of all test metrics between two versions of predictions, by segment.

    Returns no changes if a version has no metric histograms or no test trips.
    """
    manifests = [store.get_manifest(METRIC_HISTOGRAMS.name, version) for version in versions]
    tallies = [load_tallies(store, manifest) for manifest in manifests if manifest]
    if len(tallies) < 2:
        return {}
    return {
        segment: compare_tallies(tallies[0], tallies[1], segment)
        for segment in segments_of(tallies[0])
        if all(tally_of(item, "test", segment).rows for item in tallies)
    }


def compare_tallies(first: Tallies, second: Tallies, segment: str) -> dict[str, MetricChange]:
    """Return the changes of all test metrics of a segment."""
    a, b = (asdict(metrics.compute_metrics(tally_of(item, "test", segment))) for item in (first, second))
    intervals = _change_intervals(*(_tallies_by_day(item, segment) for item in (first, second)))
    return {
        name: MetricChange(
            values=(a[name], b[name]),
            change=None if a[name] is None or b[name] is None else b[name] - a[name],
            interval=intervals.get(name),
        )
        for name in a
    }


def _tallies_by_day(tallies: Tallies, segment: str) -> dict[str, Tally]:
    by_slice = sorted(slice_tallies(tallies, "test", segment).items())
    return {value: tally for (name, value), tally in by_slice if name == "day"}


def _change_intervals(first: Mapping[str, Tally], second: Mapping[str, Tally]) -> dict[str, Interval | None]:
    """Return the intervals of the changes by metric, or no intervals for different trips."""
    counts = [
        {day: (tally.rows, int(tally.positives.sum())) for day, tally in side.items()}
        for side in (first, second)
    ]
    if counts[0] != counts[1]:
        return {}
    improvements = paired_bootstrap(list(second.values()), list(first.values()))
    return {
        name: interval
        if interval is None or HIGHER_IS_BETTER[name]
        else Interval(low=-interval.high, high=-interval.low)
        for name, interval in improvements.items()
    }
