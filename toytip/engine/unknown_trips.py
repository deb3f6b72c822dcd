"""Find the first prediction of a trip that is not in the features, on workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask
import distributed
import numpy as np

from toytip.core.arrays import Int64Array
from toytip.engine.prediction_files import IdRange, LoadedChunk

# A lazy `LoadedChunk` of predictions, with a range that contains its trip IDs.
LazyChunk = tuple[IdRange, Any]
# The lazy sorted trip IDs of a data file, with a range that contains them.
LazyTripIds = tuple[IdRange, Any]


def first_unknown_trip(
    client: distributed.Client, trips: Sequence[LazyTripIds], chunks: Sequence[LazyChunk]
) -> int | None:
    """Return the smallest trip ID of the predictions that no data file contains.

    The result is None if the data files contain all trip IDs. The search reads the predictions and
    the trip IDs a second time, so it is only for predictions that are refused.
    """
    ids_of, without, smallest = map(dask.delayed, (_ids_of, without_known, _smallest))
    lazy = []
    for (low, high), chunk in chunks:
        unknown = ids_of(chunk)
        for id_range, existing in trips:
            if low <= id_range[1] and id_range[0] <= high:
                unknown = without(unknown, existing)
        lazy.append(smallest(unknown))
    candidates = client.gather(client.compute(lazy))
    return min((trip_id for trip_id in candidates if trip_id is not None), default=None)


def _ids_of(chunk: LoadedChunk) -> Int64Array:
    return chunk.predictions.trip_id


def without_known(trip_ids: Int64Array, existing: Int64Array) -> Int64Array:
    """Return the trip IDs that are not in an array of sorted trip IDs."""
    if not len(existing):
        return trip_ids
    position = np.minimum(np.searchsorted(existing, trip_ids), len(existing) - 1)
    unknown: Int64Array = trip_ids[existing[position] != trip_ids]
    return unknown


def _smallest(trip_ids: Int64Array) -> int | None:
    return int(trip_ids.min()) if len(trip_ids) else None
