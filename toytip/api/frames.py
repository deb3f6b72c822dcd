"""Versions, runs and metrics as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import pandas as pd

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.jsonable import to_json
from toytip.datasets.registry import dataset_of
from toytip.datasets.words import KINDS, SEGMENTS
from toytip.evaluation.report import EvaluationSummary
from toytip.store.lineage import find_rows
from toytip.store.manifest import Manifest
from toytip.store.refs import VersionSummary
from toytip.store.runs import RunList, RunSummary
from toytip.store.store import Store


def dataset_of_version(store: Store, manifest: Manifest) -> Dataset:
    """Return the data set of the rows of a version."""
    rows = find_rows(store, manifest)
    return dataset_of(KINDS[0]) if rows is None else dataset_of(str(rows.config["taxi"]), rows.module)


def versions_frame(summaries: Sequence[VersionSummary]) -> pd.DataFrame:
    """Return a frame with one row per version of a table."""
    return _frame_of(summaries, VersionSummary)


def runs_frame(listed: RunList) -> pd.DataFrame:
    """Return a frame with one row per run, indexed by version."""
    frame = _frame_of(listed.runs, RunSummary)
    for segment in dict.fromkeys((*SEGMENTS, *(name for run in listed.runs for name in run.test_auc))):
        values = [run.test_auc.get(segment) for run in listed.runs]
        column = "auc" if segment == ALL_ROWS else f"{segment}_auc"
        frame.insert(frame.columns.get_loc("test_auc"), column, pd.Series(values, dtype=float))
    return frame.drop(columns="test_auc").set_index("version")


def _frame_of(records: Sequence[VersionSummary] | Sequence[RunSummary], kind: type) -> pd.DataFrame:
    frame = pd.DataFrame(to_json(records), columns=[item.name for item in fields(kind)])
    return frame.assign(created_at=pd.to_datetime(frame["created_at"], utc=True, format="ISO8601"))


def metrics_frame(evaluation: EvaluationSummary) -> pd.DataFrame:
    """Return the metrics of an evaluation as a frame, indexed by split and segment."""
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
