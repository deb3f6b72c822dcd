"""The workloads: the work that all contenders do, and the contenders that can do it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.contenders import Contender, make_engine
from benchmarks.engine_folders import Engine, find_engines
from benchmarks.results import InvalidInputError
from toytip.cluster import available_cores
from toytip.core.parameters import BoosterParams
from toytip.errors import ToytipError

MONTHS = 12
# The optional contender that does all work of `toytip run`, with the promotion gate.
EVERYTHING = "toytip-everything"
# Real months for the workload `defaults`.
SOURCE_VARIABLE, DOWNLOADED_YEAR = "TOYTIP_BENCH_SOURCE", Path("data/green-2023")


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The work of all contenders, and its parameters."""

    name: str
    rounds: int
    """Maximum number of boosting rounds."""
    max_depth: int
    """Maximum depth of a tree."""
    toytip_options: Mapping[str, Any]
    """Options of `toytip run` in addition to those of every workload."""
    engines: tuple[Engine, ...]
    """The engines that can do the work."""
    taxi: str = "yellow"
    """Taxi type of the synthetic trips."""
    defines_features: bool = False
    """Whether the job defines the value of each feature, so that all engines have equal values."""
    everything_options: Mapping[str, Any] | None = None
    """Options of the contender EVERYTHING: `toytip run` with all of its work. None without it."""

    def make_toytip(self, workers: int) -> Contender:
        """Return toytip with a number of workers."""
        return contenders.make_toytip(workers, self.toytip_options)

    def select_peers(self, names: list[str] | None) -> list[Contender]:
        """Return the named peers of the workload. None stands for all that are not optional."""
        engines = [
            make_engine(engine)
            for engine in self.engines
            if (not engine.optional if names is None else engine.name in names)
        ]
        if self.everything_options is None or EVERYTHING not in (names or ()):
            return engines
        toytip = contenders.make_toytip(available_cores(), self.everything_options)
        return [replace(toytip, name=EVERYTHING), *engines]


# The order of the results. Other engines follow by name.
FIRST_ENGINES = (
    "lower_bound",
    "polars_xgboost",
    "polars_tuned",
    "duckdb_xgboost",
    "pandas_xgboost",
    "dask_xgboost",
    "random_forest",
    "random_forest_year",
)


def _engines_of(job: str) -> tuple[Engine, ...]:
    """Return the engines that do a job."""
    engines = {engine.name: engine for engine in find_engines() if engine.job == job}
    first = [engines.pop(name) for name in FIRST_ENGINES if name in engines]
    return (*first, *engines.values())


ELEVEN_FEATURES = Workload(
    name="eleven-features",
    rounds=100,
    max_depth=8,
    toytip_options=contenders.SEED_FEATURES,
    engines=_engines_of("eleven-features"),
    defines_features=True,
    everything_options=contenders.EVERYTHING,
)
DEFAULTS = Workload(
    name="defaults",
    rounds=BoosterParams.rounds,
    max_depth=BoosterParams.max_depth,
    toytip_options={},
    engines=_engines_of("defaults"),
)
FHVHV = replace(
    ELEVEN_FEATURES, name="fhvhv", engines=_engines_of("fhvhv"), taxi="fhvhv", everything_options=None
)
WORKLOADS = {workload.name: workload for workload in (ELEVEN_FEATURES, DEFAULTS, FHVHV)}
PEER_NAMES = (EVERYTHING, *(engine.name for workload in WORKLOADS.values() for engine in workload.engines))


@dataclass(frozen=True)
class BenchmarkSource:
    """Monthly files, with their name and number of rows in the results."""

    folder: Path
    name: str
    rows: int
    synthetic: bool


def real_source(folder: Path | None) -> BenchmarkSource | None:
    """Return real months: of the folder, of the variable, or downloaded ones. None without them.

    Raises InvalidInputError if a folder that the user named has no monthly files.
    """
    from toytip.sources.discovery import open_source

    named = folder or (Path(os.environ[SOURCE_VARIABLE]) if os.environ.get(SOURCE_VARIABLE) else None)
    found = named or DOWNLOADED_YEAR
    if named is None and not found.is_dir():
        return None
    try:
        source = open_source(str(found))
    except ToytipError as error:
        raise InvalidInputError(str(error)) from None
    return BenchmarkSource(found, found.resolve().name, source.rows, synthetic=False)


def synthetic_source(folder: Path, rows_per_month: int, seed: int, taxi: str = "yellow") -> BenchmarkSource:
    """Return a synthetic year. Generate the year if it does not exist in the folder."""
    from benchmarks.dataset import write_year
    from toytip.sources.discovery import open_source

    prefix = "synthetic" if taxi == "yellow" else f"synthetic-{taxi}"
    year = Path(folder, f"{prefix}-{rows_per_month}-{seed}")
    if len(list(year.glob("*.parquet"))) < MONTHS:
        write_year(year, taxi, rows_per_month, seed)
    return BenchmarkSource(year, year.name, open_source(str(year)).rows, synthetic=True)
