"""Monitoring, for programs: what `toytip monitor` tells, as frames."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from toytip.api.settings import SettingText, make_progress, resolve_call_settings, to_setting_text
from toytip.config import Settings

CHANGE_COLUMNS = {
    "whole": "change",
    "card_share": "by_card_share",
    "tip_share": "by_tip_share",
    "skill": "by_skill",
}


@dataclass(frozen=True, repr=False)
class Monitoring:
    """What monitoring has found: frames to look at, and `json()`, which is what `toytip monitor --json` prints."""

    report: dict[str, Any]

    @property
    def model(self) -> str:
        """The version of the model that was watched."""
        return str(self.report["model"])

    @property
    def version(self) -> str | None:
        """The version of the table `monitors` that keeps what was read; None where nothing was kept."""
        return self.report.get("version")

    @property
    def alerts(self) -> pd.DataFrame:
        """What rings in the last month, a row each: month, kind, name, measure, value, reference, effect, bound, .."""
        return _alert_frame(self.report["alerts"], ALERT_COLUMNS)

    @property
    def all_alerts(self) -> pd.DataFrame:
        """What has rung in any month, as `alerts`."""
        return _alert_frame(self.report["rang"], ALERT_COLUMNS)

    @property
    def performance(self) -> pd.DataFrame:
        """How the model did, by month; the first row, `reference`, is what months are compared with.

        Int64Array and shares (`rows`, `card_share`, `tip_share` among card trips), the metrics under their names, what was expected
        of them without labels (`expected_f1`, ..), and what a metric has changed by since the reference, and by what:
        `f1_change` is the sum of `f1_by_card_share`, `f1_by_tip_share` and `f1_by_skill`. NaN where there are no labels.
        """
        return pd.DataFrame([_performance_row(row) for row in self.report["performance"]]).set_index("month")

    @property
    def days(self) -> pd.DataFrame:
        """How the model did, by day: rows, prevalence, f1, always_positive_f1, auc, log_loss.

        Under `rolling_..` the same of the seven days that end with the day.
        """
        rows = [
            {
                "day": row["day"],
                **_without(row, "day", "rolling"),
                **_rename_keys(row["rolling"], "rolling_{}"),
            }
            for row in self.report["days"]
        ]
        return pd.DataFrame(rows).astype({"day": "datetime64[us]"}).set_index("day")

    @property
    def drift(self) -> pd.DataFrame:
        """How far each feature has moved, by month and feature, those first that the model leans on most (`gain`).

        Effect sizes: `psi` (population stability index), `ks` (largest gap between shares), `wasserstein` (in spreads of the
        reference) and `distance` (in the feature's own unit); NaN where a feature has no such size, as categories have
        no distance. `mean` and `missing` (share) with those of the reference; `new` and `vanished` categories with shares.
        """
        rows = [
            {"month": month, "feature": row["feature"], "gain": self.report["gains"][row["feature"]], **row}
            for month, found in self.report["drift"].items()
            for row in found
        ]
        return pd.DataFrame(rows).set_index(["month", "feature"])

    def json(self) -> dict[str, Any]:
        """Return all of it as plain values, under the keys that `--json` prints."""
        return copy.deepcopy(self.report)

    def __repr__(self) -> str:
        months, alerts = self.report["months"], len(self.report["alerts"])
        return f"<toytip monitoring of {self.model}, {months[0]} to {months[-1]}: {alerts} alerts in {months[-1]}>"


ALERT_COLUMNS = (
    "month",
    "kind",
    "name",
    "measure",
    "value",
    "reference",
    "effect",
    "bound",
    "beyond_in",
    "windows",
)


def _alert_frame(rows: list[dict[str, Any]], names: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(names))


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _rename_keys(row: dict[str, Any] | None, pattern: str) -> dict[str, Any]:
    return {pattern.format(name): value for name, value in (row or {}).items()}


def _performance_row(row: dict[str, Any]) -> dict[str, Any]:
    flat = _without(row, "metrics", "estimated", "prevalence", "f1", "log_loss")
    flat |= _without(row["metrics"] or {}, "rows") | _rename_keys(
        _without(row["estimated"], "rows"), "expected_{}"
    )
    for metric in ("prevalence", "f1", "log_loss"):
        parts = _without(row[metric] or {}, *(("skill",) if metric == "prevalence" else ()))
        flat |= {f"{metric}_{CHANGE_COLUMNS[name]}": value for name, value in parts.items()}
    return flat


def monitor(
    model: str | None = None,
    *,
    store: str | Path | None = None,
    env: str | None = None,
    reference: SettingText | None = None,
    months: SettingText | None = None,
    labels_until: str | None = None,
    keep: bool = True,
    progress: bool = False,
    **settings: Any,
) -> Monitoring:
    """Tell how far features have moved since a model learned, how it has decayed, and why: `toytip monitor`.

    `model` is a version, a tag, `champion`, `challenger` or a number; None the newest. `reference` and `months` are
    months to compare with and to watch (`"2023-10:2023-12"`, or a list), `labels_until` the last whose labels are there. What
    was read is kept as a version of the table `monitors`, unless `keep` is false. Bounds are settings: `alert_psi=0.1`.
    No trip is read, and no cluster started. Raises StoreError, ConfigError or RegistryError where there is no such model or
    month.
    """
    resolved = resolve_call_settings({**settings, "store": store, "env": env})
    return monitor_store(
        resolved, model, reference=reference, months=months, labels_until=labels_until, keep=keep, show_progress=progress
    )  # fmt: skip


def monitor_store(
    settings: Settings,
    model: str | None,
    *,
    reference: SettingText | None,
    months: SettingText | None,
    labels_until: str | None,
    keep: bool,
    show_progress: bool = False,
) -> Monitoring:
    """Monitor a model of a store that is known; see `monitor`."""
    from toytip.pipeline.monitor import monitor_model

    progress = make_progress(show_progress)
    with progress.show_live():
        _, found = monitor_model(
            settings, model, progress,
            reference=to_setting_text(reference), months=to_setting_text(months), labels_until=labels_until, keep=keep,
        )  # fmt: skip
    return Monitoring(found)
