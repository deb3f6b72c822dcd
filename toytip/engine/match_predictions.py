"""Match predictions of any program with the trips of `features`, and summarize them, on workers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dask
import distributed
import numpy as np
import pandas as pd

from toytip.core.arrays import BoolArray, Float32Array, Int64Array
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.splits import Split, in_split
from toytip.core.tables import FEATURES
from toytip.engine.compute import wait_for
from toytip.engine.graph import PartitionResult, Summarizer, merge_tallies
from toytip.engine.prediction_files import (
    FOOTER_THREADS,
    IdRange,
    LoadedChunk,
    PredictionFiles,
    PredictionRows,
    load_chunk,
    trip_id_range,
)
from toytip.engine.unknown_trips import LazyChunk, LazyTripIds, first_unknown_trip
from toytip.evaluation.judgment import NO_FAULT, FaultCount, PredictionFaults
from toytip.evaluation.tally import Tallies
from toytip.progress.tracker import StageProgress
from toytip.store.manifest import Manifest
from toytip.store.store import Store

HASH_RANGE = 2**64


@dataclass(frozen=True, kw_only=True)
class MatchCounts:
    """Number of trips of `features` with and without predictions."""

    trips: int = 0
    """Trips in the features."""
    predictions: int = 0
    """Predictions of the trips in the features, repeated ones included."""
    judged: int = 0
    """Test trips."""
    missing: FaultCount = NO_FAULT
    """Test trips without a prediction."""
    repeated: FaultCount = NO_FAULT
    """Predictions of a trip that already has one."""
    unscored_validation: int = 0
    """Validation trips of the segment without a prediction."""
    judged_hash: int = 0
    """Sum of the hashes of the IDs and labels of the test trips, in any order."""

    def merge(self, other: MatchCounts) -> MatchCounts:
        """Return the counts of two sets of trips together."""
        total = {name: value + getattr(other, name) for name, value in vars(self).items()}
        return MatchCounts(**{**total, "judged_hash": total["judged_hash"] % HASH_RANGE})


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedTrips:
    """The prediction of each trip of a data file of `features`, in the order of the file."""

    counts: MatchCounts
    probability: Float32Array | None
    """Probabilities, NaN without a prediction. None for a file that is not judged."""
    decision: BoolArray | None
    """Decisions, false without one. None for a file that is not judged."""


@dataclass(frozen=True, kw_only=True)
class JudgedFeatures:
    """The features whose trips are judged."""

    store: Store
    manifest: Manifest
    dataset: Dataset
    split: Split
    """Time ranges of the validation and test trips."""
    segment: str
    """Segment of the validation trips on which the threshold is tuned."""

    def files_of(self, split: str) -> list[DataFile]:
        """Return the data files that can have trips of a split."""
        return [file for file in self.manifest.files if self.split.covers(file.key.month, split)]

    def is_scored(self, file: DataFile) -> bool:
        """Return whether the probabilities of a data file are needed."""
        return any(self.split.covers(file.key.month, split) for split in ("validation", "test"))

    @property
    def match_columns(self) -> list[str]:
        """The columns that identify a trip, and that decide on its split and segment."""
        dataset = self.dataset
        segment = dataset.segment_columns(self.segment)
        return ["trip_id", dataset.time_column, *segment, dataset.label.name]

    def id_range(self, file: DataFile) -> IdRange:
        """Return a range that contains the trip IDs of a data file."""
        folder = self.store.version_uri(self.manifest.table, self.manifest.version)
        with self.store.reading():
            return trip_id_range(f"{folder}/{file.path}", self.store.storage_options)


@dataclass(frozen=True, kw_only=True)
class MatchedPredictions:
    """Predictions that are matched with features. The workers hold the probabilities."""

    features: JudgedFeatures
    matched: dict[str, Any]
    """Lazy `MatchedTrips` of the validation and test files, by path of the data file."""
    counts: MatchCounts
    rows: int
    """Number of predictions in the files."""
    faults: PredictionFaults


def match_predictions(
    client: distributed.Client, features: JudgedFeatures, files: PredictionFiles, stage: StageProgress
) -> MatchedPredictions:
    """Match all predictions with the trips of `features`, one task per data file.

    A chunk of predictions in any order reaches the tasks of all data files whose range of trip IDs
    overlaps with the range of the chunk. The workers keep the matched probabilities of the
    validation and test trips in memory.
    """
    load = dask.delayed(load_chunk, pure=False)
    chunks = [(chunk.id_range, load(chunk, has_decisions=files.has_decisions)) for chunk in files.chunks]
    id_ranges = _id_ranges(features)
    matches = _lazy_matches(features, id_ranges, chunks)
    # The chunks are persisted with the matches, so that no task reads a chunk a second time.
    persisted = client.persist([*matches.values(), *(dask.delayed(_facts_of)(chunk) for _, chunk in chunks)])
    matched = dict(zip(matches, persisted, strict=False))
    counts = client.compute([dask.delayed(_counts_of)(item) for item in matched.values()])
    total = sum_counts(wait_for(counts, stage, rows=lambda count: count.trips))
    facts = client.gather(client.compute(list(persisted[len(matches) :])))
    unknown = FaultCount(sum(identified for _, _, identified in facts) - total.predictions)
    if unknown:
        first = first_unknown_trip(client, _lazy_trip_ids(features, id_ranges), chunks)
        unknown = FaultCount(unknown.count, first)
    faults = PredictionFaults(missing=total.missing, repeated=total.repeated, unknown=unknown)
    return MatchedPredictions(
        features=features,
        matched={
            file.path: matched[file.path] for file in features.manifest.files if features.is_scored(file)
        },
        counts=total,
        rows=sum(rows for rows, _, _ in facts),
        faults=sum((faults for _, faults, _ in facts), faults),
    )


def _id_ranges(features: JudgedFeatures) -> list[IdRange]:
    """Return a range of trip IDs for each data file of `features`, which contains all of them."""
    with ThreadPoolExecutor(FOOTER_THREADS) as pool:
        return list(pool.map(features.id_range, features.manifest.files))


def _lazy_matches(
    features: JudgedFeatures, id_ranges: Sequence[IdRange], chunks: Sequence[LazyChunk]
) -> dict[str, Any]:
    """Return the lazy `MatchedTrips` of each data file of `features`, by path."""
    files, lazy_features = features.manifest.files, dask.delayed(features, pure=True)
    match = dask.delayed(_match_file, pure=False)
    return {
        file.path: match(file, lazy_features, _pieces_of(id_range, chunks))
        for file, id_range in zip(files, id_ranges, strict=True)
    }


def _lazy_trip_ids(features: JudgedFeatures, id_ranges: Sequence[IdRange]) -> list[LazyTripIds]:
    """Return the lazy sorted trip IDs of each data file of `features`, with a range of them."""
    read, lazy_features = dask.delayed(_sorted_trip_ids, pure=False), dask.delayed(features, pure=True)
    files = features.manifest.files
    return [(id_range, read(file, lazy_features)) for file, id_range in zip(files, id_ranges, strict=True)]


def _sorted_trip_ids(file: DataFile, features: JudgedFeatures) -> Int64Array:
    ids: Int64Array = np.sort(_read_trips(file, features, ["trip_id"])["trip_id"].to_numpy())
    return ids


def _read_trips(file: DataFile, features: JudgedFeatures, columns: list[str]) -> pd.DataFrame:
    table = features.dataset.table(FEATURES).select(columns)
    return features.store.read_data_file(table, features.manifest.version, file)


def sum_counts(counts: Sequence[MatchCounts]) -> MatchCounts:
    """Return the counts of all data files together."""
    total = MatchCounts()
    for count in counts:
        total = total.merge(count)
    return total


def _pieces_of(id_range: IdRange, chunks: Sequence[LazyChunk]) -> list[Any]:
    """Return the lazy predictions of a range of trip IDs, from all chunks that can have some."""
    piece = dask.delayed(_piece_of)
    return [
        piece(chunk, id_range) for (low, high), chunk in chunks if low <= id_range[1] and id_range[0] <= high
    ]


def _piece_of(chunk: LoadedChunk, id_range: IdRange) -> PredictionRows:
    return chunk.predictions.within(id_range)


def _facts_of(chunk: LoadedChunk) -> tuple[int, PredictionFaults, int]:
    """Return the rows of a chunk, their faults, and the number of rows with a trip ID."""
    return chunk.rows, chunk.faults, len(chunk.predictions.trip_id)


def _counts_of(matched: MatchedTrips) -> MatchCounts:
    return matched.counts


def _match_file(file: DataFile, features: JudgedFeatures, pieces: Sequence[PredictionRows]) -> MatchedTrips:
    """Match predictions with the trips of a data file."""
    is_scored = features.is_scored(file)
    trips = _read_trips(file, features, features.match_columns if is_scored else ["trip_id"])
    return match_trips(trips, pieces, features) if is_scored else _count_trips(trips, pieces)


def _count_trips(trips: pd.DataFrame, pieces: Sequence[PredictionRows]) -> MatchedTrips:
    """Count the predictions of trips that are not judged."""
    row, _ = _find_trips(trips, pieces)
    repeated = _repeats(trips, np.bincount(row, minlength=len(trips)))
    counts = MatchCounts(trips=len(trips), predictions=len(row), repeated=repeated)
    return MatchedTrips(counts=counts, probability=None, decision=None)


def _repeats(trips: pd.DataFrame, count: Int64Array) -> FaultCount:
    """Return the predictions of trips that already have one. `count` is their number by trip."""
    surplus = int(count.sum() - (count > 0).sum())
    return FaultCount.of(trips["trip_id"].to_numpy()[count > 1], surplus)


def _find_trips(
    trips: pd.DataFrame, pieces: Sequence[PredictionRows]
) -> tuple[np.ndarray[Any, np.dtype[np.intp]], BoolArray]:
    """Return the row of the trip of each known prediction, and which predictions are known."""
    ids = trips["trip_id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    predicted_ids = np.concatenate([np.empty(0, np.int64), *(piece.trip_id for piece in pieces)])
    if not len(ids):
        return np.empty(0, np.intp), np.zeros(len(predicted_ids), bool)
    position = np.minimum(np.searchsorted(ids, predicted_ids, sorter=order), len(ids) - 1)
    row = order[position]
    is_known = ids[row] == predicted_ids
    return row[is_known], is_known


def match_trips(
    trips: pd.DataFrame, pieces: Sequence[PredictionRows], features: JudgedFeatures
) -> MatchedTrips:
    """Return the predictions of trips in the order of the trips, and their counts."""
    row, is_known = _find_trips(trips, pieces)
    count = np.bincount(row, minlength=len(trips))
    probability = np.full(len(trips), np.nan, np.float32)
    chance = np.concatenate([np.empty(0, np.float32), *(piece.probability for piece in pieces)])
    probability[row] = chance[is_known]
    decision = np.zeros(len(trips), bool)
    decisions = [piece.decision for piece in pieces if piece.decision is not None]
    if decisions:
        decision[row] = np.concatenate(decisions)[is_known]
    judged = in_split(trips, features.split, ALL_ROWS, "test", features.dataset)
    validation = in_split(trips, features.split, features.segment, "validation", features.dataset)
    missing = trips["trip_id"].to_numpy()[judged & (count == 0)]
    counts = MatchCounts(
        trips=len(trips),
        predictions=len(row),
        judged=int(judged.sum()),
        missing=FaultCount.of(missing),
        repeated=_repeats(trips, count),
        unscored_validation=int((validation & (count == 0)).sum()),
        judged_hash=_hash_of(trips[judged], features.dataset.label.name),
    )
    return MatchedTrips(counts=counts, probability=probability, decision=decision)


def _hash_of(trips: pd.DataFrame, label: str) -> int:
    """Return a hash of the IDs and labels of trips, which does not depend on their order."""
    keys = 2 * trips["trip_id"].to_numpy().astype(np.uint64) + trips[label].to_numpy()
    return int(pd.util.hash_array(keys, categorize=False).sum(dtype=np.uint64))


def summarize_matched(
    client: distributed.Client,
    matched: MatchedPredictions,
    split: str,
    threshold: float | None,
    summarizer: Summarizer,
    stage: StageProgress,
) -> Tallies:
    """Return the metric histograms of the predictions of a split, one task per data file.

    Without a threshold, the decisions are those of the files.
    """
    features = matched.features
    champion = summarizer.champion
    table = features.dataset.feature_table(*(champion.encoding.feature_names if champion else ()))
    lazy_features, lazy_summarizer = (dask.delayed(item, pure=True) for item in (features, summarizer))
    summarize = dask.delayed(_summarize_file, pure=False)
    tasks = [
        summarize(file, lazy_features, table, matched.matched[file.path], split, threshold, lazy_summarizer)
        for file in features.files_of(split)
    ]
    return merge_tallies(wait_for(client.compute(tasks), stage, rows=lambda result: result.rows))


def _summarize_file(
    file: DataFile,
    features: JudgedFeatures,
    table: Table,
    matched: MatchedTrips,
    split: str,
    threshold: float | None,
    summarizer: Summarizer,
) -> PartitionResult:
    trips = features.store.read_data_file(table, features.manifest.version, file)
    rows = np.flatnonzero(in_split(trips, features.split, ALL_ROWS, split, features.dataset))
    trips = trips.take(rows).reset_index(drop=True)
    assert matched.probability is not None, "the file of a judged split is scored"
    probability = matched.probability[rows]
    assert matched.decision is not None, "the file of a judged split is scored"
    decision = matched.decision[rows] if threshold is None else probability >= np.float32(threshold)
    label = features.dataset.label.name
    predictions = pd.DataFrame({"probability": probability, "prediction": decision, label: trips[label]})
    return PartitionResult(len(trips), tallies=summarizer(predictions, trips))
