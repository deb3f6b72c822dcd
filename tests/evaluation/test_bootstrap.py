"""Intervals of metrics by a bootstrap of days."""

from tests.support.scored_trips import scored_trips, tallies_of
from toytip.evaluation.bootstrap import INTERVAL_METRICS, bootstrap_intervals
from toytip.evaluation.metrics import compute_metrics
from toytip.evaluation.tally import daily_tallies, tally_of


def test_intervals_contain_the_metric():
    """About 95 % of the intervals of many samples of days contain the metric of all trips."""
    tallies = tallies_of(*scored_trips(60_000))
    days = daily_tallies(tallies, "train", "all")
    intervals = bootstrap_intervals(days)
    values = compute_metrics(tally_of(tallies, "train", "all"))
    assert set(INTERVAL_METRICS) == {
        "auc",
        "pr_auc",
        "log_loss",
        "brier",
        "f1",
        "precision",
        "recall",
        "prevalence",
    }
    for name in INTERVAL_METRICS:
        low, high = intervals[name]
        assert low < high
        assert low - 2e-3 <= getattr(values, name) <= high + 2e-3, name
    fewer_trips = bootstrap_intervals(daily_tallies(tallies_of(*scored_trips(2_000)), "train", "all"))
    width = intervals["auc"].high - intervals["auc"].low
    assert fewer_trips["auc"].high - fewer_trips["auc"].low > 3 * width
    assert set(bootstrap_intervals(days[:3]).values()) == {None}
