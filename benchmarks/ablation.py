"""What groups of features are worth: `python -m benchmarks.ablation --source data/green-2023`.

Trains in this process, as a run does, with and without each group, and prints the test AUC over all trips and over those
paid by card. `surcharge_ratio` and `airport` are candidates that toytip does not have: they are made here.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import pandas as pd
import xgboost as xgb
from sklearn.metrics import roc_auc_score

from toytip.core.parameters import BoosterParams
from toytip.core.splits import CARD_PAYMENT_TYPE, Split, plan_split, split_names
from toytip.sources import discovery as sources
from toytip.stages import clean, conform, featurize, infer, preprocess, zone_rates
from toytip.stages.summarize import AIRPORT_ZONES

SURCHARGES = (
    "extra", "mta_tax", "tolls_amount", "improvement_surcharge", "congestion_surcharge", "airport_fee",
    "cbd_congestion_fee",
)  # fmt: skip
# The set of features, and the trips that are learned from.
TRAINING_TASKS = (("payment", "all"), ("dropoff", "all"), ("dropoff", "card"))


@dataclass(frozen=True)
class FeatureGroup:
    """Features beside the natural ones: columns that are made here, and rates by zone."""

    name: str
    columns: tuple[str, ...] = ()
    rates: bool = False


FEATURE_GROUPS = (
    FeatureGroup("natural features"),
    FeatureGroup("+ surcharge ratio", ("surcharge_ratio",)),
    FeatureGroup("+ airport flags", ("pickup_airport", "dropoff_airport")),
    FeatureGroup("+ rates by zone", (), rates=True),
    FeatureGroup("+ all of these", ("surcharge_ratio", "pickup_airport", "dropoff_airport"), rates=True),
)


def load_features(uri: str) -> tuple[pd.DataFrame, Split]:
    """Read a source into one frame of `features`, with the candidates; and its default split."""
    found = sources.open_source(uri)
    parts = []
    for part in found.partitions(10**9):
        trips, _ = clean.clean(conform.conform(sources.load(part), part))
        parts.append(featurize.featurize(trips))
    frame = pd.concat(parts, ignore_index=True)
    paid = sum(frame[name].fillna(0).astype("float64") for name in SURCHARGES)
    frame["surcharge_ratio"] = (paid / frame["fare_amount"]).astype("float32")
    for end, zone in (("pickup", "PULocationID"), ("dropoff", "DOLocationID")):
        frame[f"{end}_airport"] = frame[zone].isin(AIRPORT_ZONES).astype("float32")
    return frame, plan_split(found.months)


def train_and_score(
    frame: pd.DataFrame, split: Split, task: tuple[str, str], group: FeatureGroup
) -> tuple[float, float]:
    """Train on a task with a group of features; return the test AUC over all trips and over card trips."""
    features, population = task
    names = (*featurize.feature_set(features), *group.columns)
    census = preprocess.count_values(frame, names, split, population)
    wanted = zone_rates.zone_rates_for(features) if group.rates else ()
    encoding = preprocess.fit_encoding(census, split, population, wanted)
    params, matrices = BoosterParams(), {}
    where = split_names(frame, split, population)
    for name in ("train", "valid"):
        rows = frame[where == name].reset_index(drop=True)
        codes = preprocess.encode(rows, encoding)
        matrices[name] = xgb.QuantileDMatrix(
            codes, rows["high_tip"], max_bin=encoding.max_bin, ref=matrices.get("train")
        )
    booster = xgb.train(
        {
            "objective": "binary:logistic", "eval_metric": "logloss", "max_depth": params.max_depth,
            "eta": params.learning_rate, "max_bin": encoding.max_bin,
        },
        matrices["train"],
        params.rounds,
        evals=[(matrices["valid"], "valid")],
        early_stopping_rounds=params.early_stopping_rounds,
        verbose_eval=False,
    )  # fmt: skip
    rows = frame[split_names(frame, split, "all") == "test"].reset_index(drop=True)
    model = bytes(booster[: booster.best_iteration + 1].save_raw("ubj"))
    chance = infer.predict_probabilities(preprocess.encode(rows, encoding), model)
    card = (rows["payment_type"] == CARD_PAYMENT_TYPE).to_numpy()
    label = rows["high_tip"].to_numpy()
    return roc_auc_score(label, chance), roc_auc_score(label[card], chance[card])


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("--source", required=True, help="folder of monthly files")
    frame, split = load_features(parser.parse_args().source)
    print(f"{len(frame):,} trips, test {split.test.start[:7]}")
    tasks = [f"{features}, learned from {population}" for features, population in TRAINING_TASKS]
    print("| features | " + " | ".join(f"{task}: all | card" for task in tasks) + " |")
    print("|---" * (2 * len(TRAINING_TASKS) + 1) + "|")
    for group in FEATURE_GROUPS:
        cells = [
            f"{value:.4f}" for task in TRAINING_TASKS for value in train_and_score(frame, split, task, group)
        ]
        print(f"| {group.name} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
