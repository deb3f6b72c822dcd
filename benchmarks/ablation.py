"""Measure how much groups of features improve the AUC.

    python -m benchmarks.ablation --source data/green-2023

The command trains models in this process, with and without each group. It prints the test AUC on
all trips and on card trips. `surcharge_ratio` and the airport flags are candidates: toytip does not
have these features.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import pandas as pd
import xgboost as xgb
from sklearn.metrics import roc_auc_score

from toytip.core.model import Encoding
from toytip.core.parameters import BoosterParams
from toytip.core.splits import Split, plan_split, split_names
from toytip.datasets.tlc.rides import AIRPORT_ZONES
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.errors import ToytipError
from toytip.sources.discovery import open_source
from toytip.sources.reader import read_partition
from toytip.stages import clean, conform, featurize, infer, preprocess

SURCHARGES = (
    "extra",
    "mta_tax",
    "tolls_amount",
    "improvement_surcharge",
    "congestion_surcharge",
    "airport_fee",
    "cbd_congestion_fee",
)
# Pairs of a feature set and the segment of the training trips.
TRAINING_TASKS = (("payment", "all"), ("dropoff", "all"), ("dropoff", "card"))


@dataclass(frozen=True)
class FeatureGroup:
    """Features that are added to a feature set: columns of candidates, and target encodings."""

    name: str
    columns: tuple[str, ...] = ()
    zone_rates: bool = False


FEATURE_GROUPS = (
    FeatureGroup("feature set"),
    FeatureGroup("+ surcharge ratio", ("surcharge_ratio",)),
    FeatureGroup("+ airport flags", ("pickup_airport", "dropoff_airport")),
    FeatureGroup("+ target encoding", (), zone_rates=True),
    FeatureGroup("+ all of these", ("surcharge_ratio", "pickup_airport", "dropoff_airport"), zone_rates=True),
)


def load_features(spec: str) -> tuple[pd.DataFrame, Split]:
    """Return the features of a source with the candidates, and the default split of its months."""
    source = open_source(spec)
    parts = []
    for partition in source.partitions(10**9):
        accepted, _ = clean.clean(conform.conform(read_partition(partition), partition, TLC), TLC)
        parts.append(featurize.featurize(accepted, TLC))
    frame = pd.concat(parts, ignore_index=True)
    surcharges = sum(frame[name].fillna(0).astype("float64") for name in SURCHARGES)
    frame["surcharge_ratio"] = (surcharges / frame["fare_amount"]).astype("float32")
    for end, zone in (("pickup", "PULocationID"), ("dropoff", "DOLocationID")):
        frame[f"{end}_airport"] = frame[zone].isin(AIRPORT_ZONES).astype("float32")
    return frame, plan_split(source.months)


def train_and_score(
    frame: pd.DataFrame, split: Split, task: tuple[str, str], group: FeatureGroup
) -> tuple[float, float]:
    """Train with a group of features. Return the test AUC on all trips and on card trips."""
    feature_set, segment = task
    names = (*TLC.feature_set(feature_set), *group.columns)
    value_counts = preprocess.count_values(frame, names, split, segment, TLC)
    rate_names = TLC.target_rate_set(feature_set) if group.zone_rates else ()
    encoding = preprocess.fit_encoding(value_counts, split, segment, TLC, rate_names)
    booster = _train(frame, encoding, split_names(frame, split, segment, TLC))
    rows = frame[split_names(frame, split, "all", TLC) == "test"].reset_index(drop=True)
    probability = infer.predict_probabilities(preprocess.encode(rows, encoding), booster)
    card = TLC.segment_mask(rows)
    label = rows["high_tip"].to_numpy()
    return roc_auc_score(label, probability), roc_auc_score(label[card], probability[card])


def _train(frame: pd.DataFrame, encoding: Encoding, split: pd.Series) -> bytes:
    params = BoosterParams()
    matrices: dict[str, xgb.QuantileDMatrix] = {}
    for name in ("train", "validation"):
        rows = frame[split == name].reset_index(drop=True)
        matrices[name] = xgb.QuantileDMatrix(
            preprocess.encode(rows, encoding),
            rows["high_tip"],
            max_bin=encoding.max_bin,
            ref=matrices.get("train"),
        )
    booster = xgb.train(
        {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "max_depth": params.max_depth,
            "eta": params.learning_rate,
            "max_bin": encoding.max_bin,
        },
        matrices["train"],
        params.rounds,
        evals=[(matrices["validation"], "validation")],
        early_stopping_rounds=params.early_stopping_rounds,
        verbose_eval=False,
    )
    return bytes(booster[: booster.best_iteration + 1].save_raw("ubj"))


def main() -> int:
    """Print a table of test AUCs. Return 0, or exit with 2 if the source cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--source", required=True, help="folder with monthly files")
    options = parser.parse_args()
    try:
        frame, split = load_features(options.source)
    except ToytipError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(f"{len(frame):,} trips, test {split.test.start[:7]}")
    tasks = [f"{feature_set}, trained on {segment}" for feature_set, segment in TRAINING_TASKS]
    print("| features | " + " | ".join(f"{task}: all | card" for task in tasks) + " |")
    print("|---" * (2 * len(TRAINING_TASKS) + 1) + "|")
    for group in FEATURE_GROUPS:
        cells = [
            f"{auc:.4f}" for task in TRAINING_TASKS for auc in train_and_score(frame, split, task, group)
        ]
        print(f"| {group.name} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
