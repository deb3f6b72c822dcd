"""Rolling-origin backtest: one model per validation month, tested on the following months."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

from toytip.cluster import workers_by_address
from toytip.core.dataset.dataset import Dataset
from toytip.core.jsonable import dump_json, to_json
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.splits import Split, plan_split
from toytip.core.tables import FEATURES
from toytip.core.text import plural, verb
from toytip.engine import compute, graph
from toytip.errors import ConfigError
from toytip.evaluation.metrics import with_threshold
from toytip.evaluation.tally import Tallies, combine_tallies, tally_of
from toytip.monitoring.aging import (
    AgedPerformance,
    BacktestResult,
    loss_by_age,
    max_model_age,
    performance_by_age,
)
from toytip.monitoring.attribution import ChangeSplit
from toytip.pipeline import train
from toytip.pipeline.context import RunContext
from toytip.pipeline.plan import booster_params
from toytip.pipeline.startup.project import dataset_of_features
from toytip.report.charts import png
from toytip.stages import postprocess, preprocess
from toytip.stages.preprocess import ValueCounts
from toytip.store.manifest import Manifest
from toytip.store.reports import save_report

# Memory that the features need. On green trips of 2023, the measured memory was slightly more than
# 100 bytes per row.
FEATURE_BYTES_PER_ROW = 140
# Largest share of the workers' memory that features may use. Training needs the rest.
MAX_FEATURE_MEMORY_SHARE = 0.4
# A test range that contains no month, so that all rows count as training rows.
EMPTY_TEST_RANGE = Split.from_json(
    {"train": ["", ""], "validation": None, "test": ["9999-01-01", "9999-01-02"]}
).test
FramesOf = Callable[[list[DataFile]], Any]


@dataclass(frozen=True)
class BacktestFold:
    """The training, validation and test months of one model."""

    train_months: tuple[Month, ...]
    validation_month: Month
    test_months: tuple[Month, ...]

    @property
    def split(self) -> Split:
        """The split of the fold."""
        return plan_split(
            (*self.train_months, self.validation_month, *self.test_months),
            f"{self.train_months[0]}:{self.train_months[-1]}",
            str(self.validation_month),
            f"{self.test_months[0]}:{self.test_months[-1]}",
        )


def make_folds(months: tuple[Month, ...], min_train_months: int, horizon_months: int) -> list[BacktestFold]:
    """Return a fold for each validation month that has a test month after it.

    The first fold has `min_train_months` training months. Each fold has up to `horizon_months`
    test months. Raises ConfigError if there are too few months for one fold.
    """
    folds = [
        BacktestFold(months[:k], months[k], months[k + 1 : k + 1 + horizon_months])
        for k in range(min_train_months, len(months) - 1)
    ]
    if not folds:
        raise ConfigError(
            f"cannot backtest {plural(len(months), 'month')}: the first model needs {min_train_months} training "
            "months, a validation month and a test month",
            hint="Add months, or reduce --min-train-months.",
        )
    return folds


def run_backtest(
    context: RunContext,
    features: Manifest,
    *,
    min_train_months: int,
    horizon_months: int,
    max_auc_loss: float,
) -> BacktestResult:
    """Train and test a model for each fold of published features, and save the result as a report.

    Reads the features only once if they fit into the memory of the workers. Publishes no version.
    Raises ConfigError as `make_folds` does, and StoreError if the store is not writable.
    """
    files = list(features.files)
    months = tuple(dict.fromkeys(file.key.month for file in files))
    folds = make_folds(months, min_train_months, horizon_months)
    context.store.require_writable()
    dataset = dataset_of_features(context.settings, features)
    context.require_usable_module(dataset)
    frames_of = _frame_loader(context, features, files, dataset.table(FEATURES))
    counts = _count_values_by_month(context, files, frames_of(files), folds[0].split, dataset)
    performance = tuple(
        row for fold in folds for row in _run_fold(context, files, frames_of, counts, fold, dataset)
    )
    losses = {segment: loss_by_age(performance, segment) for segment in dataset.segments}
    result = BacktestResult(
        version=features.version,
        performance_by_month=performance,
        auc_loss_by_age=losses,
        max_age_months={segment: max_model_age(ages, max_auc_loss) for segment, ages in losses.items()},
    )
    return replace(result, files=_save_backtest(context, result))


def _frame_loader(context: RunContext, features: Manifest, files: list[DataFile], table: Table) -> FramesOf:
    """Return a function that loads files as a lazy frame, from the workers' memory or the store."""
    memory = sum(worker.memory_limit for worker in workers_by_address(context.client).values())
    need = features.rows * FEATURE_BYTES_PER_ROW
    if memory and need > MAX_FEATURE_MEMORY_SHARE * memory:
        context.progress.info(
            f"{plural(features.rows, 'row')} {verb(features.rows, 'needs', 'need')} {need / 1e9:.1f} GB, too much of the workers' "
            f"{memory / 1e9:.1f} GB, so each fold reads the rows from the store again"
        )
        return lambda subset: graph.read_version(context.store, table, features.version, subset)
    with context.progress.stage("read", len(files)) as stage:
        frame = graph.persist(
            context.client, graph.read_version(context.store, table, features.version, files)
        )
        stage.advance(features.rows, steps=len(files))
    numbers = {file.path: number for number, file in enumerate(files)}
    return lambda subset: graph.select_partitions(frame, [numbers[file.path] for file in subset])


def _count_values_by_month(
    context: RunContext, files: list[DataFile], frame: Any, split: Split, dataset: Dataset
) -> dict[Month, ValueCounts]:
    """Count the values of each month once. A fold merges the counts of its training months."""
    names = dataset.feature_set(context.settings.feature_set)
    all_months = split.train._replace(stop=files[-1].key.month.next.start.isoformat())
    count_split = replace(split, train=all_months, validation=None, test=EMPTY_TEST_RANGE)
    lazy = graph.count_partitions(frame, names, count_split, context.settings.segment, dataset)
    with context.progress.stage("preprocess", len(files)) as stage:
        partitions = compute.compute_partitions(context.client, lazy, stage)
    counts: dict[Month, ValueCounts] = {}
    for file, partition in zip(files, partitions, strict=True):
        assert partition.value_counts is not None, "the graph counts values"
        merged = counts.get(file.key.month, ValueCounts.empty(names, dataset))
        counts[file.key.month] = merged.merge(partition.value_counts)
    return counts


def _run_fold(
    context: RunContext,
    files: list[DataFile],
    frames_of: FramesOf,
    counts: Mapping[Month, ValueCounts],
    fold: BacktestFold,
    dataset: Dataset,
) -> list[AgedPerformance]:
    settings, name = context.settings, str(fold.validation_month)
    merged = reduce(ValueCounts.merge, (counts[month] for month in fold.train_months))
    rate_names = dataset.target_rate_set(settings.feature_set)
    encoding = preprocess.fit_encoding(
        merged, fold.split, settings.segment, dataset, rate_names, settings.max_bin
    )
    fitted = train.fit_model(
        context, files, frames_of, encoding, booster_params(settings), f"train to {name}"
    )
    model = TrainedModel(version=name, booster=fitted.booster, encoding=encoding, rounds=fitted.rounds)
    tested = [file for file in files if file.key.month in (fold.validation_month, *fold.test_months)]
    tallies = _score_months(context, tested, frames_of(tested), model)
    validation = tally_of(tallies[fold.validation_month], "validation", settings.segment)
    threshold = postprocess.best_f1_threshold(validation.negatives, validation.positives)
    performance: list[AgedPerformance] = []
    for segment in dataset.segments:
        months = [
            (
                str(month),
                with_threshold(tally_of(by_cell, "test" if age else "validation", segment), threshold),
            )
            for age, (month, by_cell) in enumerate(tallies.items())
        ]
        if all(tally.rows for _, tally in months):
            performance += performance_by_age(name, months, segment)
    return performance


def _score_months(
    context: RunContext, files: Sequence[DataFile], frame: Any, model: TrainedModel
) -> dict[Month, Tallies]:
    """Score months with a model, and return the metric histograms of each month."""
    decided = graph.apply_threshold(
        graph.score_features(frame, model), postprocess.DEFAULT_THRESHOLD, model.encoding.dataset
    )
    summarizer = graph.Summarizer(model.encoding)
    lazy = graph.summarize_partitions(decided, graph.SummaryInputs(frame, summarizer))
    with context.progress.stage(f"test {model.version}", len(files)) as stage:
        partitions = compute.compute_partitions(context.client, lazy, stage)
    tallies: dict[Month, Tallies] = {}
    for file, partition in zip(files, partitions, strict=True):
        month = file.key.month
        tallies[month] = combine_tallies(tallies.get(month, {}), partition.tallies)
    return tallies


def _save_backtest(context: RunContext, result: BacktestResult) -> dict[str, str]:
    """Save the result as JSON, as CSV and as a chart in the reports of the store."""
    contents = {
        "json": dump_json(to_json(result), indent=1).encode(),
        "csv": _to_csv(result.performance_by_month).encode(),
        "png": png.draw_backtest(result),
    }
    return {
        kind: save_report(context.store, f"{result.version}.backtest.{kind}", content)
        for kind, content in contents.items()
    }


def _to_csv(performance: Sequence[AgedPerformance]) -> str:
    rows = [_csv_row(row) for row in performance]
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _csv_row(row: AgedPerformance) -> dict[str, Any]:
    return {
        "validation_month": row.validation_month,
        "month": row.month,
        "age_months": row.age_months,
        "segment": row.segment,
        **asdict(row.metrics),
        "f1_always_positive": row.f1_always_positive,
        **_change_columns("f1", row.f1_change),
        **_change_columns("log_loss", row.log_loss_change),
    }


def _change_columns(metric: str, change: ChangeSplit | None) -> dict[str, float | None]:
    return {
        f"{metric}_change": change.total if change else None,
        f"{metric}_by_prevalence": change.prevalence if change else None,
        f"{metric}_by_model": change.model if change else None,
    }
