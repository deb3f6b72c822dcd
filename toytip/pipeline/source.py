"""The plan: which source, how many partitions, and whether they fit in the workers' memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast, get_args

from toytip import cluster
from toytip.cluster import preflight
from toytip.config import Settings, mask_credentials
from toytip.core.months import Month, parse_months
from toytip.core.tlc import TAXIS
from toytip.engine import source_tasks
from toytip.errors import ConfigError
from toytip.io.access import open_file_io, resolve_storage_options
from toytip.pipeline.context import RunContext
from toytip.pipeline.memory import check_run_plan
from toytip.progress.tracker import Progress
from toytip.sources import discovery as sources
from toytip.sources.discovery import Source
from toytip.sources.download import DownloadReport, MonthDownloader
from toytip.sources.synthetic import SYNTHETIC_MONTHS, DriftKind, SyntheticSpec, month_file_name
from toytip.store.layout import SOURCE_FOLDER


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
        endpoint = settings.source_endpoint_url or settings.endpoint_url
        return sources.open_source(settings.source, settings.months, endpoint)
    months = download_months(settings, taxi, Path(settings.data_dir), progress)[1]
    names = ",".join(str(Path(settings.data_dir, f"{taxi}_tripdata_{month}.parquet")) for month in months)
    return sources.open_source(names, settings.months)


def download_months(
    settings: Settings, taxi: str, folder: Path, progress: Progress
) -> tuple[DownloadReport, tuple[Month, ...]]:
    """Download the months that the settings name. Raises ConfigError or SourceError."""
    if taxi not in TAXIS:
        raise ConfigError(
            f"cannot download files of {taxi!r} taxis: the TLC has no such files",
            hint=f"choose {' or '.join(TAXIS)}",
        )
    if not settings.months:
        raise ConfigError(
            "cannot download files: no months given",
            hint="set --months, for example --months 2023-01:2023-12",
        )
    months = parse_months(settings.months)
    with progress.show_live(), progress.stage("fetch", len(months) + 1) as stage:
        sizes: list[int] = []

        def add_bytes(size: int) -> None:
            sizes.append(size)
            stage.advance(parts=0, note=f"{sum(sizes) / 1e6:,.1f} MB")

        report = MonthDownloader(settings.base_url, folder, add_bytes).download(taxi, months)
        downloaded = sum(file.downloaded_bytes for file in report.files)
        stage.advance(parts=len(report.files), note=f"{downloaded / 1e6:,.1f} MB downloaded")
    return report, months


def ensure_source(context: RunContext, source: Source | None) -> Source:
    """Return the source to work on: the one prepared, else the synthetic year, made where it is not there yet."""
    here = cluster.starts_local_workers(context.settings)
    checked = source is not None and here
    source = source or ensure_synthetic_source(context)
    if not here:
        preflight.require_readable_files(
            context.client,
            [preflight.FileProbe(file.uri, file.bytes, file.storage_options) for file in source.files],
        )
    if not checked:
        check_run_plan(context.settings, context.progress, source, cluster.cluster_shape(context.client))
    return source


def ensure_synthetic_source(context: RunContext) -> Source:
    """Return the built-in synthetic year, made under the store where it is not there yet."""
    settings = context.settings
    folder = f"{settings.store.rstrip('/')}/{SOURCE_FOLDER}/synthetic-{settings.synth_rows_per_month}-{settings.synth_seed}"
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
        rows_per_month=settings.synth_rows_per_month,
        seed=settings.synth_seed,
        injected_drift=cast("DriftKind | None", inject_drift),
        drift=drift,
    )
    months = parse_months(settings.months) if settings.months else SYNTHETIC_MONTHS
    uris = {month: f"{folder}/{month_file_name(month)}" for month in months}
    access = resolve_storage_options(folder, settings.endpoint_url)
    place = open_file_io(folder, access)
    lacking = {month: uri for month, uri in uris.items() if not place.exists(month_file_name(month))}
    if lacking:
        progress.info(
            f"making a synthetic year, about {recipe.rows_per_month:,} trips a month, in {mask_credentials(folder)}"
        )
        with progress.stage("synth", len(lacking)) as stage:
            source_tasks.generate_source(client, lacking, access, recipe, stage)
    else:
        progress.info(f"the synthetic year in {mask_credentials(folder)} is there already")
    return sources.open_source(",".join(uris.values()), settings.months, settings.endpoint_url)
