"""A store, for programs: its tables as lazy Dask dataframes, and what its manifests tell as pandas frames."""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from toytip.api.model import Model
from toytip.api.monitoring import Monitoring, monitor_store
from toytip.api.settings import SettingText, resolve_call_settings, to_setting_text
from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.core.months import Month, parse_months
from toytip.core.tables import METRIC_HISTOGRAMS
from toytip.errors import StoreError
from toytip.evaluation.report import EvaluationReport, EvaluationSummary
from toytip.store.artifacts import load_tallies
from toytip.store.manifest import Manifest
from toytip.store.refs import VersionSummary, describe_versions, parse_as_of, read_tags, resolve_version
from toytip.store.store import Store as Versions
from toytip.store.store import store_from_settings

if TYPE_CHECKING:
    import dask.dataframe as dd

    from toytip.store.compare import VersionDiff
    from toytip.store.lineage import LineageNode


def open_store(
    store: str | Path | None = None, env: str | None = None, *, endpoint_url: str | None = None
) -> Store:
    """Open a store to read from: a folder, or `s3://bucket/prefix` (`endpoint_url`: the S3 server, if not Amazon's).

    `env` is `dev` or `prod`. What is left out comes from `TOYTIP_*`, `.env`, `toytip.toml`, else `./toytip-store` and `dev`.
    Nothing is read yet. Raises ConfigError for a setting that makes no sense.
    """
    return Store(resolve_call_settings({"store": store, "env": env, "endpoint_url": endpoint_url}))


@dataclass(frozen=True, repr=False)
class Store:
    """A store, to read from. `open_store` gives one.

    Wherever a `version` is asked for, it may be a tag; without one it is the newest that a reader gets: the last that was
    published, or that was rolled back to since. `as_of` gives the newest as of a time instead (`"2026-11-24T10:15"`, UTC). A
    version is resolved when you ask, once. All methods raise StoreError where there is no such version, table or month, or
    where a file is not what was published.
    """

    settings: Settings

    @property
    def _versions(self) -> Versions:
        return store_from_settings(self.settings)

    @property
    def path(self) -> str:
        """Where it is, without credentials."""
        return self._versions.display_uri

    @property
    def env(self) -> str:
        """`dev` or `prod`."""
        return self.settings.env

    def versions(self, table: str | None = None, *, as_of: str | None = None) -> pd.DataFrame:
        """Return a row for every published version of every table, or of one, by table and time.

        table, version, rows, months (list of `2023-01`), bytes, created_at (UTC), parents (list), tags (list).
        """
        limit = parse_as_of(as_of) if as_of else None
        summaries = describe_versions(self._versions.list_manifests(table), read_tags(self._versions))
        columns = [item.name for item in fields(VersionSummary)]
        frame = pd.DataFrame(to_json(summaries), columns=columns)
        frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True, format="ISO8601")
        return frame if limit is None else frame[frame["created_at"] <= limit].reset_index(drop=True)

    def table(
        self,
        name: str,
        version: str | None = None,
        *,
        months: SettingText | None = None,
        as_of: str | None = None,
    ) -> dd.DataFrame:
        """Return a version of a table as a lazy Dask dataframe: a partition for each file that its manifest lists.

        Tables are predictions, features, rejects, trips (of `toytip clean`), scores (of `toytip infer`), profiles and monitors;
        `docs/api.md` has their columns. `months` (`"2023-11:2023-12"`, or a list) reads no others. To a table's own columns come
        `version` (category), `year` and `month` (int32), the month of the file. Only the columns that are asked for are
        decoded, and the checksum of every file is compared when it is read.
        """
        from toytip.engine import read_table

        read_table.get_table(name)
        return read_table.read_table(
            self._versions, resolve_version(self._versions, name, version, as_of), _parse_months(months)
        )

    def predictions(
        self, version: str | None = None, *, months: SettingText | None = None, as_of: str | None = None
    ) -> dd.DataFrame:
        """Return what the model said of every trip kept, and what happened; see `table`.

        trip_id (int64), pickup_at (New York's time), PULocationID, DOLocationID, probability (float32), prediction (bool, at the
        tuned threshold), high_tip (bool: the label), split (train, validation, test, other), model_version.
        """
        return self.table("predictions", version, months=months, as_of=as_of)

    def features(
        self, version: str | None = None, *, months: SettingText | None = None, as_of: str | None = None
    ) -> dd.DataFrame:
        """Return the natural features of every trip kept, and the label `high_tip`; see `table`.

        trip_time is in seconds, trip_speed in miles an hour, trip_distance in miles, amounts in dollars; a whole number that may
        be missing is a float32.
        """
        return self.table("features", version, months=months, as_of=as_of)

    def rejects(
        self, version: str | None = None, *, months: SettingText | None = None, as_of: str | None = None
    ) -> dd.DataFrame:
        """Return every trip that was rejected, as it was read, with the `reason`; see `table`."""
        return self.table("rejects", version, months=months, as_of=as_of)

    def files(
        self,
        name: str,
        version: str | None = None,
        *,
        months: SettingText | None = None,
        as_of: str | None = None,
    ) -> list[str]:
        """Return the addresses of the parquet files of a version, for another engine: DuckDB, polars, Spark."""
        from toytip.engine import read_table

        manifest = resolve_version(self._versions, read_table.get_table(name).name, version, as_of)
        folder = self._versions.version_uri(name, manifest.version)
        return [f"{folder}/{part.path}" for part in read_table.data_files_of(manifest, _parse_months(months))]

    def metrics(self, version: str | None = None, *, as_of: str | None = None) -> pd.DataFrame:
        """Return the metrics of predictions, a row for every split and segment (`all` trips, and those paid by `card`).

        rows, prevalence (share of high tips), auc, pr_auc, log_loss, brier, f1, precision, recall, and f1_always_positive, the F1 of
        the always-positive baseline. NaN where a metric is undefined.
        """
        return metrics_frame(self.evaluation(version, as_of=as_of))

    def evaluation(self, version: str | None = None, *, as_of: str | None = None) -> EvaluationReport:
        """Return the complete evaluation of predictions, by split and segment.

        It has the values of `toytip stage evaluate --json` as attributes. They are computed from the
        score histograms: no prediction is read.
        """
        from toytip.models import resolve
        from toytip.pipeline.evaluate import evaluate_tallies

        predictions = resolve_version(self._versions, "predictions", version, as_of)
        tallies = self._versions.get_manifest(METRIC_HISTOGRAMS.name, predictions.version)
        if tallies is None:
            raise StoreError(
                f"predictions {predictions.version} in {self.path} have no tallies; "
                f"`toytip evaluate --from {predictions.version}` reads them again"
            )
        summary = load_tallies(self._versions, tallies)
        return evaluate_tallies(summary, resolve.model_of(self.settings, predictions)).report

    def model(
        self, version: str | None = None, *, taxi: str | None = None, as_of: str | None = None
    ) -> Model:
        """Return a model, to score raw trips with.

        `version` is the version of a run or a model, a tag, `champion`, `challenger` or a number of the registry; `taxi` says whose,
        where both have one. Raises RegistryError where none is registered so.
        """
        from toytip.models import resolve

        return Model(resolve.load_model(self.settings, version, taxi, as_of))

    def monitoring(
        self,
        model: str | None = None,
        *,
        reference: SettingText | None = None,
        analysis_months: SettingText | None = None,
        labels_until: str | None = None,
    ) -> Monitoring:
        """Monitor a model as `toytip.monitor` does, without publishing the measurements."""
        return monitor_store(
            self.settings,
            model,
            reference=reference,
            analysis_months=analysis_months,
            labels_until=labels_until,
            publish=False,
        )

    def manifest(
        self, version: str | None = None, table: str | None = None, *, as_of: str | None = None
    ) -> Manifest:
        """Return a manifest: table, version, created_at, files, config, parents, environment, metrics, rows, bytes, rejects.

        Without a table it is what the version is for: its predictions, or else the last table published under it.
        """
        from toytip.store.lineage import main_manifest

        if version is not None and table is None:
            return main_manifest(self._versions, version)
        return resolve_version(self._versions, table or "predictions", version, as_of)

    def lineage(
        self, version: str | None = None, table: str | None = None, *, month: str | None = None
    ) -> LineageNode:
        """Return the lineage of a version, down to the source files.

        With a `month` such as `"2023-12"`, it contains the files of this month with their checksums.
        """
        from toytip.store.lineage import trace_lineage

        return trace_lineage(
            self._versions, self.manifest(version, table), Month.parse(month) if month else None
        )

    def diff(self, a: str, b: str) -> VersionDiff:
        """Return the differences between two versions, each value as a pair.

        It reads the features and the predictions of both versions.
        """
        from toytip.store.compare import compare_versions

        return compare_versions(self._versions, a, b, lambda _: None)

    def __repr__(self) -> str:
        return f"<toytip store {self.path}>"

    def _repr_html_(self) -> str:
        found = self.versions()
        shown = found.assign(
            months=[f"{m[0]} to {m[-1]}" if m else "" for m in found["months"]],
            created_at=found["created_at"].dt.strftime("%Y-%m-%d %H:%M"),
            tags=[", ".join(each) for each in found["tags"]],
        ).drop(columns="parents")
        table: str = shown.to_html(index=False)
        return f"<p>{escape(repr(self))}</p>{table}"


def metrics_frame(evaluation: EvaluationSummary) -> pd.DataFrame:
    """Return the metrics of an evaluation, by split and population, as a frame."""
    rows = [
        {
            "split": split,
            "segment": segment,
            **to_json(item.metrics),
            "f1_always_positive": item.f1_always_positive,
        }
        for split, segments in evaluation.items()
        for segment, item in segments.items()
    ]
    return pd.DataFrame(rows).set_index(["split", "segment"]).astype(float).astype({"rows": "int64"})


def _parse_months(months: SettingText | None) -> tuple[Month, ...] | None:
    return None if months is None else parse_months(str(to_setting_text(months)))
