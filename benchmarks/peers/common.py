"""The arguments, columns, timing and output of a peer."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

# The features of the feature set `seed`, which are those of toy-ml-pipeline.
FEATURES = [
    "pickup_weekday",
    "pickup_hour",
    "pickup_minute",
    "work_hours",
    "passenger_count",
    "trip_distance",
    "trip_time",
    "trip_speed",
    "PULocationID",
    "DOLocationID",
    "RatecodeID",
]
REQUIRED_COLUMNS = [
    "tpep_pickup_datetime",
    "tpep_dropoff_datetime",
    "trip_distance",
    "PULocationID",
    "DOLocationID",
    "fare_amount",
    "tip_amount",
]
READ_COLUMNS = [*REQUIRED_COLUMNS, "passenger_count", "RatecodeID"]
# The columns that a peer writes in addition to its predictions.
PREDICTION_COLUMNS = ["pickup_at", "PULocationID", "DOLocationID", "high_tip"]
MAX_BIN = 256
DECISION_THRESHOLD = 0.5


class Peer:
    """The arguments of a peer, its monthly files (oldest first), and a timer of its stages."""

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("source", type=Path, help="folder with monthly files")
        parser.add_argument("out", type=Path, help="folder for the predictions")
        parser.add_argument("--rounds", type=int, default=100)
        parser.add_argument("--max-depth", type=int, default=8)
        parser.add_argument("--learning-rate", type=float, default=0.1)
        parser.add_argument(
            "--workers", type=int, default=2, help="number of threads, or of workers of a cluster"
        )
        parser.add_argument(
            "--train-months", type=int, default=1, help="number of training months (random forest only)"
        )
        parser.add_argument(
            "--early-stopping-rounds",
            type=int,
            default=20,
            help="number of rounds without a lower validation loss after which training stops "
            "(default settings only)",
        )
        self.options = parser.parse_args()
        self.files = sorted(self.options.source.glob("*.parquet"))
        self.months = [(int(file.stem[-7:-3]), int(file.stem[-2:])) for file in self.files]
        self.accepted_rows = 0
        self.features = FEATURES
        self.model_rounds = self.options.rounds
        self.metrics: dict[str, float] = {}
        self._stage_seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def record_stage(self, name: str) -> None:
        """Add the time since the last call to the time of a stage."""
        now = time.perf_counter()
        self._stage_seconds[name] = self._stage_seconds.get(name, 0) + now - self._last
        self._last = now

    def skip_time(self) -> None:
        """Do not count the time since the last call for any stage."""
        self._last = time.perf_counter()

    def params(self) -> dict[str, Any]:
        """Return the parameters of XGBoost, with the same values as in toytip."""
        return {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_depth": self.options.max_depth,
            "eta": self.options.learning_rate,
            "max_bin": MAX_BIN,
            "nthread": self.options.workers,
        }

    def prediction_file(self, month: tuple[int, int]) -> Path:
        """Return the path for the predictions of a month, and create its folder."""
        folder = self.options.out / "version=1" / f"year={month[0]}" / f"month={month[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        return Path(folder, "part-00000.parquet")

    def print_result(self) -> None:
        """Print the seconds by stage, and facts about the rows and the model, as a line of JSON."""
        output = {
            "stage_seconds": {name: round(value, 3) for name, value in self._stage_seconds.items()},
            "accepted_rows": self.accepted_rows,
            "features": self.features,
            "model_rounds": self.model_rounds,
            "metrics": self.metrics,
        }
        sys.stdout.write(json.dumps(output) + "\n")
