"""Run a contender on a small year to check its features, and check the output of a measurement."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.conformance.check import check_features, check_rows
from benchmarks.conformance.differences import ScoredDays, score_days
from benchmarks.contenders import BenchmarkTask, Contender
from benchmarks.engine_folders import InstallationError
from benchmarks.harness import CommandFailedError, Limits, measure
from benchmarks.results import FAILED, PASSED, Level
from benchmarks.workloads import BenchmarkSource

# The features do not depend on the model, so a small model is enough.
ROUNDS, MAX_DEPTH = 3, 3


def conform(contender: Contender, source: BenchmarkSource, environments: Path, limits: Limits) -> Level:
    """Return whether the features of a contender have the expected values."""
    task = BenchmarkTask(source.folder, rounds=ROUNDS, max_depth=MAX_DEPTH, features=True)
    out = Path(tempfile.mkdtemp(prefix="toytip-bench-"))
    try:
        program, variables = contender.program(environments)
        measurement = measure(
            contender.command(task, out),
            name=contender.name,
            isolated=contender.isolated,
            program=program,
            variables=variables,
            limits=limits,
        )
        output = contender.read_output(measurement, out)
        if output.feature_folder is None or not output.feature_folder.exists():
            return Level.not_checked("the engine does not write its features")
        return check_features(output.feature_folder, source, output.features)
    except (CommandFailedError, InstallationError, OSError, ValueError, LookupError) as error:
        return Level(FAILED, f"the run that writes the features failed: {error}")
    finally:
        shutil.rmtree(out)


def check_output(predictions: Path, source: BenchmarkSource) -> tuple[Level, ScoredDays | None]:
    """Return the level `rows` of a contender, and its scored test month if it passes."""
    level = check_rows(predictions, source)
    return level, score_days(predictions, source) if level.status == PASSED else None
