"""The Dask graph: lazy frames over partitions, the stages mapped over them, and sinks that write parts.

Between two barriers all that happens to a partition is one fused task. Nothing here computes while it builds;
`collect` does, and tells the progress of every partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import pandas as pd

from toytip.core import splits
from toytip.core.model import Encoding, TrainedModel
from toytip.core.partitions import DataFile, SourcePartition
from toytip.core.schema import Table
from toytip.core.tables import FEATURE_HISTOGRAMS, PREDICTIONS, REJECTS, SCORES, TRIPS
from toytip.evaluation.tally import Tallies, combine_tallies
from toytip.sources import reader
from toytip.stages import clean, conform, featurize, infer, postprocess, preprocess, profile, summarize
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.store import Store

RULE_INDEX_META = pd.Series(dtype="int8", name="rule_index")


@dataclass(frozen=True)
class PartitionResult:
    """What is left of a partition at a barrier: the parts that it wrote, and by which worker, or what it adds up to."""

    rows: int
    worker: str = ""
    records: dict[str, DataFile] = field(default_factory=dict)
    tallies: Tallies = field(default_factory=dict)
    value_counts: preprocess.ValueCounts | None = None


@dataclass(frozen=True)
class Summarizer:
    """How predictions are summed up: by the splits and rates of an encoding, and the names of the zones' boroughs.

    With a `champion`, what it says of the same test rows is summed up beside.
    """

    encoding: Encoding
    boroughs: tuple[str, ...] = ()
    champion: TrainedModel | None = None

    def __call__(self, predictions: pd.DataFrame, features: pd.DataFrame) -> Tallies:
        """Return the summary of a partition."""
        found = summarize.summarize_predictions(predictions, features, self.encoding, self.boroughs)
        if self.champion is None:
            return found
        rows = features[splits.in_split(features, self.encoding.split, "all", "test")].reset_index(drop=True)
        said = postprocess.postprocess(_score_partition(rows, self.champion), self.champion.threshold)
        return found | summarize.summarize_predictions(
            said, rows, self.encoding, self.boroughs, predictor="champion"
        )


@dataclass(frozen=True)
class SummaryInputs:
    """What predictions are summed up with: lazy features of the same rows, and the rule."""

    features: dd.DataFrame
    summarizer: Summarizer


RESULT_META = pd.Series(dtype=object, name="done")


def _frame_of_items(
    read: Callable[..., pd.DataFrame], items: Sequence[Any], shape: Table, /, **kwargs: Any
) -> dd.DataFrame:
    # Our strings have their dtype already; Dask's own conversion would only change it.
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_map(
            read, list(items), meta=shape.empty(), label=shape.name, enforce_metadata=False, **kwargs
        )


def _map_stage(
    frame: dd.DataFrame, stage: Callable[..., Any], meta: Any, *args: Any, **kwargs: Any
) -> dd.DataFrame:
    return frame.map_partitions(stage, *args, meta=meta, enforce_metadata=False, **kwargs)


def _read_source_trips(part: SourcePartition) -> pd.DataFrame:
    return conform.conform(reader.read_partition(part), part)


def _read_data_file(
    record: DataFile, store: Store, table: Table, version: str, *, making: bool
) -> pd.DataFrame:
    return store.read_data_file(table, version, record, staged=making)


def read_raw_trips(partitions: Sequence[SourcePartition]) -> dd.DataFrame:
    """Read monthly files: `trips`, not yet clean."""
    return _frame_of_items(_read_source_trips, partitions, TRIPS)


def read_version(
    store: Store, table: Table, version: str, records: Sequence[DataFile], *, staged: bool = False
) -> dd.DataFrame:
    """Read parts of a published version, or of one that is being made."""
    return _frame_of_items(
        _read_data_file, records, table, store=store, table=table, version=version, making=staged
    )


def clean_trips(trips: dd.DataFrame) -> tuple[dd.DataFrame, dd.DataFrame]:
    """Split trips into those kept, and `rejects`."""
    rule_index = _map_stage(trips, clean.first_broken_rule, RULE_INDEX_META)
    return _map_stage(trips, clean.accepted_trips, TRIPS.empty(), rule_index), _map_stage(
        trips, clean.rejected_trips, REJECTS.empty(), rule_index
    )


def build_features(trips: dd.DataFrame) -> dd.DataFrame:
    """Make `features` of kept trips."""
    return _map_stage(trips, featurize.featurize, featurize.FEATURES_SCHEMA.empty())


def build_feature_histograms(features: dd.DataFrame) -> dd.DataFrame:
    """Make `profiles` of features, one a partition."""
    return _map_stage(features, profile.profile, FEATURE_HISTOGRAMS.empty())


@dataclass(frozen=True)
class TrainingScores:
    """What training left: the scores of the rows that it trained on, by partition."""

    checkpoints: StoreCheckpoints
    paths: tuple[str, ...]


def score_features(
    features: dd.DataFrame, model: TrainedModel, training_scores: TrainingScores | None = None
) -> dd.DataFrame:
    """Make `scores` of features. The model is one value of the graph, not a copy in every task."""
    return _map_stage(
        features, _score_partition, SCORES.empty(), dask.delayed(model, pure=True), training_scores
    )


def _score_partition(
    features: pd.DataFrame,
    model: TrainedModel,
    training_scores: TrainingScores | None = None,
    partition_info: dict[str, int] | None = None,
) -> pd.DataFrame:
    """Score a partition; of the rows that were trained on, what the trained booster said is as good."""
    chances = None
    if training_scores is not None and partition_info is not None:
        chances = training_scores.checkpoints.load_scores(training_scores.paths[partition_info["number"]])
    if chances is None:
        return infer.infer(features, preprocess.encode(features, model.encoding), model)
    trained = splits.in_split(features, model.encoding.split, model.encoding.segment, "train")
    whole = np.empty(len(features), np.float32)
    whole[trained] = chances
    rest = features[~trained]
    whole[~trained] = infer.predict_probabilities(preprocess.encode(rest, model.encoding), model.booster)
    return infer.build_scores(features, whole, model)


def apply_threshold(scores: dd.DataFrame, threshold: float) -> dd.DataFrame:
    """Make `predictions` of scores."""
    return _map_stage(scores, postprocess.postprocess, PREDICTIONS.empty(), threshold)


def encode_split(features: dd.DataFrame, encoding: Encoding, split: str) -> dd.DataFrame:
    """Make the matrix of one split's rows, with the label as its last column; rows that are alike beside each other.

    The index of a partition says where a row stood among them.
    """
    meta = preprocess.matrix_table(encoding).empty().assign(high_tip=pd.Series(dtype="bool"))
    return _map_stage(features, _encode_partition, meta, encoding, split)


def _encode_partition(features: pd.DataFrame, encoding: Encoding, split: str) -> pd.DataFrame:
    rows = features[splits.in_split(features, encoding.split, encoding.segment, split)].reset_index(drop=True)
    matrix = preprocess.encode(rows, encoding).assign(high_tip=rows["high_tip"])
    order = preprocess.similarity_order(matrix, encoding)
    return matrix.take(order).set_axis(pd.Index(order, dtype="uint32"))


def write_partitions(
    store: Store,
    version: str,
    records: Sequence[DataFile],
    frames: dict[Table, dd.DataFrame],
    summary_inputs: SummaryInputs | None = None,
) -> dd.Series:
    """Write frames, partition by partition, as parts of their tables: a lazy series of Done.

    `records` say of each partition what is known beforehand: its key, its input, its identity. With `summary_inputs` the
    first table is summed up with the features that it was made of.
    """
    first, *others = frames.values()
    if summary_inputs is not None:
        others.append(summary_inputs.features)
    return _map_stage(
        first, _write_partition, RESULT_META, *others,
        store=store, version=version, records=tuple(records), tables=tuple(frames),
        sums=None if summary_inputs is None else dask.delayed(summary_inputs.summarizer, pure=True),
    )  # fmt: skip


def _write_partition(
    *frames: pd.DataFrame,
    store: Store,
    version: str,
    records: tuple[DataFile, ...],
    tables: tuple[Table, ...],
    sums: Summarizer | None,
    partition_info: dict[str, int] | None = None,
) -> pd.Series:
    assert partition_info is not None, "Dask tells every task its partition"
    planned = records[partition_info["number"]]
    written = {}
    for table, frame in zip(tables, frames, strict=False):  # the features that are summed come last
        reasons = clean.count_reasons(frame) if table == REJECTS else {}
        written[table.name] = store.write_data_file(table, version, replace(planned, rejects=reasons), frame)
    found = sums(frames[0], frames[-1]) if sums else {}
    worker = distributed.get_worker().address
    done = PartitionResult(len(frames[0]), worker, records=written, tallies=found)
    return pd.Series([done], dtype=object, name="done")


def summarize_partitions(predictions: dd.DataFrame, summary_inputs: SummaryInputs) -> dd.Series:
    """Sum up predictions with the features that they were made of: a lazy series of Done."""
    return _map_stage(
        predictions,
        _summarize_partition,
        RESULT_META,
        summary_inputs.features,
        dask.delayed(summary_inputs.summarizer, pure=True),
    )


def _summarize_partition(
    predictions: pd.DataFrame, features: pd.DataFrame, summarizer: Summarizer
) -> pd.Series:
    done = PartitionResult(len(predictions), tallies=summarizer(predictions, features))
    return pd.Series([done], dtype=object, name="done")


def count_partitions(features: dd.DataFrame, names: tuple[str, ...], split: Any, segment: str) -> dd.Series:
    """Take the census of the training rows: a lazy series of Done."""
    return _map_stage(features, _count_partition, RESULT_META, names, split, segment)


def _count_partition(features: pd.DataFrame, names: tuple[str, ...], split: Any, segment: str) -> pd.Series:
    census = preprocess.count_values(features, names, split, segment)
    return pd.Series([PartitionResult(len(features), value_counts=census)], dtype=object, name="done")


def persist(client: distributed.Client, frame: dd.DataFrame) -> dd.DataFrame:
    """Compute a frame's partitions once and hold them on the workers."""
    frame = client.persist(frame)
    distributed.wait(frame)
    return frame


def select_partitions(frame: dd.DataFrame, numbers: Sequence[int]) -> dd.DataFrame:
    """Return some partitions of a frame."""
    return frame.partitions[list(numbers)]


def merge_tallies(results: Iterable[PartitionResult]) -> Tallies:
    """Merge the summaries of all partitions."""
    return reduce(combine_tallies, (item.tallies for item in results), {})
