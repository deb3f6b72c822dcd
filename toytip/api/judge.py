"""Judge predictions from a program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from toytip.api.frames import metrics_frame
from toytip.api.settings import make_progress, resolve_worker_settings
from toytip.api.wording import with_python_errors
from toytip.core.jsonable import to_json
from toytip.core.text import plural
from toytip.evaluation.judgment import Judgment


@dataclass(frozen=True, repr=False)
class Judged:
    """The judgment of predictions. `json()` returns the object of `toytip judge --json`."""

    judgment: Judgment

    @property
    def name(self) -> str:
        """The name of the predictions."""
        return self.judgment.name

    @property
    def version(self) -> str:
        """The version whose test trips were judged."""
        return self.judgment.version

    @property
    def metrics(self) -> pd.DataFrame:
        """The metrics on the test trips by segment, with the columns of `Store.metrics`."""
        return metrics_frame(self.judgment.evaluation)

    @property
    def differences(self) -> pd.DataFrame:
        """The paired differences to the champion, indexed by segment and metric.

        Columns: `value` (a positive value is better), `low` and `high` (95 % interval), and
        `conclusion`. The frame has no rows if there is no champion that can be compared.
        """
        comparison = self.judgment.champion
        rows = [
            {
                "segment": segment,
                "metric": metric,
                "value": difference.value,
                "low": difference.interval.low if difference.interval else None,
                "high": difference.interval.high if difference.interval else None,
                "conclusion": str(difference.conclusion),
            }
            for segment, differences in (comparison.differences if comparison else {}).items()
            for metric, difference in differences.items()
        ]
        columns = ["segment", "metric", "value", "low", "high", "conclusion"]
        return pd.DataFrame(rows, columns=columns).set_index(["segment", "metric"])

    @property
    def slices(self) -> pd.DataFrame:
        """The metrics of all evaluation slices, one row per segment and slice."""
        return pd.DataFrame(
            [
                {"segment": segment, **asdict(item)}
                for segment, report in self.judgment.evaluation["test"].items()
                for item in report.slices
            ]
        )

    @property
    def report_path(self) -> str | None:
        """The path of the HTML report."""
        return self.judgment.report_path

    def json(self) -> dict[str, Any]:
        """Return the complete judgment as plain values, with the keys of `toytip judge --json`."""
        return dict(to_json(self.judgment))

    def __repr__(self) -> str:
        return f"<toytip judgment of {self.name}: {plural(self.judgment.rows.judged, 'test trip')} of {self.version}>"

    def _repr_html_(self) -> str:
        table: str = self.metrics.to_html(float_format="{:.4f}".format)
        return f"<p>{escape(repr(self))}</p>{table}"


@with_python_errors
def judge(
    predictions: str | Path,
    *,
    store: str | Path | None = None,
    env: str | None = None,
    input_version: str | None = None,
    as_of: str | None = None,
    name: str | None = None,
    threshold: float | None = None,
    output: str | Path | None = None,
    leaderboard: str | Path | None = None,
    workers: int | None = None,
    progress: bool = False,
    **settings: Any,
) -> Judged:
    """Judge predictions of any program as `toytip judge` does.

    `predictions` is a Parquet or CSV file, or a folder, glob or URI of such files, with the columns
    `trip_id` and `probability`. `input_version` is the version or tag whose test trips are judged,
    by default the current version. `name` is the name in the report and on the leaderboard.
    `threshold` is the decision threshold. By default, the column `prediction` has the decisions. If
    there is no such column, the threshold is tuned on the validation trips. `output` is the HTML
    file for the report, by default a file in the store. `leaderboard` is the folder of a page that
    compares judged predictions. The workers are those of `toytip.run`.

    Raises SourceError if a test trip has no prediction or several, or if a prediction is invalid or
    of an unknown trip. Raises SchemaError if a column is missing, and StoreError if the version
    does not exist.

        judged = toytip.judge("my-predictions.parquet", store="toytip-store")
        judged.metrics.loc[("test", "all"), "auc"]
    """
    options = {"store": store, "env": env, "workers": workers, **settings}
    resolved = resolve_worker_settings(options)
    from toytip.cluster.embedded import embedded_workers

    with embedded_workers(resolved):
        from toytip.pipeline.judging.judge import JudgeRequest, judge_predictions

        request = JudgeRequest(
            predictions=str(predictions),
            name=name,
            version=input_version,
            as_of=as_of,
            threshold=threshold,
            output=None if output is None else str(output),
            leaderboard=None if leaderboard is None else str(leaderboard),
        )
        return Judged(judge_predictions(resolved, request, make_progress(progress)))
