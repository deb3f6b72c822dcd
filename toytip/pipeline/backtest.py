"""Backtest: a model for every month of the year, tested on the months after it. The data is read once for all of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

from toytip.cluster import workers_by_address
from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.splits import Split, plan_split
from toytip.engine import compute, graph
from toytip.errors import ConfigError
from toytip.evaluation.metrics import with_threshold
from toytip.evaluation.tally import SEGMENTS, Tallies, Tally, combine_tallies, tally_of
from toytip.monitoring.aging import AgeLoss, MonthResult, loss_by_age, max_model_age, month_results
from toytip.pipeline import train
from toytip.pipeline.context import RunContext
from toytip.report.charts import png
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.stages import preprocess as encodings
from toytip.stages.featurize import FEATURES_SCHEMA
from toytip.stages.zone_rates import zone_rates_for
from toytip.store.manifest import Manifest
from toytip.store.reports import save_report

# Features in memory: measured on green 2023, a hundred bytes a row and some.
FEATURE_BYTES_PER_ROW = 140
# So much of the workers' memory may hold features; training needs the rest.
MAX_FEATURE_MEMORY_SHARE = 0.4


@dataclass(frozen=True)
class BacktestFold:
    """One model of the backtest: the months that it is trained on, tuned on, and tested on."""

    train_months: tuple[Month, ...]
    validation_month: Month
    test_months: tuple[Month, ...]

    @property
    def split(self) -> Split:
        """The split of the fold."""
        last = self.test_months[-1]
        return plan_split(
            (*self.train_months, self.validation_month, *self.test_months),
            f"{self.train_months[0]}:{self.train_months[-1]}",
            str(self.validation_month),
            f"{self.test_months[0]}:{last}",
        )


def make_folds(months: tuple[Month, ...], min_train_months: int, horizon_months: int) -> list[BacktestFold]:
    """Return the folds of a year: the first is trained on `min_train_months` months, each is tested on up to `horizon_months`.

    Raises ConfigError where there are too few months for one.
    """
    found = [
        BacktestFold(months[:k], months[k], months[k + 1 : k + 1 + horizon_months])
        for k in range(min_train_months, len(months) - 1)
    ]
    if not found:
        raise ConfigError(
            f"{len(months)} months are too few: a fold takes {min_train_months} to train on (--first), one to tune, one to test"
        )
    return found


@dataclass(frozen=True)
class BacktestResult:
    """What came out: a row for each model and month, what age costs, and how old a model may be."""

    rows: list[MonthResult]
    losses_by_age: dict[str, list[AgeLoss]]
    max_model_age: dict[str, int]


def run_backtest(
    context: RunContext,
    features: Manifest,
    *,
    min_train_months: int,
    horizon_months: int,
    max_auc_loss: float,
) -> BacktestResult:
    """Backtest on published features; see `make_folds`. Nothing is published; what `save_backtest` keeps has to have a place, though."""
    parts = list(features.files)
    months = tuple(dict.fromkeys(part.key.month for part in parts))
    planned = make_folds(months, min_train_months, horizon_months)
    context.store.require_writable()
    frame_of = _frame_loader(context, features, parts)
    censuses = _count_values_by_month(context, parts, frame_of(parts), planned[0].split)
    rows: list[MonthResult] = []
    for fold in planned:
        rows += _run_fold(context, parts, frame_of, censuses, fold)
    ages = {population: loss_by_age(rows, population) for population in SEGMENTS}
    return BacktestResult(
        rows, ages, {population: max_model_age(told, max_auc_loss) for population, told in ages.items()}
    )


def _frame_loader(
    context: RunContext, features: Manifest, parts: list[DataFile]
) -> Callable[[list[DataFile]], Any]:
    """Return what gives the frames of parts: held by the workers where they fit, else read again for every fold."""
    memory = sum(info["memory_limit"] for info in workers_by_address(context.client).values())
    need = features.rows * FEATURE_BYTES_PER_ROW
    if memory and need > MAX_FEATURE_MEMORY_SHARE * memory:
        context.progress.info(
            f"{features.rows:,} rows would take {need / 1e9:.1f} GB of the workers' {memory / 1e9:.1f}: "
            "they are read again for every fold, from the store"
        )
        return lambda some: graph.read_version(context.store, FEATURES_SCHEMA, features.version, some)
    with context.progress.stage("read", len(parts)) as shown:
        whole = graph.persist(
            context.client, graph.read_version(context.store, FEATURES_SCHEMA, features.version, parts)
        )
        shown.advance(features.rows, parts=len(parts))
    numbers = {part.path: number for number, part in enumerate(parts)}
    return lambda some: graph.select_partitions(whole, [numbers[part.path] for part in some])


def _count_values_by_month(
    context: RunContext, parts: list[DataFile], frame: Any, split: Split
) -> dict[Month, encodings.ValueCounts]:
    """Take the census of every month once; a fold merges those of its training months."""
    settings = context.settings
    names = features_of.feature_set(settings.feature_set)
    whole = replace(split, train=split.train._replace(stop=parts[-1].key.month.next.start.isoformat()))
    with context.progress.stage("preprocess", len(parts)) as shown:
        done = compute.compute_partitions(
            context.client,
            graph.count_partitions(
                frame, names, replace(whole, validation=None, test=_EMPTY_TEST_RANGE), settings.segment
            ),
            shown,
        )
    found: dict[Month, encodings.ValueCounts] = {}
    for part, item in zip(parts, done, strict=True):
        assert item.value_counts is not None, "it was asked for"
        before = found.get(part.key.month, encodings.ValueCounts.empty(names))
        found[part.key.month] = before.merge(item.value_counts)
    return found


_EMPTY_TEST_RANGE = Split.from_json(
    {"train": ["", ""], "validation": None, "test": ["9999-01-01", "9999-01-02"]}
).test


def _run_fold(
    context: RunContext,
    parts: list[DataFile],
    frame_of: Callable[[list[DataFile]], Any],
    censuses: dict[Month, encodings.ValueCounts],
    fold: BacktestFold,
) -> list[MonthResult]:
    settings = context.settings
    census = reduce(encodings.ValueCounts.merge, (censuses[month] for month in fold.train_months))
    encoding = encodings.fit_encoding(
        census, fold.split, settings.segment, zone_rates_for(settings.feature_set)
    )
    name = str(fold.validation_month)
    fitted = train.fit_classifier(
        context, parts, frame_of, encoding, train.params_from_settings(settings), f"train to {name}"
    )
    model = TrainedModel(version=name, booster=fitted.booster_, encoding=encoding, rounds=fitted.rounds_)
    asked = [part for part in parts if part.key.month in (fold.validation_month, *fold.test_months)]
    frame = frame_of(asked)
    decided = graph.apply_threshold(graph.score_features(frame, model), decisions.DEFAULT_THRESHOLD)
    lazy = graph.summarize_partitions(decided, graph.SummaryInputs(frame, graph.Summarizer(encoding)))
    with context.progress.stage(f"test {name}", len(asked)) as shown:
        done = compute.compute_partitions(context.client, lazy, shown)
    by_month: dict[Month, Tallies] = {}
    for part, item in zip(asked, done, strict=True):
        by_month[part.key.month] = combine_tallies(by_month.get(part.key.month, {}), item.tallies)
    tuned = tally_of(by_month[fold.validation_month], "validation", settings.segment)
    threshold = decisions.best_f1_threshold(tuned.negatives, tuned.positives)
    rows: list[MonthResult] = []
    for population in SEGMENTS:
        told: list[tuple[str, Tally]] = [
            (
                str(month),
                with_threshold(tally_of(summary, "test" if age else "validation", population), threshold),
            )
            for age, (month, summary) in enumerate(by_month.items())
        ]
        if all(tally.rows for _, tally in told):
            rows += month_results(name, told, population)
    return rows


def save_backtest(context: RunContext, result: BacktestResult, version: str) -> dict[str, str]:
    """Keep the table, as JSON and CSV, and the picture beside the store's reports; return where."""
    table = io.StringIO()
    plain = [flatten_row(row) for row in result.rows]
    writer = csv.DictWriter(table, list(plain[0]))
    writer.writeheader()
    writer.writerows(plain)
    content = {
        "json": json.dumps(backtest_json(result), indent=1).encode(),
        "csv": table.getvalue().encode(),
        "png": png.draw_backtest(result.rows, result.losses_by_age, f"Backtest of {version}"),
    }
    return {
        kind: save_report(context.store, f"{version}.backtest.{kind}", what) for kind, what in content.items()
    }


def flatten_row(row: MonthResult) -> dict[str, Any]:
    """Return a row of the table as plain values."""
    told: dict[str, Any] = {
        "tuned_on": row.trained, "month": row.month, "age": row.age, "population": row.population, **to_json(row.metrics),
        "f1_always_positive": row.f1_always_positive,
    }  # fmt: skip
    for name, change in (("f1", row.f1), ("log_loss", row.log_loss)):
        told[f"{name}_change"] = change.total if change else None
        told[f"{name}_by_prevalence"] = change.prevalence if change else None
        told[f"{name}_by_model"] = change.model if change else None
    return told


def backtest_json(result: BacktestResult) -> dict[str, Any]:
    """Return plain values."""
    return {
        "rows": [flatten_row(row) for row in result.rows],
        "ages": {
            population: [asdict(age) for age in ages] for population, ages in result.losses_by_age.items()
        },
        "oldest": result.max_model_age,
    }
