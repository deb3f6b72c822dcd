"""Collect the histograms of the months that a model has scored, from the store and the registry."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd

from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.tables import (
    FEATURE_HISTOGRAMS,
    FEATURES,
    METRIC_HISTOGRAMS,
    MODELS,
    REJECTS,
    TRIPS,
)
from toytip.errors import StoreError
from toytip.evaluation.tally import Tallies
from toytip.monitoring.history import MonitoringHistory
from toytip.monitoring.month_counts import MonthSummary
from toytip.pipeline.context import PublishedTables
from toytip.pipeline.evaluate import resolve_features
from toytip.stages import profile
from toytip.store.artifacts import load_tallies
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.store import Store

HISTOGRAM_READER_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class MonitoringInputs:
    """The months that a model has scored, and the tables that they come from."""

    history: MonitoringHistory
    parents: tuple[VersionRef, ...]

    @property
    def months(self) -> tuple[Month, ...]:
        """The scored months, oldest first."""
        return tuple(self.history.months)

    def extended(self, older: MonitoringHistory, parents: tuple[VersionRef, ...] = ()) -> MonitoringInputs:
        """Return the inputs with the months of another history that they do not have."""
        return MonitoringInputs(
            history=self.history.extended(older), parents=tuple(dict.fromkeys((*self.parents, *parents)))
        )


def inputs_of_tables(
    store: Store, tables: PublishedTables, tallies: Tallies | None = None
) -> MonitoringInputs:
    """Return the months of `features`, and the metric histograms of their predictions.

    `tallies` replaces the metric histograms of the store.
    """
    metrics = tables[METRIC_HISTOGRAMS.name]
    history = MonitoringHistory(
        months=summarize_months(store, tables),
        tallies=load_tallies(store, metrics) if tallies is None else tallies,
    )
    return MonitoringInputs(history=history, parents=(metrics.ref, tables[FEATURE_HISTOGRAMS.name].ref))


def inputs_of_model(store: Store, model: TrainedModel) -> MonitoringInputs | None:
    """Return all months that a model has scored in published versions, or None without any.

    If several versions have a month, the newest one counts.
    """
    scored = [
        manifest
        for manifest in store.list_manifests(METRIC_HISTOGRAMS.name)
        if VersionRef(MODELS.name, model.version) in manifest.parents
    ]
    inputs: MonitoringInputs | None = None
    for metrics in reversed(scored):
        features = resolve_features(store, metrics)
        if inputs is not None and set(features.months) <= set(inputs.months):
            continue
        scored_months = inputs_of_tables(
            store, {**feature_tables(store, features), METRIC_HISTOGRAMS.name: metrics}
        )
        inputs = (
            scored_months if inputs is None else inputs.extended(scored_months.history, scored_months.parents)
        )
    return inputs


def feature_tables(store: Store, features: Manifest) -> PublishedTables:
    """Return `features` with its histograms and its rejected trips.

    Raises StoreError if the features have no histograms.
    """
    histograms = store.get_manifest(FEATURE_HISTOGRAMS.name, features.version)
    if histograms is None:
        raise StoreError(
            f"cannot read the histograms of features {features.version} in {store.display_uri}: "
            "they do not exist",
            hint="Run `toytip run --full-refresh`.",
        )
    trips = next(
        (ref.version for ref in features.parent_versions if ref.table == TRIPS.name), features.version
    )
    rejects = store.get_manifest(REJECTS.name, trips)
    tables = {FEATURES.name: features, FEATURE_HISTOGRAMS.name: histograms}
    return {**tables, REJECTS.name: rejects} if rejects else tables


def summarize_months(store: Store, tables: PublishedTables) -> dict[Month, MonthSummary]:
    """Return the histograms and row counts of each month of `features`, oldest first."""
    return count_months(tables, read_histograms(store, tables[FEATURE_HISTOGRAMS.name]))


def count_months(
    tables: PublishedTables, histograms: Mapping[Month, pd.DataFrame]
) -> dict[Month, MonthSummary]:
    """Return the histograms of each month together with its row counts, from the manifests."""
    rows: dict[Month, int] = dict.fromkeys(histograms, 0)
    rejects: dict[Month, dict[str, int]] = {month: {} for month in histograms}
    for name in (FEATURES.name, REJECTS.name):
        for file in tables[name].files if name in tables else ():
            month = file.key.month
            rows[month] += file.rows
            for reason, count in file.rejects.items():
                rejects[month][reason] = rejects[month].get(reason, 0) + count
    return {
        month: MonthSummary(histograms=frame, rows=rows[month], rejects=rejects[month])
        for month, frame in histograms.items()
    }


def read_histograms(store: Store, manifest: Manifest) -> dict[Month, pd.DataFrame]:
    """Return the feature histograms of each month, merged over its files."""
    frames: dict[Month, list[pd.DataFrame]] = {}
    with ThreadPoolExecutor(HISTOGRAM_READER_THREADS) as pool:
        read = functools.partial(store.read_data_file, FEATURE_HISTOGRAMS, manifest.version)
        for file, frame in zip(manifest.files, pool.map(read, manifest.files), strict=True):
            frames.setdefault(file.key.month, []).append(frame)
    return {month: profile.merge_profiles(pieces) for month, pieces in frames.items()}
