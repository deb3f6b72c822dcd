"""The contenders: commands that train a model on a year of trips and write predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from benchmarks.harness import Measurement
from toytip.cluster import available_cores


@dataclass(frozen=True)
class BenchmarkTask:
    """A folder with monthly files, and training parameters. The last month is the test month."""

    source: Path
    rounds: int = 100
    max_depth: int = 8
    learning_rate: float = 0.1


@dataclass(frozen=True)
class ContenderOutput:
    """The output of a contender. `predictions` is the folder with its predictions."""

    stage_seconds: dict[str, float]
    accepted_rows: int
    predictions: Path


@dataclass(frozen=True)
class Contender:
    """A program that does the work, with its command.

    `workers` is the number of processes of a cluster, or of threads of one process. `trains_alike`
    is whether the contender trains the same model as toytip. If `uses_wall_time` is false, the time
    of the contender is the sum of its stages.
    """

    name: str
    workers: int
    command: Callable[[BenchmarkTask, Path], list[str]]
    read_output: Callable[[Measurement, Path], ContenderOutput]
    trains_alike: bool = True
    uses_wall_time: bool = True


def make_toytip(workers: int) -> Contender:
    """Return `toytip run` on local workers. It has no promotion gate, because peers have none."""

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        options: dict[str, Any] = {
            "--source": task.source,
            "--store": out,
            "--gate": "off",
            "--feature-set": "seed",
            "--validation-month": "none",
            "--early-stopping-rounds": 0,
            "--rounds": task.rounds,
            "--max-depth": task.max_depth,
            "--learning-rate": task.learning_rate,
            "--workers": workers,
        }
        return ["-m", "toytip", "run", "--full-refresh", "--json", *_to_words(options)]

    def read_output(measurement: Measurement, _: Path) -> ContenderOutput:
        summary = json.loads(measurement.output.splitlines()[-1])
        return ContenderOutput(
            summary["stage_seconds"],
            summary["rows"]["kept"],
            Path(summary["tables"]["predictions"]["path"]),
        )

    return Contender(f"toytip-{workers}", workers, command, read_output)


def make_peer(
    module: str, *flags: str, name: str = "", trains_alike: bool = True, uses_wall_time: bool = True
) -> Contender:
    """Return the peer in a module of `benchmarks.peers`. It uses all cores, like toytip."""
    workers = available_cores()

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        options: dict[str, Any] = {
            "--rounds": task.rounds,
            "--max-depth": task.max_depth,
            "--learning-rate": task.learning_rate,
            "--workers": workers,
        }
        folders = [str(task.source), str(out)]
        return ["-m", f"benchmarks.peers.{module}", *folders, *_to_words(options), *flags]

    def read_output(measurement: Measurement, out: Path) -> ContenderOutput:
        output = json.loads(measurement.output.splitlines()[-1])
        return ContenderOutput(output["stage_seconds"], output["accepted_rows"], out / "version=1")

    return Contender(name or module, workers, command, read_output, trains_alike, uses_wall_time)


def _to_words(options: dict[str, Any]) -> list[str]:
    return [str(word) for option in options.items() for word in option]


PEERS = {
    peer.name: peer
    for peer in (
        make_peer("lower_bound", uses_wall_time=False),
        make_peer("polars_xgboost"),
        make_peer("duckdb_xgboost"),
        make_peer("pandas_xgboost"),
        make_peer("dask_xgboost"),
        make_peer("random_forest", trains_alike=False),
        make_peer("random_forest", "--train-months", "11", name="random_forest_year", trains_alike=False),
    )
}

# Training a random forest on eleven months takes longer than all other contenders together.
DEFAULT_PEERS = [name for name in PEERS if name != "random_forest_year"]


def last_month_auc(predictions: Path) -> float:
    """Return the AUC of the predictions for the last month."""
    last_month = max(
        predictions.glob("year=*/month=*"),
        key=lambda path: [int(part.split("=")[1]) for part in path.parts[-2:]],
    )
    # `ParquetFile` does not add the partition columns, which are not necessary here.
    tables = [
        pq.ParquetFile(file).read(["high_tip", "probability"])
        for file in sorted(last_month.glob("*.parquet"))
    ]
    label, probability = (
        np.concatenate([table[name].to_numpy() for table in tables]) for name in ("high_tip", "probability")
    )
    return float(roc_auc_score(label, probability))
