"""Read a store: tables as lazy Dask DataFrames, versions and metrics as pandas DataFrames."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from toytip.api.frames import dataset_of_version, metrics_frame, runs_frame, versions_frame
from toytip.api.model import Model
from toytip.api.monitoring import Monitoring, monitor_store
from toytip.api.settings import SettingText, resolve_call_settings, to_model_name, to_setting_text
from toytip.api.wording import with_python_errors, with_python_errors_of_methods
from toytip.config import Settings
from toytip.core.months import Month, parse_months
from toytip.core.tables import FEATURES, METRIC_HISTOGRAMS, PREDICTIONS, REJECTS
from toytip.errors import StoreError
from toytip.evaluation.report import EvaluationReport
from toytip.store.artifacts import load_tallies
from toytip.store.manifest import Manifest
from toytip.store.refs import (
    describe_versions,
    manifests_as_of,
    parse_as_of,
    read_tags,
    resolve_version,
)
from toytip.store.store import Store as Versions
from toytip.store.store import store_from_settings

if TYPE_CHECKING:
    import dask.dataframe as dd

    from toytip.store.compare import VersionDiff
    from toytip.store.lineage import LineageNode


@with_python_errors
def open_store(
    store: str | Path | None = None, env: str | None = None, *, endpoint_url: str | None = None
) -> Store:
    """Open a store for reading: a folder, or `s3://bucket/prefix`.

    `env` is `dev` or `prod`. `endpoint_url` is the URL of an S3 server other than Amazon's. An
    argument that you leave out comes from `TOYTIP_*` variables, `.env` or `toytip.toml`. Without
    any of these, the store is `./toytip-store` and the environment is `dev`. Opening a store reads
    nothing. Raises ConfigError if a setting is invalid.

        store = toytip.open_store("s3://bucket/toytip", env="prod")
    """
    return Store(resolve_call_settings({"store": store, "env": env, "endpoint_url": endpoint_url}))


@with_python_errors_of_methods
@dataclass(frozen=True, repr=False)
class Store:
    """A store that you can read. `open_store` returns a store.

    The argument `version` is a version or a tag. Without a version, methods read the current
    version: the newest run that passed the promotion gate, or the target of a later release or
    rollback. Before the first gate, the newest run is current. `as_of` selects the version that was
    current at a time (`"2026-11-24T10:15"`, UTC). `taxi`, such as `"green"`, ignores versions of
    other taxi types. A call determines the version once and reads only files of this version.

    Methods raise StoreError if a version, a table or a month does not exist, or if the checksum of
    a file differs from the checksum in the manifest.
    """

    settings: Settings

    @property
    def _versions(self) -> Versions:
        return store_from_settings(self.settings)

    @property
    def path(self) -> str:
        """The path or URI of the store, without credentials."""
        return self._versions.display_uri

    @property
    def env(self) -> str:
        """The environment in the store: `dev` or `prod`."""
        return self.settings.env

    def versions(self, table: str | None = None, *, as_of: str | None = None) -> pd.DataFrame:
        """Return the published versions of all tables or of one table, one row per version.

        The rows are sorted by table and time, oldest first. With `as_of`, later versions are left
        out. Columns: `table`, `version`, `rows`, `months` (list, for example `["2023-01"]`),
        `bytes`, `created_at` (UTC), `parents` (list) and `tags` (list).
        """
        limit = parse_as_of(as_of) if as_of else None
        manifests = manifests_as_of(self._versions, table, limit)
        return versions_frame(describe_versions(manifests, read_tags(self._versions)))

    def runs(self) -> pd.DataFrame:
        """Return the runs of the store, newest first, one row per run.

        The index is `version`. Columns: `created_at` (UTC), `taxi`, `source`, `months` (list),
        `feature_set`, `segment`, `model` (version of the run that trained it), `status`, `reasons`
        (list), `is_current`, `is_champion` and `tags` (list). `auc` and columns such as `card_auc`
        are AUCs on test trips. A status is `passed`, `not-gated`, `refused` or `failed-check`.

            store.runs().query("status == 'passed'")["auc"]
        """
        from toytip.models.resolve import champion_versions
        from toytip.store.runs import list_runs

        runs = self._versions.list_runs()
        return runs_frame(list_runs(self._versions, runs, champion_versions(self.settings)))

    def current_version(self, *, as_of: str | None = None, taxi: str | None = None) -> str:
        """Return the version of the current run: the newest run that passed, or a released one.

        To read several tables of one run, pass this version to each call. Raises StoreError if no
        run is current.
        """
        return self._resolve(PREDICTIONS.name, None, as_of, taxi).version

    def table(
        self,
        name: str,
        version: str | None = None,
        *,
        months: SettingText | None = None,
        as_of: str | None = None,
        taxi: str | None = None,
    ) -> dd.DataFrame:
        """Return a version of a table as a lazy Dask DataFrame, with one partition per file.

        Tables are `predictions`, `features`, `rejects`, `trips`, `scores`, `feature_histograms`
        and `monitoring`. `docs/reference/tables.md` lists the columns of each table. A frame also
        has the columns `version` (category), and `year` and `month` of the file (int32). `months`
        is a range (`"2023-11:2023-12"`) or a list, and selects files. toytip decodes only the
        columns that you use, and compares the checksum of each file with the manifest.
        """
        from toytip.engine import read_table

        manifest = self._resolve(read_table.get_readable_table(name).name, version, as_of, taxi)
        dataset = dataset_of_version(self._versions, manifest)
        return read_table.read_table(self._versions, manifest, dataset, _parse_months(months))

    def predictions(
        self,
        version: str | None = None,
        *,
        months: SettingText | None = None,
        as_of: str | None = None,
        taxi: str | None = None,
    ) -> dd.DataFrame:
        """Return the prediction and the label of every kept trip, as a lazy frame (see `table`).

        Columns: `trip_id` (int64), `pickup_at` (New York time), the zones, `probability`
        (float32), `prediction` (bool, at the decision threshold), the label, `split` (train,
        validation, test or other) and `model_version`.

            store.predictions(months="2023-12").groupby("split")["probability"].mean().compute()
        """
        return self.table(PREDICTIONS.name, version, months=months, as_of=as_of, taxi=taxi)

    def features(
        self,
        version: str | None = None,
        *,
        months: SettingText | None = None,
        as_of: str | None = None,
        taxi: str | None = None,
    ) -> dd.DataFrame:
        """Return the features and the label of every kept trip, as a lazy frame (see `table`).

        `trip_time` is in seconds, `trip_speed` in miles per hour, `trip_distance` in miles, and
        amounts are in dollars. Integer columns that can have missing values are float32.
        """
        return self.table(FEATURES.name, version, months=months, as_of=as_of, taxi=taxi)

    def rejects(
        self,
        version: str | None = None,
        *,
        months: SettingText | None = None,
        as_of: str | None = None,
        taxi: str | None = None,
    ) -> dd.DataFrame:
        """Return the rejected trips with the column `reason`, as a lazy frame (see `table`).

        toytip does not change the values of rejected trips.
        """
        return self.table(REJECTS.name, version, months=months, as_of=as_of, taxi=taxi)

    def files(
        self,
        name: str,
        version: str | None = None,
        *,
        months: SettingText | None = None,
        as_of: str | None = None,
        taxi: str | None = None,
    ) -> list[str]:
        """Return the paths or URIs of the Parquet files of a version, for other query engines."""
        from toytip.engine import read_table

        manifest = self._resolve(read_table.get_readable_table(name).name, version, as_of, taxi)
        folder = self._versions.version_uri(name, manifest.version)
        return [f"{folder}/{part.path}" for part in read_table.data_files_of(manifest, _parse_months(months))]

    def metrics(
        self, version: str | None = None, *, as_of: str | None = None, taxi: str | None = None
    ) -> pd.DataFrame:
        """Return the metrics of predictions, with one row per split and segment (`all` and others).

        Columns: `rows`, `prevalence` (share of positive labels), `auc`, `pr_auc`, `log_loss`,
        `brier`, `f1`, `precision`, `recall`, and `f1_always_positive`, the F1 of the
        always-positive baseline. Undefined metrics are NaN.

            store.metrics().loc[("test", "all"), "auc"]
        """
        return metrics_frame(self.evaluation(version, as_of=as_of, taxi=taxi))

    def evaluation(
        self, version: str | None = None, *, as_of: str | None = None, taxi: str | None = None
    ) -> EvaluationReport:
        """Return the evaluation of predictions, by split and segment.

        The attributes of `evaluation[split][segment]` are the keys of a segment in `toytip stage
        evaluate --json`: metrics, 95 % intervals, baselines, improvement, confusion, calibration,
        curves and slices (`docs/explanation/evaluation.md`). The method reads metric histograms,
        not predictions.
        """
        from toytip.models import resolve
        from toytip.pipeline.evaluate import evaluate_tallies

        predictions = self._resolve(PREDICTIONS.name, version, as_of, taxi)
        histograms = self._versions.get_manifest(METRIC_HISTOGRAMS.name, predictions.version)
        if histograms is None:
            raise StoreError(
                f"cannot evaluate predictions {predictions.version} in {self.path}: "
                "they have no metric histograms",
                hint=f"Compute them with `toytip stage evaluate --input-version {predictions.version}`.",
            )
        tallies = load_tallies(self._versions, histograms)
        return evaluate_tallies(tallies, resolve.model_of(self.settings, predictions)).report

    def model(
        self,
        version: str | int | None = None,
        *,
        taxi: str | None = None,
        segment: str | None = None,
        as_of: str | None = None,
    ) -> Model:
        """Return a model that scores raw trips.

        `version` is the version or tag of a run, `champion`, `challenger`, or a model number in
        the registry. The default is the current model. Set `taxi` or `segment` if several
        registered models have this name. Raises StoreError or RegistryError if the model does not
        exist.

            store.model().predict(trips)
        """
        from toytip.models import resolve

        return Model(resolve.load_model(self.settings, to_model_name(version), taxi, as_of, segment=segment))

    def monitoring(
        self,
        model: str | int | None = None,
        *,
        reference: SettingText | None = None,
        analysis_months: SettingText | None = None,
        labels_until: str | None = None,
        taxi: str | None = None,
        segment: str | None = None,
    ) -> Monitoring:
        """Monitor a model as `toytip.monitor` does, without publishing the measurements."""
        return monitor_store(
            self.settings,
            model,
            reference=reference,
            analysis_months=analysis_months,
            labels_until=labels_until,
            taxi=taxi,
            segment=segment,
            publish=False,
        )

    def manifest(
        self, version: str | None = None, table: str | None = None, *, as_of: str | None = None
    ) -> Manifest:
        """Return the manifest of a version: its files, settings, parents, environment and metrics.

        Without `table`, returns the manifest of the predictions. For a version without predictions,
        returns the manifest of the output of its latest stage.
        """
        from toytip.store.lineage import main_manifest

        if version is not None and table is None:
            return main_manifest(self._versions, version)
        return resolve_version(self._versions, table or PREDICTIONS.name, version, as_of)

    def lineage(
        self, version: str | None = None, table: str | None = None, *, month: str | None = None
    ) -> LineageNode:
        """Return the inputs of a version, down to the source files, as nested nodes.

        The fields are the keys of `toytip version lineage --json`. With `month` (`"2023-12"`), the
        lineage lists the files of this month with their checksums.
        """
        from toytip.store.lineage import trace_lineage

        return trace_lineage(
            self._versions, self.manifest(version, table), Month.parse(month) if month else None
        )

    def diff(self, a: str, b: str) -> VersionDiff:
        """Return the differences between two versions, as pairs of values.

        The fields are the keys of `toytip version diff --json`: rows, rejects, settings, features,
        metrics and changed predictions. The method reads the files of both versions.
        """
        from toytip.store.compare import compare_versions

        return compare_versions(self._versions, a, b, lambda _: None)

    def _resolve(self, table: str, version: str | None, as_of: str | None, taxi: str | None) -> Manifest:
        """Return the manifest of a version, by default of the current version."""
        from toytip.store.lineage import resolve_version_of_taxi

        if taxi is None:
            return resolve_version(self._versions, table, version, as_of)
        return resolve_version_of_taxi(self._versions, table, taxi, version, as_of)

    def __repr__(self) -> str:
        return f"<toytip store {self.path}>"

    def _repr_html_(self) -> str:
        versions = self.versions()
        rows = versions.assign(
            months=[f"{months[0]} to {months[-1]}" if months else "" for months in versions["months"]],
            created_at=versions["created_at"].dt.strftime("%Y-%m-%d %H:%M"),
            tags=[", ".join(tags) for tags in versions["tags"]],
        ).drop(columns="parents")
        table: str = rows.to_html(index=False)
        return f"<p>{escape(repr(self))}</p>{table}"


def _parse_months(months: SettingText | None) -> tuple[Month, ...] | None:
    return None if months is None else parse_months(str(to_setting_text(months)))
