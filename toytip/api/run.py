"""A run, for programs: what `toytip run` does, and what it tells."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from toytip.api.monitoring import Monitoring
from toytip.api.settings import SettingText, make_progress, use_workers
from toytip.api.store import Store, metrics_frame


@dataclass(frozen=True, repr=False)
class Run:
    """What a run has made. `json()` is what `toytip run --json` prints, and the rest a shorter way to it."""

    store: Store
    summary: dict[str, Any]

    @property
    def version(self) -> str:
        """The version that was published."""
        return str(self.summary["version"])

    @property
    def months(self) -> list[str]:
        """The months that were read."""
        return list(self.summary["months"])

    @property
    def rows(self) -> dict[str, int]:
        """Trips `read`, `kept` and `rejected`; the last two add up to the first."""
        return dict(self.summary["rows"])

    @property
    def rejects(self) -> dict[str, int]:
        """Trips rejected, by reason."""
        return dict(self.summary["rejects"])

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """What was published, by table: version, path, manifest, rows, bytes."""
        return copy.deepcopy(dict(self.summary["tables"]))

    @property
    def metrics(self) -> pd.DataFrame:
        """The metrics by split and population, as `Store.metrics` tells them."""
        return metrics_frame(self.summary["evaluation"])

    @property
    def monitoring(self) -> Monitoring | None:
        """What monitoring says of the months after the training; None where there is no such month."""
        found = self.summary["monitor"]
        return None if found is None else Monitoring(found)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds that it took."""
        return float(self.summary["seconds"])

    def json(self) -> dict[str, Any]:
        """Return all of it as plain values, under the keys that `--json` prints."""
        return copy.deepcopy(self.summary)

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

        told = run_all(resolved, make_progress(progress))
    return Run(Store(resolved.model_copy(update={"version_id": None})), told)
