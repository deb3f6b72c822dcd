"""What is measured: contenders, each a command that does the whole work and leaves predictions, to be judged alike."""

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
    """The work: a folder of months, and how to train. All months but the last are trained on."""

    source: Path
    rounds: int = 100
    max_depth: int = 8
    eta: float = 0.1


@dataclass(frozen=True)
class Contender:
    """Someone who does the work: the command, the folder of its predictions, and whether it trains as toytip does.

    `workers` are processes of a cluster, or threads of the one process.
    """

    name: str
    workers: int
    command: Callable[[BenchmarkTask, Path], list[str]]
    read_result: Callable[[Measurement, Path], dict[str, Any]]
    trains_alike: bool = True
    uses_wall_time: bool = True  # its wall time is the work's; otherwise the sum of its laps is


def make_toytip(workers: int) -> Contender:
    """Return `toytip run` on so many workers, without what the peers do not do: registry and gate."""

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        return [
            "-m", "toytip", "run", "--source", str(task.source), "--store", str(out), "--fresh", "--gate", "off",
            "--features", "seed", "--valid", "none", "--early-stop", "0", "--rounds", str(task.rounds),
            "--max-depth", str(task.max_depth), "--eta", str(task.eta), "--workers", str(workers), "--json",
        ]  # fmt: skip

    def told(measured: Measurement, _: Path) -> dict[str, Any]:
        summary = json.loads(measured.output.splitlines()[-1])
        return {
            "stages": summary["stage_seconds"],
            "kept": summary["rows"]["kept"],
            "predictions": summary["tables"]["predictions"]["path"],
        }

    return Contender(f"toytip-{workers}", workers, command, told)


def make_peer(
    name: str, *flags: str, trains_alike: bool = True, uses_wall_time: bool = True, label: str = ""
) -> Contender:
    """Return a peer, by the name of its module, with more of its flags; it has all cores, as toytip does."""
    workers = available_cores()

    def command(task: BenchmarkTask, out: Path) -> list[str]:
        return [
            "-m", f"benchmarks.peers.{name}", str(task.source), str(out), "--rounds", str(task.rounds),
            "--max-depth", str(task.max_depth), "--eta", str(task.eta), "--workers", str(workers), *flags,
        ]  # fmt: skip

    def told(measured: Measurement, out: Path) -> dict[str, Any]:
        return {**json.loads(measured.output.splitlines()[-1]), "predictions": str(out / "version=1")}

    return Contender(label or name, workers, command, told, trains_alike, uses_wall_time)


PEERS = {
    each.name: each
    for each in (
        make_peer("limit", uses_wall_time=False),
        make_peer("polars_xgboost"),
        make_peer("duckdb_xgboost"),
        make_peer("pandas_xgboost"),
        make_peer("dask_xgboost"),
        make_peer("original", trains_alike=False),
        make_peer("original", "--learn-from", "11", trains_alike=False, label="original_year"),
    )
}

# A forest of eleven months takes longer than all the others together.
DEFAULT_CONTENDERS = [name for name in PEERS if name != "original_year"]


def last_month_auc(predictions: Path) -> float:
    """Return the AUC of the predictions of the last month."""
    months = sorted(
        predictions.glob("year=*/month=*"), key=lambda p: [int(x.split("=")[1]) for x in p.parts[-2:]]
    )
    # The folder's names are not columns here: what the files hold is enough.
    tables = [
        pq.ParquetFile(file).read(["high_tip", "probability"])
        for file in sorted(months[-1].glob("*.parquet"))
    ]
    label, chance = (
        np.concatenate([table[name].to_numpy() for table in tables]) for name in ("high_tip", "probability")
    )
    return float(roc_auc_score(label, chance))
