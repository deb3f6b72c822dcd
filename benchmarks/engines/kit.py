"""The job of an engine in Python: its arguments, columns, timing and output.

An engine is a folder with `engine.toml` and an executable `run`. `benchmarks/RULES.md` defines the
job. The folder of this file is on the path of Python when the benchmark starts an engine.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
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
# The columns that an engine writes in addition to the probability.
KEY_COLUMNS = ["trip_id", "high_tip"]
DECISION_THRESHOLD = 0.5
# Zones have up to 265 values. With fewer bins, neighboring zones would share a bin.
MAX_BIN = 300
# The digits of a trip ID are the taxi type (1 for yellow, 2 for green, 3 for fhvhv), the year and
# month, and the row of the file.
ROWS_IN_FILE, YELLOW, GREEN, FHVHV = 10**9, 10**6, 2 * 10**6, 3 * 10**6


@dataclass(frozen=True)
class Trips:
    """The columns of the files of a taxi type, and the features of its job."""

    digits: int
    """The taxi type in a trip ID."""
    pickup: str
    dropoff: str
    distance: str
    fare: str
    tip: str
    features: list[str]
    nullable: list[str]
    """Features that are columns of the files and can be null."""

    @property
    def required(self) -> list[str]:
        """The columns without which a trip is not kept."""
        times = [self.pickup, self.dropoff]
        return [*times, self.distance, "PULocationID", "DOLocationID", self.fare, self.tip]

    @property
    def columns(self) -> list[str]:
        """The columns that an engine reads."""
        return [*self.required, *self.nullable]


YELLOW_TRIPS = Trips(
    YELLOW,
    "tpep_pickup_datetime",
    "tpep_dropoff_datetime",
    "trip_distance",
    "fare_amount",
    "tip_amount",
    FEATURES,
    ["passenger_count", "RatecodeID"],
)
FHVHV_TRIPS = Trips(
    FHVHV,
    "pickup_datetime",
    "dropoff_datetime",
    "trip_miles",
    "base_passenger_fare",
    "tips",
    [*FEATURES[:4], "trip_miles", "trip_time", "trip_speed", "PULocationID", "DOLocationID"],
    ["trip_time"],
)
TRIPS = {"yellow": YELLOW_TRIPS, "fhvhv": FHVHV_TRIPS}
REQUIRED_COLUMNS, READ_COLUMNS = YELLOW_TRIPS.required, YELLOW_TRIPS.columns


class Job:
    """The arguments of an engine, its monthly files (oldest first), and a timer of its laps."""

    def __init__(self) -> None:
        self.source, self.output, job_file = map(Path, sys.argv[1:])
        self.limits = json.loads(job_file.read_text())
        self.rounds, self.threads = self.limits["rounds"], self.limits["threads"]
        self.options = self.limits["options"]
        self.trips = TRIPS[self.options.get("taxi", "yellow")]
        self.files = sorted(self.source.glob("*.parquet"))
        self.months = [(int(file.stem[-7:-3]), int(file.stem[-2:])) for file in self.files]
        self.kept = 0
        self.features = self.trips.features
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


def first_trip_id(month: tuple[int, int], taxi: int = YELLOW) -> int:
    """Return the trip ID of row 0 of a monthly file."""
    return (taxi + month[0] * 100 + month[1]) * ROWS_IN_FILE
