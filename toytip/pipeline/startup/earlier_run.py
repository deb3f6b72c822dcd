"""Find an earlier run with the same source files, code and settings."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from toytip.config import Settings
from toytip.core.months import parse_months
from toytip.core.redact import mask_credentials
from toytip.datasets.registry import synthetic_files
from toytip.datasets.words import DEFAULT_KIND
from toytip.errors import ConfigError, SourceError, StoreError
from toytip.io.access import open_file_io, resolve_storage_options
from toytip.io.base import uri_scheme
from toytip.pipeline.result import RunResult, read_run_result
from toytip.pipeline.run_facts import run_fingerprint
from toytip.pipeline.startup.project import open_dataset, open_own_dataset
from toytip.sources import discovery
from toytip.sources.files import file_checksum
from toytip.sources.source import Source
from toytip.store.acceptances import accepted_months, combine_checksums
from toytip.store.catalog import checksums_by_file
from toytip.store.layout import synthetic_folder
from toytip.store.run_manifest import RunStatus
from toytip.store.store import Store, store_from_settings


def find_earlier_run(settings: Settings, model: str | None = None) -> RunResult | None:
    """Return the result of the newest run with the same source files, code, settings and model.

    The accepted months must be the same, too. Returns None if there is no such run, or if one of
    its tables was deleted.
    """
    store = store_from_settings(settings)
    runs = [run for run in store.list_runs() if run.fingerprint]
    source = _existing_source(settings) if runs else None
    checksums = _known_checksums(store, source) if source else None
    if source is None or checksums is None:
        return None
    version = _model_version(settings, source, model) if model else None
    by_month = combine_checksums(
        (str(file.month), checksums[mask_credentials(file.uri)]) for file in source.files
    )
    accepted = accepted_months(store, source.taxi, by_month)
    dataset = open_dataset(settings, source.taxi)
    fingerprint = run_fingerprint(settings, source, dataset, checksums, version, accepted)
    same = [run for run in runs if run.fingerprint == fingerprint]
    if model == "champion":  # an earlier run can be from the time before its promotion
        same = [run for run in same if run.status == RunStatus.PASSED]
    if not same or any(store.get_manifest(*item) is None for item in same[-1].tables.items()):
        return None
    with contextlib.suppress(StoreError):  # after a damaged result, the run starts
        result = read_run_result(store, same[-1].version)
        return None if result is None else replace(result, up_to_date=True)
    return None


def _existing_source(settings: Settings) -> Source | None:
    """Return the source of a run if no file must be downloaded or generated, else None."""
    try:
        if settings.source is None:
            return _existing_synthetic_source(settings)
        kind, _, taxi = settings.source.partition(":")
        if kind != "tlc":
            endpoint = settings.source_endpoint_url or settings.endpoint_url
            own = open_own_dataset(settings)
            return discovery.open_source(settings.source, settings.months, endpoint, own)
        folder = Path(settings.data_dir)
        months = parse_months(settings.months or "")
        files = [folder / f"{taxi}_tripdata_{month}.parquet" for month in months]
        return discovery.open_source(",".join(map(str, files)), settings.months)
    except (SourceError, ConfigError, StoreError):
        return None  # the run itself reports the error


def _existing_synthetic_source(settings: Settings) -> Source | None:
    folder = synthetic_folder(settings.store, settings.synth_rows_per_month, settings.synth_seed)
    synthetic = synthetic_files(DEFAULT_KIND)
    months = parse_months(settings.months) if settings.months else synthetic.months
    names = [synthetic.file_name(month) for month in months]
    files = open_file_io(folder, resolve_storage_options(folder, settings.endpoint_url))
    if not all(map(files.exists, names)):
        return None
    uris = [f"{folder}/{name}" for name in names]
    return discovery.open_source(",".join(uris), settings.months, settings.endpoint_url)


def _model_version(settings: Settings, source: Source, name: str) -> str:
    from toytip.models import resolve

    return resolve.load_model(settings, name, source.taxi, segment=settings.segment).version


def _known_checksums(store: Store, source: Source) -> dict[str, str] | None:
    """Return the checksums of the source files, by URI.

    A local file that the store does not know is read only if the store knows a file of the same
    size, so that it can be a copy. Returns None if the checksum of a file cannot be known.
    """
    by_file = checksums_by_file(store.list_tables())
    sizes = {size for _, size, _ in by_file}
    checksums = {}
    for file in source.distinct_files:
        uri = mask_credentials(file.uri)
        checksum = file.content_tag or by_file.get((uri, file.bytes, file.modified))
        if checksum is None and file.bytes in sizes and uri_scheme(file.uri) == "file":
            checksum = file_checksum(file.uri, file.storage_options)
        if checksum is None:
            return None
        checksums[uri] = checksum
    return checksums
