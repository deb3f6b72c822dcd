"""Open, download or generate the source of a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from toytip import cluster
from toytip.cluster import ClusterPlan, preflight
from toytip.config import Settings
from toytip.core.access import StorageOptions
from toytip.core.dataset.synthetic import SyntheticFiles, SyntheticSpec
from toytip.core.months import Month, parse_months
from toytip.core.redact import mask_credentials
from toytip.core.text import join_words
from toytip.datasets.registry import synthetic_files
from toytip.datasets.words import DEFAULT_KIND, KINDS
from toytip.engine import source_tasks
from toytip.errors import ConfigError
from toytip.io.access import open_file_io, resolve_storage_options
from toytip.pipeline.context import RunContext
from toytip.pipeline.plan import RunPlan, print_plan, require_enough_memory, require_segment, split_months
from toytip.pipeline.startup.project import open_dataset, open_own_dataset
from toytip.progress.tracker import Progress
from toytip.sources import discovery
from toytip.sources.download import DownloadReport, MonthDownloader
from toytip.sources.source import Source
from toytip.store.layout import synthetic_folder


def prepare_plan(
    settings: Settings, progress: Progress, cluster_plan: ClusterPlan | None = None
) -> RunPlan | None:
    """Plan a run before a cluster starts, or return None for the synthetic year.

    Checks the months, and the memory of local workers. Raises SourceError, ConfigError or
    PlanError.
    """
    if settings.source is None:
        require_source(settings)
        split_months(settings, synthetic_months(settings, synthetic_files(DEFAULT_KIND)))
        dataset = open_dataset(settings, DEFAULT_KIND)
        require_segment(settings.segment, dataset)
        dataset.feature_set(settings.feature_set)  # raises an error for an unknown set
        return None
    plan = RunPlan.of(settings, open_configured_source(settings, progress))
    cluster_plan = cluster_plan or cluster.plan_cluster(settings)
    if cluster_plan.starts_local_workers:
        print_plan(plan, progress)
        require_enough_memory(plan, cluster.local_shape(settings), progress)
    return plan


def require_source(settings: Settings) -> None:
    """Raise ConfigError if there is no source for a data set that the project declares itself."""
    own = open_own_dataset(settings)
    if own is not None and settings.source is None:
        raise ConfigError(
            f"cannot run without a source: toytip does not generate files of {next(iter(own.kinds))}",
            hint="Set --source to the folder of your files, or source in toytip.toml.",
        )


def complete_plan(context: RunContext, plan: RunPlan | None) -> RunPlan:
    """Return the prepared plan, or a plan for the synthetic year, after all checks.

    Raises ConfigError, PlanError, or ClusterError if a worker cannot use the source or the module
    of the project.
    """
    is_checked = plan is not None and context.local_workers
    if plan is None:
        plan = RunPlan.of(context.settings, ensure_synthetic_source(context))
    if not context.local_workers:
        preflight.require_readable_files(
            context.client,
            [
                preflight.FileProbe(file.uri, file.bytes, file.storage_options)
                for file in plan.source.distinct_files
            ],
        )
    context.require_usable_module(plan.dataset)
    if not is_checked:
        print_plan(plan, context.progress)
        require_enough_memory(plan, cluster.cluster_shape(context.client), context.progress)
    return plan


def open_configured_source(settings: Settings, progress: Progress) -> Source:
    """Return the source of the settings. Download the files of a source such as `tlc:yellow`."""
    assert settings.source is not None, "the synthetic year has no source to open"
    kind, _, taxi = settings.source.partition(":")
    if kind != "tlc":
        endpoint = settings.source_endpoint_url or settings.endpoint_url
        own = open_own_dataset(settings)
        return discovery.open_source(settings.source, settings.months, endpoint, own)
    if taxi in KINDS:
        open_dataset(settings, taxi)  # an error in the module of the project comes before the download
    folder = Path(settings.data_dir)
    _, months = download_months(settings, taxi, folder, progress)
    files = [str(folder / f"{taxi}_tripdata_{month}.parquet") for month in months]
    return discovery.open_source(",".join(files), settings.months)


def download_months(
    settings: Settings, taxi: str, folder: Path, progress: Progress
) -> tuple[DownloadReport, tuple[Month, ...]]:
    """Download the months of the setting `months`. Raises ConfigError or SourceError."""
    if taxi not in KINDS:
        raise ConfigError(
            f"cannot download files of {taxi!r} taxis: the TLC has no such files",
            hint=f"Choose {join_words(KINDS, 'or')}.",
        )
    if not settings.months:
        raise ConfigError(
            "cannot download files: no months given",
            hint="Set --months, for example --months 2023-01:2023-12.",
        )
    months = parse_months(settings.months)
    with progress.show_live(), progress.stage("download", len(months) + 1) as stage:
        sizes: list[int] = []

        def add_bytes(size: int) -> None:
            sizes.append(size)
            stage.advance(steps=0, note=f"{sum(sizes) / 1e6:,.1f} MB")

        report = MonthDownloader(settings.base_url, folder, add_bytes).download(taxi, months)
        downloaded = sum(file.downloaded_bytes for file in report.files)
        stage.advance(steps=len(report.files), note=f"{downloaded / 1e6:,.1f} MB downloaded")
    return report, months


def synthetic_months(settings: Settings, files: SyntheticFiles) -> tuple[Month, ...]:
    """Return the months of the synthetic year. Raises ConfigError for invalid months."""
    return parse_months(settings.months) if settings.months else files.months


def ensure_synthetic_source(context: RunContext) -> Source:
    """Return the synthetic year in the store, after writing its missing months."""
    settings = context.settings
    folder = synthetic_folder(settings.store, settings.synth_rows_per_month, settings.synth_seed)
    return write_synthetic(context.client, settings, folder, context.progress)


def write_synthetic(
    client: Any,
    settings: Settings,
    folder: str,
    progress: Progress,
    *,
    taxi: str = DEFAULT_KIND,
    inject_drift: str | None = None,
    drift: bool = True,
) -> Source:
    """Write the missing months of the synthetic year to a folder, and return the source.

    Raises ConfigError if there are no synthetic files of the taxi type, or if `inject_drift` is not
    a kind of their drift.
    """
    synthetic = synthetic_files(taxi)
    spec = _synthetic_spec(settings, synthetic, inject_drift, drift)
    names = {month: synthetic.file_name(month) for month in synthetic_months(settings, synthetic)}
    storage = resolve_storage_options(folder, settings.endpoint_url)
    files = open_file_io(folder, storage)
    uris = {month: f"{folder}/{name}" for month, name in names.items()}
    missing = {month: uri for month, uri in uris.items() if not files.exists(names[month])}
    _write_months(client, missing, storage, synthetic, spec, progress, folder)
    return discovery.open_source(",".join(uris.values()), settings.months, settings.endpoint_url)


def _synthetic_spec(
    settings: Settings, synthetic: SyntheticFiles, inject_drift: str | None, drift: bool
) -> SyntheticSpec:
    if inject_drift is not None and inject_drift not in synthetic.drift_kinds:
        raise ConfigError(
            f"cannot inject drift {inject_drift!r}: this kind of drift does not exist",
            hint=f"Choose {', '.join(synthetic.drift_kinds)}.",
        )
    return SyntheticSpec(
        rows_per_month=settings.synth_rows_per_month,
        seed=settings.synth_seed,
        injected_drift=inject_drift,
        drift=drift,
    )


def _write_months(
    client: Any,
    uris: Mapping[Month, str],
    storage: StorageOptions,
    synthetic: SyntheticFiles,
    spec: SyntheticSpec,
    progress: Progress,
    folder: str,
) -> None:
    if not uris:
        progress.info(f"the synthetic year in {mask_credentials(folder)} already exists")
        return
    progress.info(
        f"writing a synthetic year of about {spec.rows_per_month:,} trips per month "
        f"to {mask_credentials(folder)}"
    )
    generate = partial(synthetic.generate_month, spec=spec)
    with progress.stage("synth", len(uris)) as stage:
        source_tasks.generate_source(client, dict(uris), storage, generate, stage)
