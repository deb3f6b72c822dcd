"""Tune: one matrix of the months that may be learned from, blocks of time, and trials on all workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from toytip.cluster import workers_by_address
from toytip.config import Settings
from toytip.core.model import Encoding
from toytip.core.months import Month
from toytip.core.splits import Split, overlaps, plan_split, split_names
from toytip.engine import compute, graph
from toytip.errors import ConfigError, PlanError
from toytip.pipeline.context import RunContext
from toytip.pipeline.fingerprints import code_digest
from toytip.stages import featurize as features_of
from toytip.stages import preprocess as encodings
from toytip.stages.featurize import FEATURES_SCHEMA
from toytip.stages.zone_rates import zone_rates_for
from toytip.store.manifest import Manifest, digest
from toytip.store.store import Store
from toytip.training import tuning
from toytip.training.tuning import TrialResult, TuningMatrix

# A matrix is held by the worker, copied into XGBoost's, and its bins again: so many times its bytes.
MATRIX_COPIES = 4


@dataclass(frozen=True)
class TuningResult:
    """What tuning found: the best trial, toytip's defaults, all others; and on how much."""

    best: TrialResult
    default: TrialResult
    trials: list[TrialResult]
    fold_months: list[str]
    rows: int
    resumed_trials: int


def make_time_folds(months: tuple[Month, ...], split: Split, count: int) -> tuple[list[Month], list[Month]]:
    """Return the months before the first block, and the blocks: the last months that may be learned from, none of the test.

    Raises ConfigError where there are too few.
    """
    learned = [month for month in months if not overlaps(month, split.test)]
    learned = [
        m for m in learned if any(overlaps(m, s) for n, s in split.time_ranges().items() if n != "test")
    ]
    if len(learned) <= count:
        raise ConfigError(
            f"{len(learned)} months to learn from are too few for {count} blocks and one before them; "
            "choose fewer --folds, or read more months"
        )
    return learned[:-count], learned[-count:]


def tune(
    context: RunContext,
    features: Manifest,
    *,
    trials: int,
    folds: int,
    max_rows: int,
    study: str | None,
    seed: int,
) -> TuningResult:
    """Search for parameters with the least log loss over blocks of time. Raises ConfigError or PlanError."""
    settings = context.settings
    months = tuple(dict.fromkeys(part.key.month for part in features.files))
    split = plan_split(months, settings.train_months, settings.validation_month, settings.test_months)
    before, blocks = make_time_folds(months, split, folds)
    name = _study_name(settings, features, split, folds, max_rows)
    file = Path(study) if study else _study_file(context.store, name)
    tuning.require_writable_study(file)  # better before the work than after it
    matrix = _training_matrix(context, features, before, blocks, max_rows)
    shared = context.client.scatter(matrix, broadcast=True)
    numbers = [month.year * 12 + month.month - 1 for month in blocks]

    def run_folds(jobs: list[tuning.FoldJob]) -> list[tuning.FoldScore]:
        rest = (settings.rounds, settings.early_stopping_rounds)
        futures = [
            context.client.submit(tuning.run_fold, shared, job.fold, job.params, *rest, pure=False)
            for job in jobs
        ]
        return list(context.client.gather(futures))

    with tuning.open_study(file, name, seed) as kept, context.progress.stage("tune", trials) as shown:
        there = len(tuning.finished_trials(kept))
        if there:
            context.progress.info(f"{there} trials are in {file} already")
            shown.advance(steps=min(there, trials))
        best: list[float] = []

        def seen(outcome: TrialResult) -> None:
            if len(outcome.fold_scores) == len(blocks):
                best.append(outcome.log_loss)
            shown.advance(note=f"best log loss {min(best):.5f}" if best else "")

        tuning.run_study(kept, trials, numbers, run_folds, seen)
        found = tuning.trial_results(kept)
    whole = [outcome for outcome in found if len(outcome.fold_scores) == len(blocks)]
    return TuningResult(
        best=min(whole, key=lambda outcome: outcome.log_loss),
        default=found[0],
        trials=found,
        fold_months=[str(month) for month in blocks],
        rows=len(matrix.label),
        resumed_trials=there,
    )


def _training_matrix(
    context: RunContext, features: Manifest, before: list[Month], blocks: list[Month], most: int
) -> TuningMatrix:
    """Return the rows to learn from; the encoding is fitted on the months before the first block."""
    settings = context.settings
    encoding = _fit_fold_encoding(context, features, before, blocks)
    parts = [part for part in features.files if part.key.month in (*before, *blocks)]
    share = min(1.0, most / max(sum(part.rows for part in parts), 1))
    if share < 1:
        context.progress.info(f"trials learn from about {most:,} of {most / share:,.0f} rows (--rows)")
    need = share * sum(part.rows for part in parts) * len(encoding.feature_names) * 2 * MATRIX_COPIES
    limits = [
        worker.memory_limit for worker in workers_by_address(context.client).values() if worker.memory_limit
    ]
    if limits and need > min(limits) / 2:
        raise PlanError(
            f"each worker would hold about {need / 1e6:,.0f} MB and has {min(limits) / 1e6:,.0f} MB; "
            "try fewer --rows or fewer --workers"
        )
    frame = graph.read_version(context.store, FEATURES_SCHEMA, features.version, parts)
    with context.progress.stage("read", len(parts)) as shown:
        found = compute.map_partitions(
            context.client, frame, _sample_rows, encoding, share, settings.segment, stage=shown
        )
    codes, label, month = (np.concatenate(side) for side in zip(*found, strict=True))
    return TuningMatrix(codes, label, month, encoding.bin_counts)


def _sample_rows(features: Any, encoding: Encoding, share: float, population: str) -> Any:
    inside = split_names(features, encoding.split, population) != "other"
    return tuning.tuning_rows(features[inside], encoding, share)


def _fit_fold_encoding(
    context: RunContext, features: Manifest, before: list[Month], blocks: list[Month]
) -> Encoding:
    settings = context.settings
    names = features_of.feature_set(settings.feature_set)
    split = plan_split((*before, *blocks), f"{before[0]}:{before[-1]}", "none", f"{blocks[0]}:{blocks[-1]}")
    parts = [part for part in features.files if part.key.month in before]
    frame = graph.read_version(context.store, FEATURES_SCHEMA, features.version, parts)
    with context.progress.stage("preprocess", len(parts)) as shown:
        done = compute.compute_partitions(
            context.client, graph.count_partitions(frame, names, split, settings.segment), shown
        )
    censuses = [item.value_counts for item in done if item.value_counts is not None]
    census = reduce(encodings.ValueCounts.merge, censuses, encodings.ValueCounts.empty(names))
    return encodings.fit_encoding(census, split, settings.segment, zone_rates_for(settings.feature_set))


def _study_name(settings: Settings, features: Manifest, split: Split, folds: int, rows: int) -> str:
    """Return the name of a study: other data, code or question, another study."""
    about = {
        "parts": [part.checksum for part in features.files],
        "code": code_digest("train"),
        "split": asdict(split),
        "folds": folds,
        "rows": rows,
        "features": settings.feature_set,
        "population": settings.segment,
        "rounds": [settings.rounds, settings.early_stopping_rounds],
    }
    return digest(about)


def _study_file(store: Store, name: str) -> Path:
    return store.file_io.local_path(store.layout.study(name)) or Path(f"toytip-study-{name}.db")


def write_params_file(
    result: TuningResult, path: Path, features: Manifest, early_stopping_rounds: int
) -> None:
    """Write the best parameters as the file that `--params` takes. Raises ConfigError."""
    rounds = round(
        sum(score.rounds for score in result.best.fold_scores) / len(result.best.fold_scores) * 1.2
    )
    told = {**result.best.params, "rounds": max(rounds, 1), "early_stopping_rounds": early_stopping_rounds}
    lines = [
        f"# The best of {len(result.trials)} trials on features {features.version}: mean log loss",
        f"# {result.best.log_loss:.5f} over {', '.join(result.fold_months)}; toytip's defaults: {result.default.log_loss:.5f}.",
        "# `rounds` is a fifth more than was best there: the final model learns from more months, and stops early.",
        *(f"{name} = {value!r}" for name, value in told.items()),
    ]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {path} cannot be written: {error.strerror}") from None
