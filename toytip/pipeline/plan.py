"""The plan: which source, how many partitions, and whether they fit in the workers' memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast, get_args

from toytip import cluster, flow
from toytip import source as sources
from toytip.cluster import ClusterShape, sharing
from toytip.config import Settings, mask_credentials
from toytip.errors import ConfigError, PlanError
from toytip.fetch import DownloadedFile, MonthDownloader
from toytip.pipeline.context import RunContext
from toytip.progress import Progress
from toytip.reach import open_file_io, resolve_storage_options
from toytip.source import Source
from toytip.splits import overlaps, plan_split
from toytip.stages.featurize import feature_set
from toytip.stages.rates import zone_rates_for
from toytip.synth import SYNTHETIC_MONTHS, DriftKind, SyntheticSpec, month_file_name
from toytip.values import TAXIS, Month, parse_months

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


def find_source(settings: Settings, progress: Progress) -> Source | None:
    """Find the source that the settings name, before anything starts; None for the built-in year.

    Raises SourceError, ConfigError or PlanError.
    """
    if settings.source is None:
        return None
    source = open_configured_source(settings, progress)
    if cluster.starts_local_workers(settings):
        check_run_plan(settings, progress, source, cluster.local_shape(settings))
    return source


def open_configured_source(settings: Settings, progress: Progress) -> Source:
    """Return the source that the settings name; `tlc:yellow` is fetched first, where it is not there yet."""
    assert settings.source is not None, "there is no default here"
    kind, _, taxi = settings.source.partition(":")
    if kind != "tlc":
        endpoint = settings.source_endpoint or settings.endpoint
        return sources.open_source(settings.source, settings.months, endpoint)
    months = download_months(settings, taxi, Path(settings.data), progress)[1]
    names = ",".join(str(Path(settings.data, f"{taxi}_tripdata_{month}.parquet")) for month in months)
    return sources.open_source(names, settings.months)


def download_months(
    settings: Settings, taxi: str, folder: Path, progress: Progress
) -> tuple[list[DownloadedFile], tuple[Month, ...]]:
    """Fetch the months that the settings name into a folder. Raises ConfigError or SourceError."""
    if taxi not in TAXIS:
        raise ConfigError(f"{taxi or 'no taxi'}: the TLC's taxis are {' and '.join(TAXIS)}")
    if not settings.months:
        raise ConfigError("which months are to be fetched? say so as --months 2023-01:2023-12")
    months = parse_months(settings.months)
    with progress.show_live(), progress.stage("fetch", len(months) + 1) as stage:
        sizes: list[int] = []

        def seen(size: int) -> None:
            sizes.append(size)
            stage.advance(parts=0, note=f"{sum(sizes) / 1e6:,.1f} MB")

        got = MonthDownloader(settings.base_url, folder, seen).download(taxi, months)
        stage.advance(parts=len(got), note=f"{sum(file.bytes for file in got) / 1e6:,.1f} MB fetched")
    return got, months


def ensure_source(context: RunContext, source: Source | None) -> Source:
    """Return the source to work on: the one prepared, else the synthetic year, made where it is not there yet."""
    here = cluster.starts_local_workers(context.settings)
    checked = source is not None and here
    source = source or ensure_synthetic_source(context)
    if not here:
        sharing.require_readable_files(
            context.client, [(f.uri, f.bytes, f.storage_options) for f in source.files]
        )
    if not checked:
        check_run_plan(context.settings, context.progress, source, cluster.cluster_shape(context.client))
    return source


def ensure_synthetic_source(context: RunContext) -> Source:
    """Return the built-in synthetic year, made under the store where it is not there yet."""
    settings = context.settings
    folder = f"{settings.store.rstrip('/')}/_source/synthetic-{settings.synth_rows}-{settings.synth_seed}"
    return write_synthetic(context.client, settings, folder, context.progress)


def write_synthetic(
    client: Any,
    settings: Settings,
    folder: str,
    progress: Progress,
    *,
    inject_drift: str | None = None,
    drift: bool = True,
) -> Source:
    """Write the months of the synthetic year that a folder lacks; return it as a source.

    Raises ConfigError where there is no such plant.
    """
    if inject_drift is not None and inject_drift not in get_args(DriftKind):
        raise ConfigError(f"--plant {inject_drift}: there are {', '.join(get_args(DriftKind))}")
    recipe = SyntheticSpec(
        rows_per_month=settings.synth_rows,
        seed=settings.synth_seed,
        injected_drift=cast("DriftKind | None", inject_drift),
        drift=drift,
    )
    months = parse_months(settings.months) if settings.months else SYNTHETIC_MONTHS
    uris = {month: f"{folder}/{month_file_name(month)}" for month in months}
    access = resolve_storage_options(folder, settings.endpoint)
    place = open_file_io(folder, access)
    lacking = {month: uri for month, uri in uris.items() if not place.exists(month_file_name(month))}
    if lacking:
        progress.info(
            f"making a synthetic year, about {recipe.rows_per_month:,} trips a month, in {mask_credentials(folder)}"
        )
        with progress.stage("synth", len(lacking)) as stage:
            flow.generate_source(client, lacking, access, recipe, stage)
    else:
        progress.info(f"the synthetic year in {mask_credentials(folder)} is there already")
    return sources.open_source(",".join(uris.values()), settings.months, settings.endpoint)


def check_run_plan(settings: Settings, progress: Progress, source: Source, shape: ClusterShape) -> None:
    """Say the plan; raise ConfigError for a split that cannot be, PlanError where memory would not hold."""
    plan_split(source.months, settings.train, settings.valid, settings.test)
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
    split = plan_split(source.months, settings.train, settings.valid, settings.test)
    learned = [span for name, span in split.time_ranges().items() if name != "test"]
    return estimate_worker_bytes(
        training_rows=sum(f.rows for f in source.files if any(overlaps(f.month, span) for span in learned)),
        largest_partition_rows=max(part.rows for part in source.partitions(settings.partition_rows)),
        feature_count=len(feature_set(settings.features)) + len(zone_rates_for(settings.features)),
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
