"""preprocess: `features` -> a matrix of small integer codes, by an encoding fitted on the training rows.

All bins are fixed here, before training: what XGBoost then learns does not depend on how the rows are spread
over the workers. The fit needs only a census, the count of every value, which merges exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import starmap
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toytip.core import splits
from toytip.core.arrays import Float32Array, Int64Array
from toytip.core.model import Encoding, FeatureEncoding
from toytip.core.schema import Column, Table
from toytip.core.splits import Split
from toytip.core.tlc import ZONE_ID_COUNT
from toytip.errors import ConfigError
from toytip.stages import zone_rates

# A feature of at most MAX_DISTINCT_VALUES distinct values, as a zone, keeps its MAX_EXACT_VALUES most common ones: with two more codes, a byte
# holds them all. What is rarer is coded as never seen, if it is not more than one row in a hundred. Any other feature
# gets QUANTILE_BINS bins of about equal weight.
MAX_DISTINCT_VALUES = 320
MAX_EXACT_VALUES = 254
MAX_RARE_SHARE = 0.01
QUANTILE_BINS = 250
# The rate of an hour and zone is drawn to that of all training rows, which counts for so many trips.
HOUR_ZONE_SMOOTHING = 20
# Values are told apart to 12 significant bits, 0.05 %: whole numbers up to 4096 exactly. It bounds the census.
_DROPPED_BITS = np.uint32(12)
_LOW_BITS_MASK = np.uint32((1 << 12) - 1)
KEY_COUNT = 1 << 20
# Keys up to the first, and from the second, are of NaN: what lies beyond the infinities.
_LAST_LOW_NAN_KEY, _FIRST_HIGH_NAN_KEY = 0x007FE, 0xFF801
# So many codes fit in a byte.
BYTE_VALUES = 256
# Features of at most so many codes part the rows into few heaps.
MAX_GROUPING_CODES = 32


@dataclass(frozen=True)
class ValueCounts:
    """How often each feature has each value among the training rows, missing ones left out.

    `by_value` holds values, trips, and trips with a high tip.
    """

    rows: int
    positives: int
    by_value: dict[str, tuple[Float32Array, Int64Array, Int64Array]]
    by_hour_and_zone: Int64Array  # (24 * ZONE_ID_COUNT, 2): trips, and those with a high tip
    by_month_and_zones: tuple[Int64Array, Int64Array, Int64Array]  # of card trips: places, trips, high tips

    @classmethod
    def empty(cls, names: tuple[str, ...]) -> ValueCounts:
        """The neutral census."""
        none = np.empty(0, np.int64)
        nothing = {name: (np.empty(0, np.float32), none, none) for name in names}
        return cls(0, 0, nothing, np.zeros((24 * ZONE_ID_COUNT, 2), np.int64), (none, none, none))

    def merge(self, other: ValueCounts) -> ValueCounts:
        """Return the census of both sets of rows; associative and commutative, exactly."""
        merged = {name: _merge_counts(counts, other.by_value[name]) for name, counts in self.by_value.items()}
        by_hour = self.by_hour_and_zone + other.by_hour_and_zone
        by_month = _merge_counts(self.by_month_and_zones, other.by_month_and_zones)
        return ValueCounts(
            self.rows + other.rows, self.positives + other.positives, merged, by_hour, by_month
        )


def _merge_counts(
    a: tuple[Any, Int64Array, Int64Array], b: tuple[Any, Int64Array, Int64Array]
) -> tuple[Any, Int64Array, Int64Array]:
    values, inverse = np.unique(np.concatenate([a[0], b[0]]), return_inverse=True)
    counts, positives = np.zeros((2, len(values)), np.int64)
    np.add.at(counts, inverse, np.concatenate([a[1], b[1]]))
    np.add.at(positives, inverse, np.concatenate([a[2], b[2]]))
    return values, counts, positives


def value_keys(values: pd.Series) -> npt.NDArray[np.uint32]:
    """Return the values to 12 significant bits, as numbers below KEY_COUNT that sort as they do; NaN at either end.

    A float's bits sort as the numbers do once those of negative ones are turned over.
    """
    bits = (values.to_numpy(dtype=np.float32) + np.float32(0)).view(np.uint32)  # -0.0 and 0.0 are one value
    turned = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))
    return np.asarray(turned >> _DROPPED_BITS, np.uint32)


def values_of_keys(keys: npt.NDArray[np.uint32]) -> Float32Array:
    """Return the values that keys stand for, the smallest in size of all that share one."""
    turned = keys.astype(np.uint32) << _DROPPED_BITS
    bits = np.where(turned >> np.uint32(31), turned & np.uint32(0x7FFFFFFF), ~(turned | _LOW_BITS_MASK))
    return np.asarray(bits, np.uint32).view(np.float32)


def count_values(features: pd.DataFrame, names: tuple[str, ...], split: Split, segment: str) -> ValueCounts:
    """Count the values of the named features over the training rows."""
    rows = features[splits.in_split(features, split, segment, "train")]
    label = rows["high_tip"].to_numpy()
    values = {name: _count_feature(value_keys(rows[name]), label) for name in names}
    return ValueCounts(
        len(rows),
        int(label.sum()),
        values,
        _count_by_hour_and_zone(rows),
        zone_rates.count_month_zone_pairs(rows),
    )


def _count_feature(
    key: npt.NDArray[np.uint32], label: npt.NDArray[np.bool_]
) -> tuple[Float32Array, Int64Array, Int64Array]:
    known = (key > _LAST_LOW_NAN_KEY) & (key < _FIRST_HIGH_NAN_KEY)
    found, trips, tipped = zone_rates.count_labeled(key[known], label[known])
    return values_of_keys(found), trips, tipped


def _count_by_hour_and_zone(rows: pd.DataFrame) -> Int64Array:
    zone = rows["PULocationID"].clip(0, ZONE_ID_COUNT - 1).to_numpy().astype(np.int64)
    place = rows["pickup_hour"].to_numpy().astype(np.int64) * ZONE_ID_COUNT + zone
    sides = (place, place[rows["high_tip"].to_numpy()])
    return np.stack([np.bincount(side, minlength=24 * ZONE_ID_COUNT) for side in sides], axis=1)


def fit_encoding(
    value_counts: ValueCounts, split: Split, segment: str, rate_names: tuple[str, ...] = ()
) -> Encoding:
    """Fix the codes of every feature, and of the rates by zone; a feature that no training row has is left out.

    Raises ConfigError where there is nothing to learn from: no training rows, or labels all alike.
    """
    if not 0 < value_counts.positives < value_counts.rows:
        raise ConfigError(
            f"nothing to learn: {value_counts.positives} of {value_counts.rows} training trips from {split.train.start} "
            f"to {split.train.stop} (population {segment}) have a high tip; choose other --train months"
        )
    codes = tuple(
        starmap(
            _fit_feature, ((name, *told[:2]) for name, told in value_counts.by_value.items() if len(told[0]))
        )
    )
    known = rate_names if value_counts.by_month_and_zones[1].sum() else ()
    trips, tipped = value_counts.by_hour_and_zone.T
    by_hour = (tipped + HOUR_ZONE_SMOOTHING * value_counts.positives / value_counts.rows) / (
        trips + HOUR_ZONE_SMOOTHING
    )
    return Encoding(
        features=(*codes, *map(zone_rates.rate_encoding, known)),
        split=split,
        population=segment,
        rows=value_counts.rows,
        positives=value_counts.positives,
        rates=tuple(by_hour.astype(np.float32).tolist()),
        history=zone_rates.pack_counts(*value_counts.by_month_and_zones) if known else "",
    )


def _fit_feature(name: str, values: Float32Array, counts: Int64Array) -> FeatureEncoding:
    common = np.sort(np.argsort(-counts, kind="stable")[:MAX_EXACT_VALUES])
    if len(values) > MAX_DISTINCT_VALUES or counts[common].sum() < (1 - MAX_RARE_SHARE) * counts.sum():
        below = np.cumsum(counts)
        targets = below[-1] * np.arange(1, QUANTILE_BINS) / QUANTILE_BINS
        edges = values[np.searchsorted(below, targets)]
        return FeatureEncoding(name=name, exact=False, values=tuple(np.unique(edges).tolist()))
    return FeatureEncoding(name=name, exact=True, values=tuple(values[common].tolist()))


def matrix_table(encoding: Encoding) -> Table:
    """Return the schema of the matrix: a column of codes for each feature."""
    kind = code_dtype(encoding)
    return Table("matrix", tuple(Column(name, kind) for name in encoding.feature_names))


def code_dtype(encoding: Encoding) -> str:
    """Return the dtype of the matrix: a byte a code where that is enough for every feature."""
    return "uint8" if encoding.max_bin <= BYTE_VALUES else "uint16"


def encode(features: pd.DataFrame, encoding: Encoding) -> pd.DataFrame:
    """Return the matrix of codes of `features`, row for row."""
    looked_up = tuple(name for name in encoding.feature_names if name in zone_rates.ZONE_RATES_BY_NAME)
    seen = zone_rates.lookup_rates(features, encoding.history, looked_up) if looked_up else {}
    columns = {
        codes.name: _lookup_table(codes)[
            value_keys(pd.Series(seen[codes.name]) if codes.name in seen else features[codes.name])
        ]
        for codes in encoding.features
    }
    kind = code_dtype(encoding)
    matrix = pd.DataFrame(
        {name: column.astype(kind, copy=False) for name, column in columns.items()}, index=features.index
    )
    return matrix_table(encoding).validate(matrix)


def similarity_order(matrix: pd.DataFrame, encoding: Encoding) -> npt.NDArray[np.intp]:
    """Return the order of rows in which those that are alike stand beside each other.

    XGBoost then finds most rows of a node in one piece, and guesses right to which side the next one goes: a round takes
    a fifth less time. By features of few codes first, then by those that are quantities.
    """
    few = sorted(
        (codes for codes in encoding.features if codes.exact and codes.bin_count <= MAX_GROUPING_CODES),
        key=lambda codes: codes.bin_count,
    )
    leading = (*few, *(codes for codes in encoding.features if not codes.exact))
    key = np.zeros(len(matrix), np.uint64)
    for codes in leading[:8]:
        key = (key << np.uint64(8)) | matrix[codes.name].to_numpy(np.uint64)
    return np.argsort(key)


@lru_cache(maxsize=256)
def _lookup_table(codes: FeatureEncoding) -> npt.NDArray[np.uint16]:
    """Return the code of every key: to look it up takes a tenth of the time of a search."""
    known = value_keys(pd.Series(codes.values, dtype=np.float32))
    if codes.exact:
        table = np.full(KEY_COUNT, codes.unseen_bin, np.uint16)
        table[known] = np.arange(len(known))
    else:
        table = np.cumsum(np.bincount(known, minlength=KEY_COUNT)).astype(np.uint16)
    table[: _LAST_LOW_NAN_KEY + 1] = table[_FIRST_HIGH_NAN_KEY:] = codes.missing_bin
    return table.astype(np.uint8) if codes.bin_count <= BYTE_VALUES else table
