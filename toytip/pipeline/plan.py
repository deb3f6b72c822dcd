"""The plan of a run, which is computed once, and an estimate of the memory that the run needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

from toytip.cluster import ClusterShape
from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.core.parameters import BoosterParams
from toytip.core.partitions import SourcePartition
from toytip.core.splits import Split, TimeRange, overlaps, plan_split
from toytip.core.text import plural
from toytip.errors import ConfigError, PlanError
from toytip.pipeline.startup.project import open_dataset
from toytip.progress.tracker import Progress
from toytip.sources.inspection import unusual_row_counts
from toytip.sources.source import Source
from toytip.training.memory import training_bytes

# Growth of a worker's memory in a partition-wise stage, per row of a partition.
PARTITION_BYTES_PER_ROW = 900
# An idle worker, with all of its imports.
IDLE_WORKER_BYTES = 250e6
# Dask starts to spill above this share of a worker's memory limit.
USABLE_MEMORY_SHARE = 0.7


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """The plan of a run."""

    dataset: Dataset
    """The data set of the source."""
    source: Source
    """The source files."""
    split: Split
    """Time ranges of training, validation and test."""
    partitions: tuple[SourcePartition, ...]
    """Row ranges of the source files, in order of month and row."""
    partition_rows: int
    """Maximum number of rows per partition, as set by the user."""
    features: tuple[str, ...]
    """Names of the features of the model, including target-encoded features."""
    params: BoosterParams
    """Parameters of the booster."""

    @classmethod
    def of(cls, settings: Settings, source: Source) -> Self:
        """Plan a run on a source.

        Raises ConfigError if the settings do not fit the months or the data set of the source.
        """
        dataset = open_dataset(settings, source.taxi)
        require_segment(settings.segment, dataset)
        rate_names = dataset.target_rate_set(settings.feature_set)
        features = (*dataset.feature_set(settings.feature_set), *rate_names)
        params = booster_params(settings)
        params.require_known_constraints(features)
        return cls(
            dataset=dataset,
            source=source,
            split=split_months(settings, source.months),
            partitions=source.partitions(settings.partition_rows),
            partition_rows=settings.partition_rows,
            features=features,
            params=params,
        )

    @property
    def training_partitions(self) -> tuple[SourcePartition, ...]:
        """The partitions with training trips."""
        return self._partitions_in(self.split.train)

    @property
    def validation_partitions(self) -> tuple[SourcePartition, ...]:
        """The partitions with validation trips."""
        return self._partitions_in(self.split.validation) if self.split.validation else ()

    @property
    def training_file_rows(self) -> int:
        """The number of rows in the files of the training and validation months."""
        ranges = self.split.fitted_ranges().values()
        months = [file for file in self.source.files if any(overlaps(file.month, span) for span in ranges)]
        return sum(file.rows for file in months)

    def _partitions_in(self, time_range: TimeRange) -> tuple[SourcePartition, ...]:
        return tuple(partition for partition in self.partitions if overlaps(partition.month, time_range))


def require_segment(name: str, dataset: Dataset) -> None:
    """Raise ConfigError if a data set does not have a segment, which a project can replace."""
    if name not in dataset.segments:
        raise ConfigError(
            f"cannot train on segment {name!r}: {dataset.name} does not declare it",
            hint=f"Set --segment {' or '.join(dataset.segments)}.",
        )


def split_months(settings: Settings, months: tuple[Month, ...]) -> Split:
    """Return the split of months. Raises ConfigError if the settings do not fit the months."""
    return plan_split(months, settings.train_months, settings.validation_month, settings.test_months)


def booster_params(settings: Settings) -> BoosterParams:
    """Return the parameters of the booster that the settings contain."""
    return BoosterParams(**{field.name: getattr(settings, field.name) for field in fields(BoosterParams)})


def print_plan(plan: RunPlan, progress: Progress) -> None:
    """Print the source, its partitions and its missing columns."""
    source, rows = plan.source, plan.source.effective_partition_rows(plan.partition_rows)
    progress.info(
        f"source {source.taxi}, {source.months[0]} to {source.months[-1]}: "
        f"{plural(len(source.distinct_files), 'file')}, {plural(source.rows, 'row')}, "
        f"{plural(len(plan.partitions), 'partition')}"
    )
    if rows > plan.partition_rows:
        progress.info(
            f"partition size raised from {plan.partition_rows:,} to {plural(rows, 'row')} "
            "to limit the number of scheduler tasks"
        )
    ranges = plan.split.time_ranges().values()
    unused = [month for month in source.months if not any(overlaps(month, span) for span in ranges)]
    if unused:
        progress.info(
            f"months outside of the split: {', '.join(map(str, unused))} (scored, but not evaluated)"
        )
    for month, warning in unusual_row_counts(source).items():
        progress.info(f"{month}: {warning}")
    for warning in source.warnings:
        progress.warn(warning)
    if source.missing_columns:
        progress.info(f"columns that are missing in the source: {', '.join(source.missing_columns)}")
    for name, missing in source.partly_missing_columns.items():
        progress.info(f"column {name} is missing in {', '.join(map(str, missing))}")
    for note in source.notes:
        progress.info(note)


def announce_stages(plan: RunPlan, progress: Progress, *, train: bool, gate: bool) -> None:
    """Announce the stages of the run, with their amounts of work, to the progress display."""
    everything, training, validation = plan.partitions, plan.training_partitions, plan.validation_partitions
    rounds = plan.params.rounds
    progress.expect("featurize", _months(everything), work=_rows(everything))
    progress.expect("check")
    if train:
        progress.expect("preprocess", _months(training), work=_rows(training))
        progress.expect("train", total=rounds, work=_rows(training) * rounds)
    if train and validation:
        progress.expect("tune", _months(validation), work=_rows(validation))
    progress.expect("infer", _months(everything), work=_rows(everything))
    for step in ("evaluate", "monitor", *(("gate",) if gate and train else ())):
        progress.expect(step)


def _months(partitions: Sequence[SourcePartition]) -> list[str]:
    return [str(partition.month) for partition in partitions]


def _rows(partitions: Sequence[SourcePartition]) -> int:
    return sum(partition.rows for partition in partitions)


def require_enough_memory(plan: RunPlan, shape: ClusterShape, progress: Progress) -> None:
    """Print the memory estimate. Raises PlanError if the workers do not have enough memory."""
    needed = estimate_memory(plan, shape)
    if not shape.memory_limit:
        progress.info(
            f"memory: about {_megabytes(needed.worker)} MB per worker "
            f"and {_megabytes(needed.training)} MB for training needed, no limit"
        )
        return
    progress.info(
        f"memory: about {_megabytes(needed.worker)} of {_megabytes(shape.memory_limit)} MB per worker, "
        f"and {_megabytes(needed.training)} of {_megabytes(shape.training_memory)} MB for training needed"
    )
    usable = f"MB, of which {100 * USABLE_MEMORY_SHARE:.0f} % are usable"
    if needed.worker > USABLE_MEMORY_SHARE * shape.memory_limit:
        raise PlanError(
            f"cannot run with these workers: each needs about {_megabytes(needed.worker)} MB and has "
            f"{_megabytes(shape.memory_limit)} {usable}",
            hint=_memory_hint(plan, shape),
        )
    if needed.training > USABLE_MEMORY_SHARE * shape.training_memory:
        raise PlanError(
            f"cannot train with these workers: training needs about {_megabytes(needed.training)} MB per host, "
            f"and the workers of a host have {_megabytes(shape.training_memory)} {usable}",
            hint="Try fewer --train-months, a larger --memory-limit, or workers on more hosts.",
        )


def _memory_hint(plan: RunPlan, shape: ClusterShape) -> str:
    if shape.memory_limit * USABLE_MEMORY_SHARE < IDLE_WORKER_BYTES:
        return (
            f"Set a larger --memory-limit, or fewer --workers. An idle worker needs about "
            f"{_megabytes(IDLE_WORKER_BYTES)} MB."
        )
    return (
        f"Try --partition-rows {plan.partition_rows // 4 or 1}, fewer --workers, fewer --threads-per-worker, "
        "or a larger --memory-limit."
    )


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f}"


class MemoryEstimate(NamedTuple):
    """The memory in bytes that a plan needs.

    `worker` is the memory of each worker in the partition-wise stages. `training` is the memory of
    each rank, which can use the memory of all workers of its host.
    """

    worker: float
    training: float


def estimate_memory(plan: RunPlan, shape: ClusterShape) -> MemoryEstimate:
    """Estimate the memory that a plan needs.

    A worker needs the memory of an idle worker, and of the largest partition in each thread. A rank
    also needs memory for its share of the training and validation rows. The memory of partitions
    counts in training too, because the allocator keeps it.
    """
    largest_partition_rows = max(partition.rows for partition in plan.partitions)
    worker = IDLE_WORKER_BYTES + largest_partition_rows * shape.threads * PARTITION_BYTES_PER_ROW
    training_rows = plan.training_file_rows / shape.ranks
    return MemoryEstimate(worker, worker + training_bytes(training_rows, len(plan.features)))
