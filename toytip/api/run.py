"""A run, for programs: what `toytip run` does, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from toytip.api.monitoring import Monitoring
from toytip.api.settings import SettingText, make_progress, use_workers
from toytip.api.store import Store, metrics_frame
from toytip.core.jsonable import to_json
from toytip.pipeline.result import RunResult


@dataclass(frozen=True, repr=False)
class Run:
    """The result of a run. `json()` returns the object that `toytip run --json` prints."""

    store: Store
    result: RunResult

    @property
    def version(self) -> str:
        """The version that was published."""
        return self.result.version

    @property
    def months(self) -> list[str]:
        """The months that were read."""
        return list(self.result.origin.months)

    @property
    def rows(self) -> dict[str, int]:
        """Trips `read`, `kept` and `rejected`; the last two add up to the first."""
        return dict(to_json(self.result.rows))

    @property
    def rejects(self) -> dict[str, int]:
        """Trips rejected, by reason."""
        return dict(self.result.rejects)

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """What was published, by table: version, path, manifest, rows, bytes."""
        return dict(to_json(self.result.tables))

    @property
    def metrics(self) -> pd.DataFrame:
        """The metrics by split and population, as `Store.metrics` tells them."""
        return metrics_frame(self.result.evaluation)

    @property
    def monitoring(self) -> Monitoring | None:
        """The monitoring of the months after the training months; None if there is no such month."""
        report = self.result.monitoring
        return None if report is None else Monitoring(report)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds that it took."""
        return self.result.timing.elapsed_seconds

    def json(self) -> dict[str, Any]:
        """Return all of it as plain values, under the keys that `--json` prints."""
        return dict(to_json(self.result))

    def __repr__(self) -> str:
        rows = self.rows
        return f"<toytip run {self.version}: {self.months[0]} to {self.months[-1]}, {rows['kept']:,} of {rows['read']:,} trips kept>"

    def _repr_html_(self) -> str:
        table: str = self.metrics.to_html(float_format="{:.4f}".format)
        return f"<p>{escape(repr(self))}</p>{table}"


def run(
    source: SettingText | None = None,
    *,
    months: SettingText | None = None,
    store: str | Path | None = None,
    env: str | None = None,
    workers: int | None = None,
    progress: bool = False,
    **settings: Any,
) -> Run:
    """Run the whole pipeline: read, clean, featurize, train, score every trip, evaluate, monitor. It is `toytip run`.

    `source` is a folder, a glob, a URI, or a list of TLC monthly parquet files; None the built-in synthetic year. `months` is
    `"2023-01:2023-12"` or a list. Whatever else `toytip run` takes is a setting here too, under the flag's name with `_`
    (`feature_set="dropoff"`, `train_months="2023-01:2023-10"`, `max_depth=8`, `gate="off"`, ..), with the same defaults from the same
    places: `toytip config`.

    It works on the workers of the Dask client that is current, if there is one; else on `workers` processes of its own on
    this machine (one a core), which end with it. What the store holds already is taken over, and nothing is printed but with
    `progress=True`, on stderr.

    Raises SourceError, ConfigError, StoreError, PlanError, RegistryError or ClusterError, with nothing half-published.
    """
    given = {"source": source, "months": months, "store": store, "env": env, "workers": workers, **settings}
    with use_workers(given) as resolved:
        from toytip.pipeline.run import run as run_all

        result = run_all(resolved, make_progress(progress))
    return Run(Store(resolved.model_copy(update={"version_id": None})), result)
