"""What every peer is given, and tells: a source, a folder for its predictions, how to train; its laps, in JSON."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

# toytip's set `seed`: the features of the original.
FEATURES = [
    "pickup_weekday", "pickup_hour", "pickup_minute", "work_hours", "passenger_count", "trip_distance", "trip_time",
    "trip_speed", "PULocationID", "DOLocationID", "RatecodeID",
]  # fmt: skip
REQUIRED_COLUMNS = [
    "tpep_pickup_datetime", "tpep_dropoff_datetime", "trip_distance", "PULocationID", "DOLocationID", "fare_amount",
    "tip_amount",
]  # fmt: skip
READ_COLUMNS = [*REQUIRED_COLUMNS, "passenger_count", "RatecodeID"]
# What goes out beside the prediction.
PREDICTION_COLUMNS = ["pickup_at", "PULocationID", "DOLocationID", "high_tip"]


class Peer:
    """A peer at work: its options, its months in order of time, and a watch."""

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("source", type=Path)
        parser.add_argument("out", type=Path)
        parser.add_argument("--rounds", type=int, default=100)
        parser.add_argument("--max-depth", type=int, default=8)
        parser.add_argument("--eta", type=float, default=0.1)
        parser.add_argument("--workers", type=int, default=2, help="threads, or workers of a cluster")
        parser.add_argument("--learn-from", type=int, default=1, help="months, of the original's way alone")
        self.options = parser.parse_args()
        self.files = sorted(self.options.source.glob("*.parquet"))
        self.months = [(int(file.stem[-7:-3]), int(file.stem[-2:])) for file in self.files]
        self.laps: dict[str, float] = {}
        self.kept = 0
        self._last = time.perf_counter()

    def record_lap(self, name: str) -> None:
        """Add the time since the last lap to that of a name."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0) + now - self._last
        self._last = now

    def skip(self) -> None:
        """Leave out the time since the last lap."""
        self._last = time.perf_counter()

    def params(self) -> dict[str, Any]:
        """Return XGBoost's parameters, the same as toytip's."""
        return {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_depth": self.options.max_depth,
            "eta": self.options.eta,
            "max_bin": 256,
            "nthread": self.options.workers,
        }

    def prediction_file(self, month: tuple[int, int]) -> Path:
        """Return where a month's predictions go."""
        folder = self.options.out / "version=1" / f"year={month[0]}" / f"month={month[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        return Path(folder, "part-00000.parquet")

    def print_result(self) -> None:
        """Print the laps and rows as one line of JSON."""
        laps = {name: round(seconds, 3) for name, seconds in self.laps.items()}
        sys.stdout.write(json.dumps({"stages": laps, "kept": self.kept}) + "\n")
