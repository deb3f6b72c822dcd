"""Measure which models are inside the AUC band of the level `model`: `python -m benchmarks.bands`.

The command trains the model of the job `eleven-features`, models that an engine can train just as
well, and wrong models. It computes the AUC of the last month of the synthetic year for each model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from sklearn.metrics import roc_auc_score

from benchmarks.arguments import positive_int
from benchmarks.conformance.definition import DefinedMonth, define_months
from benchmarks.machine.facts import machine_columns, timestamp
from benchmarks.quality import AUC_BANDS
from benchmarks.results import InvalidInputError, append_result
from benchmarks.run import print_line
from benchmarks.workloads import ELEVEN_FEATURES, synthetic_source
from toytip.cluster import available_cores

WORKLOAD = "auc-band"
ZONES = ("PULocationID", "DOLocationID")
Rows = npt.NDArray[np.float32]
Labels = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Data:
    """The training rows and the test rows, with their labels and the names of the features."""

    names: list[str]
    train: Rows
    train_label: Labels
    test: Rows
    test_label: Labels

    def without(self, names: tuple[str, ...]) -> Data:
        """Return the data without some features."""
        kept = [index for index, name in enumerate(self.names) if name not in names]
        return replace(
            self,
            names=[self.names[index] for index in kept],
            train=self.train[:, kept],
            test=self.test[:, kept],
        )

    def with_shifted_test_hours(self) -> Data:
        """Return the data with hours of the test month that are one too high."""
        test, hour = self.test.copy(), self.names.index("pickup_hour")
        test[:, hour] = (test[:, hour] + 1) % 24
        return replace(self, test=test)

    def with_flipped_labels(self, share: float) -> Data:
        """Return the data with some wrong labels in training."""
        flips = np.random.default_rng(0).random(len(self.train_label)) < share
        return replace(self, train_label=self.train_label ^ flips)

    def with_reversed_rows(self) -> Data:
        """Return the data with the training rows in reverse order."""
        return replace(self, train=self.train[::-1].copy(), train_label=self.train_label[::-1])

    def with_shuffled_rows(self) -> Data:
        """Return the data with the training rows in a random order."""
        order = np.random.default_rng(0).permutation(len(self.train))
        return replace(self, train=self.train[order], train_label=self.train_label[order])

    def with_test_rows(self) -> Data:
        """Return the data with the test month among the training months."""
        return replace(
            self,
            train=np.concatenate([self.train, self.test]),
            train_label=np.concatenate([self.train_label, self.test_label]),
        )

    def first_rows(self, count: int) -> Data:
        """Return the data with only the first training rows."""
        return replace(self, train=self.train[:count], train_label=self.train_label[:count])


@dataclass(frozen=True)
class Variant:
    """A model: changes of the data and of the parameters of XGBoost."""

    name: str
    is_good: bool
    """Whether an engine that does the job can have this model, or one that is as good."""
    change: Callable[[Data], Data] = lambda data: data
    params: tuple[tuple[str, Any], ...] = ()
    rounds: int = ELEVEN_FEATURES.rounds


# Models of the same job, with a bin for each zone. Their AUCs differ only by chance.
EQUAL_VARIANTS = (
    Variant("the job", is_good=True),
    *(Variant(f"{bins} bins", is_good=True, params=(("max_bin", bins),)) for bins in (280, 320, 400, 512)),
    Variant("training rows in reverse order", is_good=True, change=Data.with_reversed_rows),
    Variant("training rows in random order", is_good=True, change=Data.with_shuffled_rows),
)


def variants(first_month: int) -> list[Variant]:
    """Return all models. `first_month` is the number of trips in the first month."""
    return [
        *EQUAL_VARIANTS,
        Variant("256 bins", is_good=True, params=(("max_bin", 256),)),
        Variant("95 of 100 rounds", is_good=True, rounds=95),
        Variant("trained on one month", is_good=False, change=lambda data: data.first_rows(first_month)),
        Variant("without the zones", is_good=False, change=lambda data: data.without(ZONES)),
        Variant("hour shifted in the test month", is_good=False, change=Data.with_shifted_test_hours),
        Variant(
            "a third of the training labels wrong",
            is_good=False,
            change=lambda data: data.with_flipped_labels(1 / 3),
        ),
        Variant("depth 3", is_good=False, params=(("max_depth", 3),)),
        Variant("10 of 100 rounds", is_good=False, rounds=10),
        Variant("learning rate 1", is_good=False, params=(("eta", 1.0),)),
        Variant("test month used in training", is_good=False, change=Data.with_test_rows),
    ]


def train_auc(data: Data, variant: Variant) -> float:
    """Return the AUC of a model in the test month."""
    changed = variant.change(data)
    params = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": ELEVEN_FEATURES.max_depth,
        "eta": 0.1,
        "max_bin": 300,
        "nthread": available_cores(),
        **dict(variant.params),
    }
    matrix = xgb.DMatrix(changed.train, label=changed.train_label, nthread=params["nthread"])
    booster = xgb.train(params, matrix, variant.rounds)
    return float(roc_auc_score(changed.test_label, booster.inplace_predict(changed.test)))


def load_data(folder: Path) -> tuple[Data, int]:
    """Return the rows of the job, and the number of trips in the first month."""
    months = list(define_months(folder))
    names = list(months[0].features)
    train = months[:-1]
    data = Data(
        names,
        np.concatenate([_matrix(month) for month in train]),
        np.concatenate([month.high_tip for month in train]),
        _matrix(months[-1]),
        months[-1].high_tip,
    )
    return data, len(months[0].trip_id)


def _matrix(month: DefinedMonth) -> Rows:
    return np.column_stack(list(month.features.values()))


def main() -> int:
    """Train all models, and print the AUC of each. Exit with 2 for a year without a band."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bands", description=__doc__)
    parser.add_argument("--rows", type=positive_int, default=100_000, help="mean number of trips per month")
    parser.add_argument("--seed", type=int, default=2020, help="random seed of the synthetic year")
    parser.add_argument("--data", type=Path, default=Path("toytip-data/bench"), help="folder for the year")
    parser.add_argument("--output", "-o", type=Path, help="result file or folder (default: print only)")
    options = parser.parse_args()
    try:
        measure_bands(options)
    except InvalidInputError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    return 0


def measure_bands(options: argparse.Namespace) -> None:
    """Train all models, and print and store the AUC of each."""
    source = synthetic_source(options.data, options.rows, options.seed)
    work = (
        ELEVEN_FEATURES.name,
        source.name,
        source.rows,
        ELEVEN_FEATURES.rounds,
        ELEVEN_FEATURES.max_depth,
    )
    if work not in AUC_BANDS:
        raise InvalidInputError(f"cannot measure the band of {source.name}: it has no band")
    low, high = AUC_BANDS[work]
    data, first_month = load_data(source.folder)
    run = timestamp()
    for variant in variants(first_month):
        auc = round(train_auc(data, variant), 5)
        where = "inside" if low <= auc <= high else "outside"
        print_line(f"{variant.name}: AUC {auc:.5f}, {where} of {low:.4f} to {high:.4f}")
        if options.output:
            row = {"name": variant.name, "is_good": variant.is_good, "auc": auc, "low": low, "high": high}
            keys = {"workload": WORKLOAD, "run": run, "source": source.name, "rows": source.rows}
            append_result(options.output, {**keys, **row, **machine_columns()})


if __name__ == "__main__":
    sys.exit(main())
