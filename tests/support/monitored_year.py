"""A synthetic year, a model of its first months, and the monitoring of the other months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import pandas as pd

from toytip.core.columns import LABEL_COLUMN
from toytip.core.model import TrainedModel
from toytip.core.months import Month, parse_months
from toytip.core.parameters import AlertThresholds, BoosterParams
from toytip.core.partitions import SourcePartition
from toytip.core.splits import plan_split
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import SyntheticSpec, generate_month
from toytip.evaluation.tally import Tallies, combine_tallies
from toytip.monitoring.comparison import MonitoringResult, run_monitoring
from toytip.monitoring.history import MonitoringHistory
from toytip.monitoring.month_counts import MonthSummary
from toytip.monitoring.plan import plan_monitoring
from toytip.stages import clean, conform, featurize, infer, postprocess, preprocess, profile
from toytip.stages.summarize import summarize_predictions
from toytip.training.boosting import model_bytes
from toytip.training.local import train_in_process
from toytip.training.spec import TrainingSpec

YEAR = parse_months("2021-01:2021-12")
# A year to monitor after the four months of training and validation.
LONG_YEAR = parse_months("2021-01:2022-04")
LEARNING_MONTHS = YEAR[:4]
ROWS = 20_000


class MonthInputs(NamedTuple):
    """The inputs of monitoring that a run writes for one month."""

    tallies: Tallies
    summary: MonthSummary


def featurize_month(month: Month, spec: SyntheticSpec) -> tuple[pd.DataFrame, int, dict[str, int]]:
    """Return the features of a month, the number of rows read, and the rejected rows by reason."""
    table = generate_month(month, spec)
    partition = SourcePartition(taxi="yellow", month=month, uri="synth", start=0, stop=len(table), number=0)
    trips, rejects = clean.clean(conform.conform(table, partition, TLC), TLC)
    return featurize.featurize(trips, TLC), len(table), clean.count_reasons(rejects)


def score_month(model: TrainedModel, month: Month, spec: SyntheticSpec) -> MonthInputs:
    """Score a month as the tasks of a run do, and return the inputs of monitoring."""
    features, rows, rejects = featurize_month(month, spec)
    encoded = preprocess.encode(features, model.encoding)
    predictions = postprocess.postprocess(infer.infer(features, encoded, model), model.threshold, TLC)
    return MonthInputs(
        summarize_predictions(predictions, features, model.encoding),
        MonthSummary(histograms=profile.profile(features, TLC), rows=rows, rejects=rejects),
    )


def train_model(spec: SyntheticSpec, names: Sequence[str]) -> TrainedModel:
    """Train a model on the first three months of the year."""
    split = plan_split(LONG_YEAR, "2021-01:2021-03", "2021-04", "2021-05:2022-04")
    features = [featurize_month(month, spec)[0] for month in LEARNING_MONTHS]
    counts = [preprocess.count_values(frame, names, split, "all", TLC) for frame in features]
    encoding = preprocess.fit_encoding(reduce(preprocess.ValueCounts.merge, counts), split, "all", TLC)
    parts = [
        preprocess.encode(frame, encoding).assign(**{LABEL_COLUMN: frame["high_tip"]})
        for frame in features[:3]
    ]
    params = BoosterParams(rounds=40, learning_rate=0.2)
    spec = TrainingSpec(params=params, bin_counts=encoding.bin_counts)
    booster, _ = train_in_process(parts, None, spec, threads=2)
    return TrainedModel(
        version="v1", booster=model_bytes(booster, 40), encoding=encoding, rounds=40, threshold=0.45
    )


def monitor_year(
    model: TrainedModel,
    inputs: Mapping[Month, MonthInputs],
    months: Sequence[Month] = YEAR,
    thresholds: AlertThresholds | None = None,
    **options: Any,
) -> MonitoringResult:
    """Monitor the months of a year."""
    plan = plan_monitoring(model, months, **options)
    assert plan is not None
    return run_monitoring(
        model,
        plan,
        thresholds or AlertThresholds(),
        MonitoringHistory(
            months={month: inputs[month].summary for month in months},
            tallies=reduce(combine_tallies, (inputs[month].tallies for month in months)),
        ),
    )
