"""Find out whether a run would change anything, with as few imports as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toytip.config import Settings
from toytip.io.access import resolve_storage_options
from toytip.store.address import StoreAddress

if TYPE_CHECKING:
    from toytip.pipeline.result import RunResult


def find_unchanged_run(settings: Settings, model: str | None = None) -> RunResult | None:
    """Return the result of the newest run with the same source files, code, settings and model.

    A new run would then compute the same tables, so that no worker has to start. Returns None if
    there is no such run, if one of its tables was deleted, or if the settings ask for a new
    version. A store without runs needs almost no imports, so that its first run starts fast. Raises
    StoreError if the run will not be able to write to the store.
    """
    if settings.full_refresh or settings.version_id or not _has_runs(settings):
        return None
    from toytip.pipeline.startup.earlier_run import find_earlier_run

    return find_earlier_run(settings, model)


def _has_runs(settings: Settings) -> bool:
    options = resolve_storage_options(settings.store, settings.endpoint_url)
    store = StoreAddress(settings.store, settings.env, options)
    store.require_credentials()
    with store.reading():
        return bool(store.file_io.list_files(store.layout.runs))
