"""Backtest: a model for every month of the year, tested on the months after it. The data is read once for all of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

from toytip import barrier, flow, plots
from toytip.cluster import workers_of
from toytip.errors import ConfigError
from toytip.metrics import decided_at
from toytip.pipeline import learn
from toytip.pipeline.context import Context
from toytip.splits import plan_split
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.stages import preprocess as encodings
from toytip.stages.decay import Age, Aged, aged, by_age, oldest
from toytip.stages.rates import rate_set
from toytip.store import Manifest
from toytip.tally import POPULATIONS, Summary, Tally, merge, select
from toytip.values import Model, Month, PartRecord, Split

FEATURES = features_of.TABLE
# Features in memory: measured on green 2023, a hundred bytes a row and some.
BYTES_PER_ROW = 140
# So much of the workers' memory may hold features; training needs the rest.
HOLDABLE = 0.4


@dataclass(frozen=True)
class Fold:
    """One model of the backtest: the months that it is trained on, tuned on, and tested on."""

    train: tuple[Month, ...]
    valid: Month
    tests: tuple[Month, ...]

    @property
    def split(self) -> Split:
        """The split of the fold."""
        last = self.tests[-1]
        return plan_split(
            (*self.train, self.valid, *self.tests),
            f"{self.train[0]}:{self.train[-1]}",
            str(self.valid),
            f"{self.tests[0]}:{last}",
        )


def folds(months: tuple[Month, ...], first: int, horizon: int) -> list[Fold]:
    """Return the folds of a year: the first is trained on `first` months, each is tested on up to `horizon`.

    Raises ConfigError where there are too few months for one.
    """
    found = [
        Fold(months[:k], months[k], months[k + 1 : k + 1 + horizon]) for k in range(first, len(months) - 1)
    ]
    if not found:
        raise ConfigError(
            f"{len(months)} months are too few: a fold takes {first} to train on (--first), one to tune, one to test"
        )
    return found


@dataclass(frozen=True)
class Backtest:
    """What came out: a row for each model and month, what age costs, and how old a model may be."""

    rows: list[Aged]
    ages: dict[str, list[Age]]
    oldest: dict[str, int]


def run(context: Context, features: Manifest, *, first: int, horizon: int, tolerance: float) -> Backtest:
    """Backtest on published features; see `folds`. Nothing is published; what `save` keeps has to have a place, though."""
    parts = list(features.parts)
    months = tuple(dict.fromkeys(part.key.month for part in parts))
    planned = folds(months, first, horizon)
    context.store.refuse_unwritable()
    frame_of = _frames(context, features, parts)
    censuses = _censuses(context, parts, frame_of(parts), planned[0].split)
    rows: list[Aged] = []
    for fold in planned:
        rows += _fold(context, parts, frame_of, censuses, fold)
    ages = {population: by_age(rows, population) for population in POPULATIONS}
    return Backtest(rows, ages, {population: oldest(told, tolerance) for population, told in ages.items()})


def _frames(
    context: Context, features: Manifest, parts: list[PartRecord]
) -> Callable[[list[PartRecord]], Any]:
    """Return what gives the frames of parts: held by the workers where they fit, else read again for every fold."""
    memory = sum(info["memory_limit"] for info in workers_of(context.client).values())
    need = features.rows * BYTES_PER_ROW
    if memory and need > HOLDABLE * memory:
        context.progress.say(
            f"{features.rows:,} rows would take {need / 1e9:.1f} GB of the workers' {memory / 1e9:.1f}: "
            "they are read again for every fold, from the store"
        )
        return lambda some: flow.published(context.store, FEATURES, features.version, some)
    with context.progress.stage("read", len(parts)) as shown:
        whole = flow.held(context.client, flow.published(context.store, FEATURES, features.version, parts))
        shown.advance(features.rows, parts=len(parts))
    numbers = {part.path: number for number, part in enumerate(parts)}
    return lambda some: flow.chosen(whole, [numbers[part.path] for part in some])


def _censuses(
    context: Context, parts: list[PartRecord], frame: Any, split: Split
) -> dict[Month, encodings.Census]:
    """Take the census of every month once; a fold merges those of its training months."""
    settings = context.settings
    names = features_of.feature_set(settings.features)
    whole = replace(split, train=split.train._replace(stop=parts[-1].key.month.next.start.isoformat()))
    with context.progress.stage("preprocess", len(parts)) as shown:
        done = barrier.collect(
            context.client,
            flow.counted(frame, names, replace(whole, valid=None, test=_NEVER), settings.population),
            shown,
        )
    found: dict[Month, encodings.Census] = {}
    for part, item in zip(parts, done, strict=True):
        assert item.census is not None, "it was asked for"
        before = found.get(part.key.month, encodings.Census.empty(names))
        found[part.key.month] = before.merge(item.census)
    return found


_NEVER = Split.from_json({"train": ["", ""], "valid": None, "test": ["9999-01-01", "9999-01-02"]}).test


def _fold(
    context: Context,
    parts: list[PartRecord],
    frame_of: Callable[[list[PartRecord]], Any],
    censuses: dict[Month, encodings.Census],
    fold: Fold,
) -> list[Aged]:
    settings = context.settings
    census = reduce(encodings.Census.merge, (censuses[month] for month in fold.train))
    encoding = encodings.fit(census, fold.split, settings.population, rate_set(settings.features))
    name = str(fold.valid)
    fitted = learn.fit(context, parts, frame_of, encoding, learn.params_of(settings), f"train to {name}")
    model = Model(version=name, booster=fitted.booster_, encoding=encoding, rounds=fitted.rounds_)
    asked = [part for part in parts if part.key.month in (fold.valid, *fold.tests)]
    frame = frame_of(asked)
    decided = flow.decided(flow.scored(frame, model), decisions.DEFAULT)
    lazy = flow.tallied(decided, flow.Summing(frame, flow.Rule(encoding)))
    with context.progress.stage(f"test {name}", len(asked)) as shown:
        done = barrier.collect(context.client, lazy, shown)
    by_month: dict[Month, Summary] = {}
    for part, item in zip(asked, done, strict=True):
        by_month[part.key.month] = merge(by_month.get(part.key.month, {}), item.summary)
    tuned = select(by_month[fold.valid], "valid", settings.population)
    threshold = decisions.tune(tuned.negatives, tuned.positives)
    rows: list[Aged] = []
    for population in POPULATIONS:
        told: list[tuple[str, Tally]] = [
            (str(month), decided_at(select(summary, "test" if age else "valid", population), threshold))
            for age, (month, summary) in enumerate(by_month.items())
        ]
        if all(tally.rows for _, tally in told):
            rows += aged(name, told, population)
    return rows


def save(context: Context, found: Backtest, version: str) -> dict[str, str]:
    """Keep the table, as JSON and CSV, and the picture beside the store's reports; return where."""
    table = io.StringIO()
    plain = [flat(row) for row in found.rows]
    writer = csv.DictWriter(table, list(plain[0]))
    writer.writeheader()
    writer.writerows(plain)
    content = {
        "json": json.dumps(to_json(found), indent=1).encode(),
        "csv": table.getvalue().encode(),
        "png": plots.backtest(found.rows, found.ages, f"Backtest of {version}"),
    }
    return {
        kind: context.store.save_report(f"{version}.backtest.{kind}", what) for kind, what in content.items()
    }


def flat(row: Aged) -> dict[str, Any]:
    """Return a row of the table as plain values."""
    told: dict[str, Any] = {
        "tuned_on": row.trained, "month": row.month, "age": row.age, "population": row.population, **row.metrics,
    }  # fmt: skip
    for name, change in (("f1", row.f1), ("log_loss", row.log_loss)):
        told[f"{name}_change"] = change.whole if change else None
        told[f"{name}_by_prevalence"] = change.prevalence if change else None
        told[f"{name}_by_skill"] = change.skill if change else None
    return told


def to_json(found: Backtest) -> dict[str, Any]:
    """Return plain values."""
    return {
        "rows": [flat(row) for row in found.rows],
        "ages": {population: [asdict(age) for age in ages] for population, ages in found.ages.items()},
        "oldest": found.oldest,
    }
