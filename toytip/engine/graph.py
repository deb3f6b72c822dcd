"""The Dask graph: lazy frames over partitions, the stages on them, and the tasks that write files.

Between two synchronization barriers, all work on a partition is one fused task. The functions of
this module only build the graph. `engine.compute` executes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd

from toytip.core import splits
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.model import Encoding, TrainedModel
from toytip.core.partitions import DataFile, SourcePartition
from toytip.core.schema import Table
from toytip.core.splits import Split
from toytip.core.tables import (
    FEATURE_HISTOGRAMS,
    FEATURES,
    PREDICTIONS,
    RAW_TRIPS,
    REJECTS,
    SCORES,
    TRIPS,
)
from toytip.evaluation.tally import Tallies, combine_tallies
from toytip.sources import reader
from toytip.stages import clean, conform, featurize, infer, postprocess, preprocess, profile, summarize
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.store import Store

RULE_INDEX_META = pd.Series(dtype="int8", name="rule_index")
RESULT_META = pd.Series(dtype=object, name="result")


@dataclass(frozen=True)
class PartitionResult:
    """The result of a task on one partition: written files, metric histograms or value counts."""

    rows: int
    worker: str = ""
    records: dict[str, DataFile] = field(default_factory=dict)
    """Records of the written files, by table."""
    tallies: Tallies = field(default_factory=dict)
    value_counts: preprocess.ValueCounts | None = None

    def to_series(self) -> pd.Series:
        """Return a series whose only value is this result, as one partition of a lazy series."""
        return pd.Series([self], dtype=object, name=RESULT_META.name)


@dataclass(frozen=True)
class Summarizer:
    """Computes the metric histograms of predictions, by split, segment and evaluation slice.

    If `champion` is set, the summarizer also scores the test rows with the champion, for the
    promotion gate.
    """

    encoding: Encoding
    boroughs: tuple[str, ...] = ()
    champion: TrainedModel | None = None

    def __call__(self, predictions: pd.DataFrame, features: pd.DataFrame) -> Tallies:
        """Return the metric histograms of a partition."""
        tallies = summarize.summarize_predictions(predictions, features, self.encoding, self.boroughs)
        if self.champion is None:
            return tallies
        dataset = self.encoding.dataset
        rows = features[
            splits.in_split(features, self.encoding.split, ALL_ROWS, "test", dataset)
        ].reset_index(drop=True)
        scores = _score_partition(rows, self.champion)
        return tallies | summarize.summarize_predictions(
            postprocess.postprocess(scores, self.champion.threshold, dataset),
            rows,
            self.encoding,
            self.boroughs,
            predictor="champion",
        )


@dataclass(frozen=True)
class SummaryInputs:
    """The inputs of a summary in addition to predictions: the lazy features of the same rows."""

    features: dd.DataFrame
    summarizer: Summarizer


@dataclass(frozen=True)
class TrainingScores:
    """The scores of the training rows, which training has stored per data file."""

    checkpoints: StoreCheckpoints
    paths: tuple[str, ...]


def read_raw_trips(partitions: Sequence[SourcePartition], dataset: Dataset) -> dd.DataFrame:
    """Return partitions of monthly source files as lazy `raw_trips`."""
    # A module does not change how source files are read.
    return _frame_of_items(_read_source_trips, partitions, dataset.table(RAW_TRIPS), dataset=dataset.base)


def read_version(
    store: Store, table: Table, version: str, records: Sequence[DataFile], *, staged: bool = False
) -> dd.DataFrame:
    """Return data files as a lazy frame. If `staged`, the version is not published yet."""
    return _frame_of_items(
        _read_data_file, records, table, store=store, table=table, version=version, staged=staged
    )


def _frame_of_items(
    read: Callable[..., pd.DataFrame], items: Sequence[Any], schema: Table, /, **kwargs: Any
) -> dd.DataFrame:
    """Return a lazy frame with one partition per item."""
    # The string columns already have the correct dtype, which Dask's conversion would change.
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_map(
            read, list(items), meta=schema.empty(), label=schema.name, enforce_metadata=False, **kwargs
        )


def _read_source_trips(partition: SourcePartition, dataset: Dataset) -> pd.DataFrame:
    frames = [
        conform.conform(reader.read_partition(part, dataset), part, dataset) for part in partition.by_file()
    ]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _read_data_file(
    file: DataFile, store: Store, table: Table, version: str, *, staged: bool
) -> pd.DataFrame:
    return store.read_data_file(table, version, file, staged=staged)


def _map_stage(
    frame: dd.DataFrame, stage: Callable[..., Any], meta: Any, *args: Any, **kwargs: Any
) -> dd.DataFrame:
    return frame.map_partitions(stage, *map(_shared, args), meta=meta, enforce_metadata=False, **kwargs)


def _shared(argument: Any) -> Any:
    """Return an argument of many tasks. The graph has the rows of reference tables only once."""
    has_rows = isinstance(argument, Dataset) and argument.module and argument.module.references
    return dask.delayed(argument, pure=True) if has_rows else argument


def clean_trips(trips: dd.DataFrame, dataset: Dataset) -> tuple[dd.DataFrame, dd.DataFrame]:
    """Split trips into valid `trips` and `rejects`."""
    rule_index = _map_stage(trips, clean.first_broken_rule, RULE_INDEX_META, dataset)
    accepted, rejected = (
        _map_stage(trips, stage, dataset.table(table).empty(), rule_index, dataset)
        for stage, table in ((clean.accepted_trips, TRIPS), (clean.rejected_trips, REJECTS))
    )
    return accepted, rejected


def build_features(trips: dd.DataFrame, dataset: Dataset) -> dd.DataFrame:
    """Compute the `features` of valid trips."""
    return _map_stage(trips, featurize.featurize, dataset.table(FEATURES).empty(), dataset)


def build_feature_histograms(features: dd.DataFrame, dataset: Dataset) -> dd.DataFrame:
    """Compute the feature histograms of each partition."""
    return _map_stage(features, profile.profile, FEATURE_HISTOGRAMS.empty(), dataset)


def score_features(
    features: dd.DataFrame, model: TrainedModel, training_scores: TrainingScores | None = None
) -> dd.DataFrame:
    """Compute the `scores` of features. The graph contains the model once, not once per task."""
    meta = model.encoding.dataset.table(SCORES).empty()
    return _map_stage(features, _score_partition, meta, dask.delayed(model, pure=True), training_scores)


def _score_partition(
    features: pd.DataFrame,
    model: TrainedModel,
    training_scores: TrainingScores | None = None,
    partition_info: dict[str, int] | None = None,
) -> pd.DataFrame:
    """Score a partition. Training rows reuse the probabilities that training stored, if any."""
    training_probabilities = None
    if training_scores is not None and partition_info is not None:
        path = training_scores.paths[partition_info["number"]]
        training_probabilities = training_scores.checkpoints.load_scores(path)
    if training_probabilities is None:
        return infer.infer(features, preprocess.encode(features, model.encoding), model)
    encoding = model.encoding
    is_training_row = splits.in_split(features, encoding.split, encoding.segment, "train", encoding.dataset)
    other_rows = preprocess.encode(features[~is_training_row], encoding)
    probabilities = np.empty(len(features), np.float32)
    probabilities[is_training_row] = training_probabilities
    probabilities[~is_training_row] = infer.predict_probabilities(other_rows, model.booster)
    return infer.build_scores(features, probabilities, model)


def apply_threshold(scores: dd.DataFrame, threshold: float, dataset: Dataset) -> dd.DataFrame:
    """Compute `predictions` from scores and the decision threshold."""
    meta = dataset.table(PREDICTIONS).empty()
    return _map_stage(scores, postprocess.postprocess, meta, threshold, dataset)


def select_split(features: dd.DataFrame, encoding: Encoding, split: str) -> tuple[dd.DataFrame, dd.Series]:
    """Return the lazy rows of one split, in the segment of the encoding, and their labels."""
    rows = _map_stage(features, _select_rows, features, encoding, split)
    return rows, rows[encoding.dataset.label.name]


def _select_rows(features: pd.DataFrame, encoding: Encoding, split: str) -> pd.DataFrame:
    """Return rows of a partition. The index has their positions among the selected rows."""
    is_in_split = splits.in_split(features, encoding.split, encoding.segment, split, encoding.dataset)
    return features[is_in_split].reset_index(drop=True)


def write_partitions(
    store: Store,
    version: str,
    records: Sequence[Mapping[str, DataFile]],
    frames: dict[Table, dd.DataFrame],
    summary_inputs: SummaryInputs | None = None,
) -> dd.Series:
    """Return a lazy series of results, whose tasks write frames as data files.

    Each task writes one file per table. `records` has, for each partition, a record by table with
    the key, the input fingerprint and the fingerprint of the file. With `summary_inputs`, the tasks
    also compute the metric histograms of the first table.
    """
    first, *others = frames.values()
    if summary_inputs is not None:
        others.append(summary_inputs.features)
    return _map_stage(
        first,
        _write_partition,
        RESULT_META,
        *others,
        store=store,
        version=version,
        records=tuple(records),
        tables=tuple(frames),
        summarizer=None if summary_inputs is None else dask.delayed(summary_inputs.summarizer, pure=True),
    )


def _write_partition(
    *frames: pd.DataFrame,
    store: Store,
    version: str,
    records: tuple[Mapping[str, DataFile], ...],
    tables: tuple[Table, ...],
    summarizer: Summarizer | None,
    partition_info: dict[str, int] | None = None,
) -> pd.Series:
    assert partition_info is not None, "Dask passes the number of the partition to every task"
    planned = records[partition_info["number"]]
    files = {}
    for table, frame in zip(tables, frames, strict=False):  # the last frame may be the input of the summary
        reasons = clean.count_reasons(frame) if table.name == REJECTS.name else {}
        record = replace(planned[table.name], rejects=reasons)
        files[table.name] = store.write_data_file(table, version, record, frame)
    return PartitionResult(
        rows=len(frames[0]),
        worker=distributed.get_worker().address,
        records=files,
        tallies=summarizer(frames[0], frames[-1]) if summarizer else {},
    ).to_series()


def summarize_partitions(predictions: dd.DataFrame, summary_inputs: SummaryInputs) -> dd.Series:
    """Return a lazy series of results with the metric histograms of predictions."""
    summarizer = dask.delayed(summary_inputs.summarizer, pure=True)
    return _map_stage(predictions, _summarize_partition, RESULT_META, summary_inputs.features, summarizer)


def _summarize_partition(
    predictions: pd.DataFrame, features: pd.DataFrame, summarizer: Summarizer
) -> pd.Series:
    return PartitionResult(len(predictions), tallies=summarizer(predictions, features)).to_series()


def count_partitions(
    features: dd.DataFrame, names: tuple[str, ...], split: Split, segment: str, dataset: Dataset
) -> dd.Series:
    """Return a lazy series of results with the value counts of the training rows."""
    return _map_stage(features, _count_partition, RESULT_META, names, split, segment, dataset)


def _count_partition(
    features: pd.DataFrame, names: tuple[str, ...], split: Split, segment: str, dataset: Dataset
) -> pd.Series:
    value_counts = preprocess.count_values(features, names, split, segment, dataset)
    return PartitionResult(len(features), value_counts=value_counts).to_series()


def persist(client: distributed.Client, frame: dd.DataFrame) -> dd.DataFrame:
    """Compute a frame's partitions once, and keep them in the workers' memory."""
    frame = client.persist(frame)
    distributed.wait(frame)
    return frame


def select_partitions(frame: dd.DataFrame, indices: Sequence[int]) -> dd.DataFrame:
    """Return a frame that has only the partitions at these indices."""
    return frame.partitions[list(indices)]


def merge_tallies(results: Iterable[PartitionResult]) -> Tallies:
    """Merge the metric histograms of all partitions."""
    return reduce(combine_tallies, (result.tallies for result in results), {})
