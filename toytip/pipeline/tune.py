"""Tune: one matrix of the months that may be learned from, blocks of time, and trials on all workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from toytip import barrier, flow, tuning
from toytip.cluster import workers_of
from toytip.config import Settings
from toytip.errors import ConfigError, PlanError
from toytip.manifest import digest
from toytip.pipeline.context import Context
from toytip.pipeline.identity import code_of
from toytip.place import Disk
from toytip.splits import assign, overlaps, plan_split
from toytip.stages import featurize as features_of
from toytip.stages import preprocess as encodings
from toytip.stages.rates import rate_set
from toytip.store import Manifest, Store
from toytip.tuning import Matrix, Outcome
from toytip.values import Encoding, Month, Split

FEATURES = features_of.TABLE
# A matrix is held by the worker, copied into XGBoost's, and its bins again: so many times its bytes.
COPIES = 4


@dataclass(frozen=True)
class Tuned:
    """What tuning found: the best trial, toytip's defaults, all others; and on how much."""

    best: Outcome
    default: Outcome
    trials: list[Outcome]
    blocks: list[str]
    rows: int
    there: int


def blocks_of(months: tuple[Month, ...], split: Split, count: int) -> tuple[list[Month], list[Month]]:
    """Return the months before the first block, and the blocks: the last months that may be learned from, none of the test.

    Raises ConfigError where there are too few.
    """
    learned = [month for month in months if not overlaps(month, split.test)]
    learned = [m for m in learned if any(overlaps(m, s) for n, s in split.spans().items() if n != "test")]
    if len(learned) <= count:
        raise ConfigError(
            f"{len(learned)} months to learn from are too few for {count} blocks and one before them; "
            "choose fewer --folds, or read more months"
        )
    return learned[:-count], learned[-count:]


def tune(
    context: Context, features: Manifest, *, trials: int, folds: int, rows: int, study: str | None, seed: int
) -> Tuned:
    """Search for parameters with the least log loss over blocks of time. Raises ConfigError or PlanError."""
    settings = context.settings
    months = tuple(dict.fromkeys(part.key.month for part in features.parts))
    split = plan_split(months, settings.train, settings.valid, settings.test)
    before, blocks = blocks_of(months, split, folds)
    name = _name(settings, features, split, folds, rows)
    file = Path(study) if study else _file(context.store, name)
    tuning.make_room(file)  # better before the work than after it
    matrix = _matrix(context, features, before, blocks, rows)
    shared = context.client.scatter(matrix, broadcast=True)
    numbers = [month.year * 12 + month.month - 1 for month in blocks]

    def ask(jobs: list[tuple[int, dict[str, Any]]]) -> list[tuning.Score]:
        rest = (settings.rounds, settings.early_stop)
        futures = [
            context.client.submit(tuning.try_out, shared, block, params, *rest, pure=False)
            for block, params in jobs
        ]
        return list(context.client.gather(futures))

    with tuning.study_in(file, name, seed) as kept, context.progress.stage("tune", trials) as shown:
        there = len(tuning.finished(kept))
        if there:
            context.progress.say(f"{there} trials are in {file} already")
            shown.advance(parts=min(there, trials))
        best: list[float] = []

        def seen(outcome: Outcome) -> None:
            if len(outcome.scores) == len(blocks):
                best.append(outcome.log_loss)
            shown.advance(note=f"best log loss {min(best):.5f}" if best else "")

        tuning.search(kept, trials, numbers, ask, seen)
        found = tuning.outcomes(kept)
    whole = [outcome for outcome in found if len(outcome.scores) == len(blocks)]
    return Tuned(
        best=min(whole, key=lambda outcome: outcome.log_loss),
        default=found[0],
        trials=found,
        blocks=[str(month) for month in blocks],
        rows=len(matrix.label),
        there=there,
    )


def _matrix(
    context: Context, features: Manifest, before: list[Month], blocks: list[Month], most: int
) -> Matrix:
    """Return the rows to learn from; the encoding is fitted on the months before the first block."""
    settings = context.settings
    encoding = _encoding(context, features, before, blocks)
    parts = [part for part in features.parts if part.key.month in (*before, *blocks)]
    share = min(1.0, most / max(sum(part.rows for part in parts), 1))
    if share < 1:
        context.progress.say(f"trials learn from about {most:,} of {most / share:,.0f} rows (--rows)")
    need = share * sum(part.rows for part in parts) * len(encoding.names) * 2 * COPIES
    limits = [info["memory_limit"] for info in workers_of(context.client).values() if info["memory_limit"]]
    if limits and need > min(limits) / 2:
        raise PlanError(
            f"each worker would hold about {need / 1e6:,.0f} MB and has {min(limits) / 1e6:,.0f} MB; "
            "try fewer --rows or fewer --workers"
        )
    frame = flow.published(context.store, FEATURES, features.version, parts)
    with context.progress.stage("read", len(parts)) as shown:
        found = barrier.each(context.client, frame, _rows, encoding, share, settings.population, stage=shown)
    codes, label, month = (np.concatenate(side) for side in zip(*found, strict=True))
    return Matrix(codes, label, month, encoding.counts)


def _rows(features: Any, encoding: Encoding, share: float, population: str) -> Any:
    inside = assign(features, encoding.split, population) != "other"
    return tuning.rows_of(features[inside], encoding, share)


def _encoding(context: Context, features: Manifest, before: list[Month], blocks: list[Month]) -> Encoding:
    settings = context.settings
    names = features_of.feature_set(settings.features)
    split = plan_split((*before, *blocks), f"{before[0]}:{before[-1]}", "none", f"{blocks[0]}:{blocks[-1]}")
    parts = [part for part in features.parts if part.key.month in before]
    frame = flow.published(context.store, FEATURES, features.version, parts)
    with context.progress.stage("preprocess", len(parts)) as shown:
        done = barrier.collect(context.client, flow.counted(frame, names, split, settings.population), shown)
    censuses = [item.census for item in done if item.census is not None]
    census = reduce(encodings.Census.merge, censuses, encodings.Census.empty(names))
    return encodings.fit(census, split, settings.population, rate_set(settings.features))


def _name(settings: Settings, features: Manifest, split: Split, folds: int, rows: int) -> str:
    """Return the name of a study: other data, code or question, another study."""
    about = {
        "parts": [part.checksum for part in features.parts],
        "code": code_of("train"),
        "split": asdict(split),
        "folds": folds,
        "rows": rows,
        "features": settings.features,
        "population": settings.population,
        "rounds": [settings.rounds, settings.early_stop],
    }
    return digest(about)


def _file(store: Store, name: str) -> Path:
    if isinstance(store.place, Disk):
        return Path(store.place.root, store.env, "_studies", f"{name}.db")
    return Path(f"toytip-study-{name}.db")


def write(found: Tuned, out: Path, features: Manifest, early_stop: int) -> None:
    """Write the best parameters as the file that `--params` takes. Raises ConfigError."""
    rounds = round(sum(score.rounds for score in found.best.scores) / len(found.best.scores) * 1.2)
    told = {**found.best.params, "rounds": max(rounds, 1), "early_stop": early_stop}
    lines = [
        f"# The best of {len(found.trials)} trials on features {features.version}: mean log loss",
        f"# {found.best.log_loss:.5f} over {', '.join(found.blocks)}; toytip's defaults: {found.default.log_loss:.5f}.",
        "# `rounds` is a fifth more than was best there: the final model learns from more months, and stops early.",
        *(f"{name} = {value!r}" for name, value in told.items()),
    ]
    try:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror}") from None
