"""The plan: which source, how many partitions, and whether they fit in the workers' memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast, get_args

from toytip import cluster, flow
from toytip import source as sources
from toytip.cluster import Shape, sharing
from toytip.config import Settings, mask
from toytip.errors import ConfigError, PlanError
from toytip.fetch import Fetched, Fetcher
from toytip.pipeline.context import Context
from toytip.progress import Progress
from toytip.reach import access_of, place_of
from toytip.source import Source
from toytip.splits import overlaps, plan_split
from toytip.stages.featurize import feature_set
from toytip.stages.rates import rate_set
from toytip.synth import YEAR, Plant, Synth, file_name
from toytip.values import TAXIS, Month, parse_months

# Measured on a year of 24 million rows, two workers, 11 and 19 features: the growth of a worker's memory in the row
# stages, per row of a partition, and in training, per row of its share: positions, gradients and margins, and the
# codes once, which are on the scratch disk from then on (`docs/performance.md`).
BYTES_PER_ROW = 900
MATRIX_BYTES_PER_CODE = 2
MATRIX_BYTES_PER_ROW = 70
# A worker at rest, with all that it imports.
BASE_BYTES = 250e6
# Dask begins to spill above this share of a worker's limit.
USABLE = 0.7


def prepare(settings: Settings, progress: Progress) -> Source | None:
    """Find the source that the settings name, before anything starts; None for the built-in year.

    Raises SourceError, ConfigError or PlanError.
    """
    if settings.source is None:
        return None
    source = find(settings, progress)
    if cluster.starts_here(settings):
        check(settings, progress, source, cluster.shape(settings))
    return source


def find(settings: Settings, progress: Progress) -> Source:
    """Return the source that the settings name; `tlc:yellow` is fetched first, where it is not there yet."""
    assert settings.source is not None, "there is no default here"
    kind, _, taxi = settings.source.partition(":")
    if kind != "tlc":
        endpoint = settings.source_endpoint or settings.endpoint
        return sources.resolve(settings.source, settings.months, endpoint)
    months = fetch(settings, taxi, Path(settings.data), progress)[1]
    names = ",".join(str(Path(settings.data, f"{taxi}_tripdata_{month}.parquet")) for month in months)
    return sources.resolve(names, settings.months)


def fetch(
    settings: Settings, taxi: str, folder: Path, progress: Progress
) -> tuple[list[Fetched], tuple[Month, ...]]:
    """Fetch the months that the settings name into a folder. Raises ConfigError or SourceError."""
    if taxi not in TAXIS:
        raise ConfigError(f"{taxi or 'no taxi'}: the TLC's taxis are {' and '.join(TAXIS)}")
    if not settings.months:
        raise ConfigError("which months are to be fetched? say so as --months 2023-01:2023-12")
    months = parse_months(settings.months)
    with progress.live(), progress.stage("fetch", len(months) + 1) as stage:
        sizes: list[int] = []

        def seen(size: int) -> None:
            sizes.append(size)
            stage.advance(parts=0, note=f"{sum(sizes) / 1e6:,.1f} MB")

        got = Fetcher(settings.base_url, folder, seen).fetch(taxi, months)
        stage.advance(parts=len(got), note=f"{sum(file.bytes for file in got) / 1e6:,.1f} MB fetched")
    return got, months


def settle(context: Context, source: Source | None) -> Source:
    """Return the source to work on: the one prepared, else the synthetic year, made where it is not there yet."""
    here = cluster.starts_here(context.settings)
    checked = source is not None and here
    source = source or synthetic(context)
    if not here:
        sharing.refuse_unreadable(context.client, [(f.uri, f.bytes, f.access) for f in source.files])
    if not checked:
        check(context.settings, context.progress, source, cluster.shape_of(context.client))
    return source


def synthetic(context: Context) -> Source:
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
    plant: str | None = None,
    drift: bool = True,
) -> Source:
    """Write the months of the synthetic year that a folder lacks; return it as a source.

    Raises ConfigError where there is no such plant.
    """
    if plant is not None and plant not in get_args(Plant):
        raise ConfigError(f"--plant {plant}: there are {', '.join(get_args(Plant))}")
    recipe = Synth(
        rows=settings.synth_rows, seed=settings.synth_seed, plant=cast("Plant | None", plant), drift=drift
    )
    months = parse_months(settings.months) if settings.months else YEAR
    uris = {month: f"{folder}/{file_name(month)}" for month in months}
    access = access_of(folder, settings.endpoint)
    place = place_of(folder, access)
    lacking = {month: uri for month, uri in uris.items() if not place.exists(file_name(month))}
    if lacking:
        progress.say(f"making a synthetic year, about {recipe.rows:,} trips a month, in {mask(folder)}")
        with progress.stage("synth", len(lacking)) as stage:
            flow.synthesize(client, lacking, access, recipe, stage)
    else:
        progress.say(f"the synthetic year in {mask(folder)} is there already")
    return sources.resolve(",".join(uris.values()), settings.months, settings.endpoint)


def check(settings: Settings, progress: Progress, source: Source, shape: Shape) -> None:
    """Say the plan; raise ConfigError for a split that cannot be, PlanError where memory would not hold."""
    plan_split(source.months, settings.train, settings.valid, settings.test)
    parts = source.parts(settings.partition_rows)
    progress.say(
        f"source {source.taxi}, {source.months[0]} to {source.months[-1]}: {len(source.files)} files, "
        f"{source.rows:,} rows, {len(parts)} partitions"
    )
    if (size := source.coarse(settings.partition_rows)) > settings.partition_rows:
        progress.say(
            f"partitions of {size:,} rows: of {settings.partition_rows:,} they would be too many for one scheduler"
        )
    if source.absent:
        progress.say(f"columns that this source does not have: {', '.join(source.absent)}")
    need = needed(settings, source, shape)
    progress.say(f"memory: about {need / 1e6:,.0f} MB a worker, of {shape.limit / 1e6:,.0f} MB")
    if shape.limit and need > USABLE * shape.limit:
        raise PlanError(
            f"a worker would need about {need / 1e6:,.0f} MB and has {shape.limit / 1e6:,.0f} MB, of which "
            f"{USABLE:.0%} can be used; try --partition-rows {settings.partition_rows // 4 or 1}, fewer --workers, "
            "fewer --threads-per-worker, or a larger --memory-limit"
        )


def needed(settings: Settings, source: Source, shape: Shape) -> float:
    """Estimate the bytes that the busiest worker needs for a source, with these settings."""
    split = plan_split(source.months, settings.train, settings.valid, settings.test)
    learned = [span for name, span in split.spans().items() if name != "test"]
    return estimate(
        learned=sum(f.rows for f in source.files if any(overlaps(f.month, span) for span in learned)),
        largest=max(part.rows for part in source.parts(settings.partition_rows)),
        features=len(feature_set(settings.features)) + len(rate_set(settings.features)),
        threads=shape.threads,
        ranks=shape.ranks,
    )


def estimate(*, learned: int, largest: int, features: int, threads: int, ranks: int) -> float:
    """Estimate the bytes that the busiest worker needs.

    Its largest partition in each thread, which the allocator keeps, then its share of the training and validation rows.
    """
    row_stages = largest * threads * BYTES_PER_ROW
    training = learned / ranks * (features * MATRIX_BYTES_PER_CODE + MATRIX_BYTES_PER_ROW)
    return BASE_BYTES + row_stages + training
