"""The job of an engine in Python: its arguments, columns, timing and output.

An engine is a folder with `engine.toml` and an executable `run`. `benchmarks/RULES.md` defines the
job. The folder of this file is on the path of Python when the benchmark starts an engine.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

# The features of the job `eleven-features`, which are those of toy-ml-pipeline.
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
# The columns that an engine writes in addition to the probability.
KEY_COLUMNS = ["trip_id", "high_tip"]
DECISION_THRESHOLD = 0.5
# Zones have up to 265 values. With fewer bins, neighboring zones would share a bin.
MAX_BIN = 300
# The digits of a trip ID are the taxi type (1 for yellow), the year and month, and the row of the
# file.
ROWS_IN_FILE, YELLOW = 10**9, 10**6
# Difference between the trip IDs of a green and a yellow trip.
GREEN_TRIP_IDS = YELLOW * ROWS_IN_FILE


class Job:
    """The arguments of an engine, its monthly files (oldest first), and a timer of its laps."""

    def __init__(self) -> None:
        self.source, self.output, job_file = map(Path, sys.argv[1:])
        self.limits = json.loads(job_file.read_text())
        self.rounds, self.threads = self.limits["rounds"], self.limits["threads"]
        self.options = self.limits["options"]
        self.files = sorted(self.source.glob("*.parquet"))
        self.months = [(int(file.stem[-7:-3]), int(file.stem[-2:])) for file in self.files]
        self.kept = 0
        self.features = FEATURES
        self.model_rounds = self.rounds
        self.metrics: dict[str, float] = {}
        self._laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last call to the time of a lap."""
        now = time.perf_counter()
        self._laps[name] = self._laps.get(name, 0) + now - self._last
        self._last = now

    def skip_time(self) -> None:
        """Do not count the time since the last call for any lap."""
        self._last = time.perf_counter()

    def params(self) -> dict[str, Any]:
        """Return the parameters of XGBoost."""
        return {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_depth": self.limits["max_depth"],
            "eta": self.limits["learning_rate"],
            "max_bin": MAX_BIN,
            "nthread": self.threads,
        }

    def prediction_file(self, month: tuple[int, int]) -> Path:
        """Return the path for the predictions of a month, and create its folder."""
        return self._file("predictions", month)

    def feature_file(self, month: tuple[int, int]) -> Path | None:
        """Return the path for the features of a month. None if the job has no features."""
        return self._file("features", month) if self.limits["features"] else None

    def _file(self, name: str, month: tuple[int, int]) -> Path:
        folder = self.output / name / f"year={month[0]}" / f"month={month[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        return Path(folder, "part-00000.parquet")

    def write_laps(self) -> None:
        """Write the seconds of each lap, and facts about the rows and the model."""
        laps = {
            "laps": {name: round(value, 3) for name, value in self._laps.items()},
            "kept": self.kept,
            "features": self.features,
            "model_rounds": self.model_rounds,
            "metrics": self.metrics,
        }
        (self.output / "laps.json").write_text(json.dumps(laps))


def first_trip_id(month: tuple[int, int]) -> int:
    """Return the trip ID of row 0 of a monthly file of yellow trips."""
    return (YELLOW + month[0] * 100 + month[1]) * ROWS_IN_FILE
