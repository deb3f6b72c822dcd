"""An estimate of the memory that a worker needs."""

from __future__ import annotations

from toytip.cluster import ClusterShape
from toytip.config import Settings
from toytip.core.splits import overlaps, plan_split
from toytip.errors import PlanError
from toytip.progress.tracker import Progress
from toytip.sources.discovery import Source
from toytip.stages.featurize import feature_set
from toytip.stages.zone_rates import zone_rates_for

# Measured on a year of 24 million rows, two workers, 11 and 19 features: the growth of a worker's memory in the row
# stages, per row of a partition, and in training, per row of its share: positions, gradients and margins, and the
# codes once, which are on the scratch disk from then on (`docs/performance.md`).
PARTITION_BYTES_PER_ROW = 900
MATRIX_BYTES_PER_BIN_INDEX = 2
MATRIX_BYTES_PER_ROW = 70
# A worker at rest, with all that it imports.
IDLE_WORKER_BYTES = 250e6
# Dask begins to spill above this share of a worker's limit.
USABLE_MEMORY_SHARE = 0.7


def check_run_plan(settings: Settings, progress: Progress, source: Source, shape: ClusterShape) -> None:
    """Say the plan; raise ConfigError for a split that cannot be, PlanError where memory would not hold."""
    plan_split(source.months, settings.train_months, settings.validation_month, settings.test_months)
    parts = source.partitions(settings.partition_rows)
    progress.info(
        f"source {source.taxi}, {source.months[0]} to {source.months[-1]}: {len(source.files)} files, "
        f"{source.rows:,} rows, {len(parts)} partitions"
    )
    if (size := source.effective_partition_rows(settings.partition_rows)) > settings.partition_rows:
        progress.info(
            f"partitions of {size:,} rows: of {settings.partition_rows:,} they would be too many for one scheduler"
        )
    if source.missing_columns:
        progress.info(f"columns that this source does not have: {', '.join(source.missing_columns)}")
    need = worker_bytes_needed(settings, source, shape)
    progress.info(f"memory: about {need / 1e6:,.0f} MB a worker, of {shape.memory_limit / 1e6:,.0f} MB")
    if shape.memory_limit and need > USABLE_MEMORY_SHARE * shape.memory_limit:
        raise PlanError(
            f"a worker would need about {need / 1e6:,.0f} MB and has {shape.memory_limit / 1e6:,.0f} MB, of which "
            f"{USABLE_MEMORY_SHARE:.0%} can be used; try --partition-rows {settings.partition_rows // 4 or 1}, fewer --workers, "
            "fewer --threads-per-worker, or a larger --memory-limit"
        )


def worker_bytes_needed(settings: Settings, source: Source, shape: ClusterShape) -> float:
    """Estimate the bytes that the busiest worker needs for a source, with these settings."""
    split = plan_split(source.months, settings.train_months, settings.validation_month, settings.test_months)
    learned = [span for name, span in split.time_ranges().items() if name != "test"]
    return estimate_worker_bytes(
        training_rows=sum(f.rows for f in source.files if any(overlaps(f.month, span) for span in learned)),
        largest_partition_rows=max(part.rows for part in source.partitions(settings.partition_rows)),
        feature_count=len(feature_set(settings.feature_set)) + len(zone_rates_for(settings.feature_set)),
        threads=shape.threads,
        ranks=shape.ranks,
    )


def estimate_worker_bytes(
    *, training_rows: int, largest_partition_rows: int, feature_count: int, threads: int, ranks: int
) -> float:
    """Estimate the bytes that the busiest worker needs.

    Its largest partition in each thread, which the allocator keeps, then its share of the training and validation rows.
    """
    row_stages = largest_partition_rows * threads * PARTITION_BYTES_PER_ROW
    training = training_rows / ranks * (feature_count * MATRIX_BYTES_PER_BIN_INDEX + MATRIX_BYTES_PER_ROW)
    return IDLE_WORKER_BYTES + row_stages + training
