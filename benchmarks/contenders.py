"""The contenders: commands that train a model on a year of trips and write predictions."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from benchmarks.engine_folders import ENGINES, Engine, prepare_environment
from benchmarks.harness import Measurement
from toytip.cluster import available_cores

JOB_FILE, LAPS_FILE = "job.json", "laps.json"


@dataclass(frozen=True)
class BenchmarkTask:
    """A folder with monthly files, and training parameters. The last month is the test month."""

    source: Path
    rounds: int = 100
    max_depth: int = 8
    learning_rate: float = 0.1
    memory_mb: int | None = None
    """Limit of the memory of all processes of a contender. None for no limit."""
    features: bool = False
    """Whether an engine also writes its features. The time of such a run does not count."""


@dataclass(frozen=True)
class ContenderOutput:
    """The output of a contender."""

    stage_seconds: dict[str, float]
    accepted_rows: int
    predictions: Path
    """Folder with the predictions."""
    feature_folder: Path | None
    """Folder with the features. An engine writes it only if the job asks for features."""
    features: tuple[str, ...]
    """Names of the features of the model."""
    model_rounds: int
    """Number of boosting rounds of the model, after early stopping."""


@dataclass(frozen=True)
class Contender:
    """A program that does the work, with its command.

    `workers` is the number of processes of a cluster, or of threads of one process. `trains_alike`
    is whether the contender trains the same model as toytip. `kind` is `vanilla` or `tuned`. If
    `uses_wall_time` is false, the time of the contender is the sum of its stages. If `isolated` is
    true, the contender has only the loopback interface, because it opens ports on all interfaces.
    """

    name: str
    workers: int
    command: Callable[[BenchmarkTask, Path], list[str]]
    read_output: Callable[[Measurement, Path], ContenderOutput]
    trains_alike: bool = True
    kind: str = "tuned"
    uses_wall_time: bool = True
    isolated: bool = False
    engine: Engine | None = None
    """The engine that runs the command. None for toytip, which runs in this environment."""

    def program(self, environments: Path) -> tuple[str, dict[str, str]]:
        """Return the program of the command, and variables for its environment.

        Installs the engine if necessary. Raises InstallationError if the installation fails.
        """
        if self.engine is None:
            return sys.executable, {}
        programs = prepare_environment(self.engine, environments)
        path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
        # Engines in Python import the files next to their folders.
        return str(self.engine.program), {"PATH": path, "PYTHONPATH": str(ENGINES)}


# Options of `toytip run` for the features and the training of the engines in the workloads
# `eleven-features` and `fhvhv`. With `EVERYTHING`, the run does all of its other work, too.
# Otherwise it has no promotion gate, because the engines have none.
EVERYTHING = {"--feature-set": "seed", "--validation-month": "none", "--early-stopping-rounds": 0}
SEED_FEATURES = {"--gate": "off", **EVERYTHING}


def make_toytip(workers: int, fixed: Mapping[str, Any]) -> Contender:
    """Return `toytip run` on local workers, with these options in addition to those of the task."""

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        options = {"--source": task.source, "--store": out, "--workers": workers, **fixed}
        return ["-m", "toytip", "run", "--json", *_to_words(options | _training_options(task))]

    return Contender(f"toytip-{workers}", workers, command, read_toytip)


def read_toytip(measurement: Measurement, _: Path) -> ContenderOutput:
    """Return the output of a `toytip` command from its JSON."""
    result = json.loads(measurement.output.splitlines()[-1])
    features = result["tables"].get("features")
    return ContenderOutput(
        result["stage_seconds"],
        result["rows"]["kept"],
        Path(result["tables"]["predictions"]["path"]),
        Path(features["path"]) if features else None,
        tuple(result["model"]["features"]),
        result["model"]["rounds"],
    )


def make_engine(engine: Engine) -> Contender:
    """Return an engine as a contender. It uses all cores, like toytip."""
    threads = available_cores()

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        job = {
            "rounds": task.rounds,
            "max_depth": task.max_depth,
            "learning_rate": task.learning_rate,
            "threads": threads,
            "memory_mb": task.memory_mb,
            "features": task.features,
            "options": engine.options,
        }
        job_file = out / JOB_FILE
        job_file.write_text(json.dumps(job))
        return [str(task.source.absolute()), str(out), str(job_file)]

    return Contender(
        engine.name,
        threads,
        command,
        read_engine,
        trains_alike=engine.trains_alike,
        kind=engine.kind,
        uses_wall_time=engine.time == "wall",
        isolated=engine.isolated,
        engine=engine,
    )


def read_engine(_: Measurement, out: Path) -> ContenderOutput:
    """Return the output of an engine from its laps."""
    laps = json.loads((out / LAPS_FILE).read_text())
    return ContenderOutput(
        laps["laps"],
        laps["kept"],
        out / "predictions",
        out / "features",
        tuple(laps["features"]),
        laps["model_rounds"],
    )


def _training_options(task: BenchmarkTask) -> dict[str, Any]:
    return {"--rounds": task.rounds, "--max-depth": task.max_depth, "--learning-rate": task.learning_rate}


def _to_words(options: dict[str, Any]) -> list[str]:
    return [str(word) for option in options.items() for word in option]


def last_month_folder(predictions: Path) -> Path:
    """Return the folder with the predictions for the last month."""
    return max(
        predictions.glob("year=*/month=*"),
        key=lambda path: [int(part.split("=")[1]) for part in path.parts[-2:]],
    )


def last_month_auc(predictions: Path) -> float:
    """Return the AUC of the predictions for the last month."""
    # `ParquetFile` does not add the partition columns, which are not necessary here.
    tables = [
        pq.ParquetFile(file).read(["high_tip", "probability"])
        for file in sorted(last_month_folder(predictions).glob("*.parquet"))
    ]
    label, probability = (
        np.concatenate([table[name].to_numpy() for table in tables]) for name in ("high_tip", "probability")
    )
    return float(roc_auc_score(label, probability))
