"""The contenders: commands that train a model on a year of trips and write predictions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
    features: tuple[str, ...]
    """Names of the features of the model."""
    model_rounds: int
    """Number of boosting rounds of the model, after early stopping."""


@dataclass(frozen=True)
class Contender:
    """A program that does the work, with its command.

    `workers` is the number of processes of a cluster, or of threads of one process. `trains_alike`
    is whether the contender trains the same model as toytip. If `uses_wall_time` is false, the time
    of the contender is the sum of its stages. If `isolated` is true, the contender has only the
    loopback interface, because it opens ports on all interfaces.
    """

    name: str
    workers: int
    command: Callable[[BenchmarkTask, Path], list[str]]
    read_output: Callable[[Measurement, Path], ContenderOutput]
    trains_alike: bool = True
    uses_wall_time: bool = True
    isolated: bool = False


# Options of `toytip run` for the work of the peers in the workload `eleven-features`. The run has
# no promotion gate, because the peers have none.
ELEVEN_FEATURES = {
    "--gate": "off",
    "--feature-set": "seed",
    "--validation-month": "none",
    "--early-stopping-rounds": 0,
}


def make_toytip(workers: int, fixed: Mapping[str, Any]) -> Contender:
    """Return `toytip run` on local workers, with these options in addition to those of the task."""

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        options = {"--source": task.source, "--store": out, "--workers": workers, **fixed}
        return ["-m", "toytip", "run", "--json", *_to_words(options | _training_options(task))]

    return Contender(f"toytip-{workers}", workers, command, read_toytip)


def read_toytip(measurement: Measurement, _: Path) -> ContenderOutput:
    """Return the output of a `toytip` command from its JSON."""
    result = json.loads(measurement.output.splitlines()[-1])
    return ContenderOutput(
        result["stage_seconds"],
        result["rows"]["kept"],
        Path(result["tables"]["predictions"]["path"]),
        tuple(result["model"]["features"]),
        result["model"]["rounds"],
    )


def make_peer(module: str, *flags: str, name: str = "", **properties: bool) -> Contender:
    """Return the peer in a module of `benchmarks.peers`. It uses all cores, like toytip."""
    workers = available_cores()

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        options = {**_training_options(task), "--workers": workers}
        folders = [str(task.source), str(out)]
        return ["-m", f"benchmarks.peers.{module}", *folders, *_to_words(options), *flags]

    def read_output(measurement: Measurement, out: Path) -> ContenderOutput:
        output = json.loads(measurement.output.splitlines()[-1])
        return ContenderOutput(
            output["stage_seconds"],
            output["accepted_rows"],
            out / "version=1",
            tuple(output["features"]),
            output["model_rounds"],
        )

    return Contender(name or module, workers, command, read_output, **properties)


def _training_options(task: BenchmarkTask) -> dict[str, Any]:
    return {"--rounds": task.rounds, "--max-depth": task.max_depth, "--learning-rate": task.learning_rate}


def _to_words(options: dict[str, Any]) -> list[str]:
    return [str(word) for option in options.items() for word in option]


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
