"""facts: what a report tells, as plain values; and the numbers of its pictures, from counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from toytip.stages.drift import CATEGORIES, Histogram
from toytip.tally import Tally

# Points of a curve that a picture shows: more than it has pixels would be waste.
POINTS = 160
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Of fewer trips, a share is chance.
FEWEST = 50
# Values of a category that are shown by name.
NAMED = 4
BARS = 32
# With fewer trips of the sample, what a value of a category contributes is not told, where others have more.
HANDFUL = 5

Floats = npt.NDArray[np.float64]
Line = tuple[list[float], list[float]]


class MonthRows(NamedTuple):
    """Trips of a month: read, kept, and rejected by reason."""

    read: int
    kept: int
    rejects: dict[str, int]


class Spread(NamedTuple):
    """A feature month by month: quantiles of an amount, or shares of a category's values; and the share that lacks it.

    `ends` are the least and the largest amount of all months.
    """

    name: str
    quantiles: list[list[float]]
    shares: dict[str, list[float]]
    missing: list[float]
    ends: tuple[float, float] | None = None


class Leaning(NamedTuple):
    """How the model leans on a feature.

    `gain` is its share of the gain of all splits, `shap` the mean size of its contribution to the log-odds, `strip` the mean
    contribution in even groups of its values, from the smallest, with the first and last value of each group; those of trips
    that lack it, or have a value that training never saw, come last, as NaN. Of a category, every value is a group, and the
    lowest mean comes first.
    """

    name: str
    gain: float
    shap: float | None
    strip: list[tuple[float, float, float]]

    @property
    def category(self) -> bool:
        """Whether its values are names, in no order."""
        return self.name in CATEGORIES


class Zone(NamedTuple):
    """A pickup zone: trips kept, of them by card; card trips of the training months, and the share of high tips there."""

    number: int
    name: str
    borough: str
    trips: int
    card: int
    learned: int | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is told of a version. What is not there is None or empty, and `missing` says why, by section.

    `failed` are the sections of these that should be there, and could not be read or told.

    `beyond` are the readings of monitoring that are beyond their bounds. `histograms` are of all trips and months; `spreads` of the trips of the population that was learned from.
    """

    version: str
    created: str
    store: str
    env: str
    taxi: str = ""
    months: Sequence[str] = ()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[Mapping[str, Any]] = ()
    features: Sequence[str] = ()
    population: str = ""
    split: Mapping[str, Sequence[str]] = field(default_factory=dict)
    threshold: float | None = None
    rounds: int | None = None
    rows: Mapping[str, MonthRows] = field(default_factory=dict)
    spreads: Sequence[Spread] = ()
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    curve: Mapping[str, Sequence[float]] = field(default_factory=dict)
    evaluation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    days: Mapping[str, Mapping[str, Tally]] = field(default_factory=dict)
    rated: Tally | None = None
    leaning: Sequence[Leaning] = ()
    explained: int = 0
    leaks: Mapping[str, float] = field(default_factory=dict)
    monitor: Mapping[str, Any] | None = None
    psi: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    beyond: Sequence[Mapping[str, Any]] = ()
    zones: Sequence[Zone] = ()
    outlines: Mapping[int, Sequence[Sequence[tuple[float, float]]]] = field(default_factory=dict)
    run: Mapping[str, Any] | None = None
    lineage: Mapping[str, Any] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    failed: Sequence[str] = ()

    @property
    def split_shown(self) -> str:
        """The split that the page tells most of: the test months, or the last there is."""
        return "test" if "test" in self.evaluation else next(iter([*self.evaluation][::-1]), "")

    @property
    def own(self) -> str:
        """The population that was learned from, or the one that there is: what a model is judged by."""
        there = self.evaluation.get(self.split_shown, {})
        return next((name for name in (self.population, *there) if name in there), self.population or "all")

    def told(self, population: str) -> Mapping[str, Any]:
        """Return the evaluation of the shown split's trips of a population; empty where there is none."""
        return dict(self.evaluation.get(self.split_shown, {}).get(population, {}))


def thinned(x: Floats, y: Floats) -> Line:
    """Return a line of at most POINTS points, evenly along its length, so that a steep start keeps its shape."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.linspace(0, length[-1], POINTS)
    kept = np.unique(np.append(np.searchsorted(length, wanted).clip(0, len(x) - 1), [0, len(x) - 1]))
    return x[kept].tolist(), y[kept].tolist()


def roc(tally: Tally) -> Line | None:
    """Return false and true positive rates at every threshold, from (0, 0) to (1, 1); None where one side is empty."""
    hits, alarms = (_from_above(side) for side in (tally.positives, tally.negatives))
    if not hits[-1] or not alarms[-1]:
        return None
    return thinned(alarms / alarms[-1], hits / hits[-1])


def precision_recall(tally: Tally) -> Line | None:
    """Return recall and precision at every threshold; None where nothing is positive."""
    hits, alarms = (_from_above(side)[1:] for side in (tally.positives, tally.negatives))
    if not hits[-1]:
        return None
    # The precision of the first few trips is chance.
    some = hits + alarms >= min(FEWEST, hits[-1] + alarms[-1])
    return thinned(hits[some] / hits[-1], hits[some] / (hits[some] + alarms[some]))


def _from_above(counts: npt.NDArray[np.int64]) -> Floats:
    return np.concatenate([[0.0], np.cumsum(counts[::-1], dtype=np.float64)])


def bands(calibration: Sequence[Mapping[str, Any]]) -> Line:
    """Return what was predicted and what happened by band; a band of a few trips is left out, where others are not."""
    told = [band for band in calibration if band["trips"] >= FEWEST] or calibration
    return [band["predicted"] for band in told], [band["happened"] for band in told]


def bars(tally: Tally) -> tuple[list[int], list[int]]:
    """Return the trips without and with a high tip in equal bands of probability."""
    sides = (side.reshape(BARS, -1).sum(axis=1).tolist() for side in (tally.negatives, tally.positives))
    without, with_ = sides
    return without, with_


def spread(name: str, months: Sequence[Histogram]) -> Spread:
    """Return how a feature was month by month."""
    missing = [told.missing for told in months]
    if name not in CATEGORIES:
        some = [told.values[told.trips > 0] for told in months]
        every = np.concatenate(some) if some else np.array([])
        ends = (float(every.min()), float(every.max())) if len(every) else None
        return Spread(name, [_quantiles(told) for told in months], {}, missing, ends)
    total: dict[float, int] = {}
    for told in months:
        for value, trips in zip(told.values.tolist(), told.trips.tolist(), strict=True):
            total[value] = total.get(value, 0) + trips
    common = sorted(total, key=lambda value: -total[value])[:NAMED]
    shares = {f"{value:g}": [_share(told, value) for told in months] for value in common}
    return Spread(name, [], shares, missing)


def _quantiles(told: Histogram) -> list[float]:
    if not len(told.values):
        return [float("nan")] * len(QUANTILES)
    below = np.cumsum(told.trips)
    places = np.searchsorted(below, np.array(QUANTILES) * below[-1]).clip(0, len(below) - 1)
    return [float(value) for value in told.values[places]]


def _share(told: Histogram, value: float) -> float:
    trips = int(told.trips[told.values == value].sum())
    return trips / told.rows if told.rows else 0.0


def strip(values: Floats, contributions: Floats, groups: int = 10) -> list[tuple[float, float, float]]:
    """Return the mean contribution in even groups of the known values: first value, last value, mean; what is missing last."""
    known = ~np.isnan(values)
    found, place = np.unique(values[known], return_inverse=True)
    if not len(found):
        return []
    told = []
    counts = np.bincount(place)
    # A value is in one group, whole: the one that its middle falls in.
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    group = np.minimum((middle * groups).astype(int), groups - 1)
    for each in np.unique(group).tolist():
        inside = found[group == each]
        said = contributions[known][np.isin(place, np.flatnonzero(group == each))]
        told.append((float(inside[0]), float(inside[-1]), float(said.mean())))
    if not known.all():
        told.append((math.nan, math.nan, float(contributions[~known].mean())))
    return told


def by_value(values: Floats, contributions: Floats) -> list[tuple[float, float, float]]:
    """Return the mean contribution of every value of a category, twice the value and its mean, the lowest mean first.

    What is missing or was never seen is NaN. A value of fewer trips than a handful is left out, where others have more.
    """
    found, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(place, contributions) / counts
    kept = counts >= min(HANDFUL, counts.max(initial=0))
    told = zip(found[kept].tolist(), means[kept].tolist(), strict=True)
    return sorted(((value, value, mean) for value, mean in told), key=lambda each: each[2])
