"""Run the pipeline from a program."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from toytip.api.frames import metrics_frame
from toytip.api.monitoring import Monitoring
from toytip.api.settings import SettingText, make_progress, resolve_worker_settings, to_model_name
from toytip.api.store import Store
from toytip.api.wording import with_python_errors
from toytip.core.jsonable import to_json
from toytip.pipeline.result import RunResult
from toytip.pipeline.startup.training_settings import require_no_training_settings
from toytip.pipeline.unchanged import find_unchanged_run


@dataclass(frozen=True, repr=False)
class Run:
    """The result of a run. `json()` returns the object that `toytip run --json` prints."""

    store: Store
    result: RunResult

    @property
    def version(self) -> str:
        """The version that the run published."""
        return self.result.version

    @property
    def months(self) -> list[str]:
        """The months of the source, for example `["2023-01", "2023-02", ...]`."""
        return list(self.result.origin.months)

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows that were `read`, `kept` and `rejected`."""
        return dict(to_json(self.result.rows))

    @property
    def rejects(self) -> dict[str, int]:
        """The number of rejected rows of each cleaning rule."""
        return dict(self.result.rejects)

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The version, path, manifest, rows and bytes of each published table, by table name."""
        return dict(to_json(self.result.tables))

    @property
    def metrics(self) -> pd.DataFrame:
        """The metrics by split and segment, with the columns of `Store.metrics`."""
        return metrics_frame(self.result.evaluation)

    @property
    def monitoring(self) -> Monitoring | None:
        """The monitoring result for the months after training. None if there are no such months."""
        report = self.result.monitoring
        return None if report is None else Monitoring(report)

    @property
    def elapsed_seconds(self) -> float:
        """The total run time in seconds."""
        return self.result.timing.elapsed_seconds

    def json(self) -> dict[str, Any]:
        """Return the complete result as plain values, with the keys of `toytip run --json`."""
        return dict(to_json(self.result))

    def __repr__(self) -> str:
        rows = self.rows
        return (
            f"<toytip run {self.version}: {self.months[0]} to {self.months[-1]}, "
            f"{rows['kept']:,} of {rows['read']:,} trips kept>"
        )

    def _repr_html_(self) -> str:
        table: str = self.metrics.to_html(float_format="{:.4f}".format)
        return f"<p>{escape(repr(self))}</p>{table}"


@with_python_errors
def run(
    source: SettingText | None = None,
    *,
    months: SettingText | None = None,
    store: str | Path | None = None,
    env: str | None = None,
    workers: int | None = None,
    model: str | int | None = None,
    progress: bool = False,
    **settings: Any,
) -> Run:
    """Run the complete pipeline as `toytip run` does, and return the result.

    `source` is a folder, a glob, a URI or a list of the TLC's Parquet or CSV files. The default is
    the synthetic year. `months` is a range (`"2023-01:2023-12"`) or a list. All other settings
    (`docs/reference/settings.md`) are keyword arguments, for example `feature_set="dropoff"`,
    `train_months="2023-01:2023-10"`, `max_depth=8` or `gate="off"`. Settings that you leave out
    come from the same places as on the command line.

    With `model`, the run trains no model, and scores the source with this model: a version, a tag,
    `champion`, `challenger`, or a model number.

    The run uses the workers of the active Dask client. Without a client, it starts `workers` local
    processes (default: one per core) and stops them at the end. The run reuses up-to-date files of
    the store. With `progress=True`, the run prints its progress to stderr, or shows it as one
    output of the cell in a notebook.

    Raises SourceError, ConfigError, StoreError, DataCheckError, PlanError, RegistryError or
    ClusterError. A failed run publishes no table, and the next run reuses its complete outputs.

        run = toytip.run("data/green-2023", workers=2)
        run.metrics.loc[("test", "all"), "auc"]
    """
    options = {"source": source, "months": months, "store": store, "env": env, "workers": workers, **settings}
    name = to_model_name(model)
    if name is not None:
        require_no_training_settings(options)
    resolved = resolve_worker_settings(options)
    result = find_unchanged_run(resolved, name)
    if result is None:
        from toytip.cluster.embedded import embedded_workers

        with embedded_workers(resolved):
            from toytip.pipeline import run as pipeline

            result = pipeline.run(resolved, make_progress(progress), name)
    return Run(Store(resolved.model_copy(update={"version_id": None})), result)
