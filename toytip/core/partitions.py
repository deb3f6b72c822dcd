"""Partitions of the source, and the data files that are computed from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from toytip.core.access import StorageOptions
from toytip.core.months import Month


@dataclass(frozen=True, kw_only=True)
class SourcePartition:
    """A partition of the source: rows `start` to `stop` of one monthly file."""

    taxi: str
    month: Month
    uri: str
    start: int
    stop: int
    number: int
    storage_options: StorageOptions = field(default_factory=StorageOptions)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start

    @property
    def key(self) -> DataFileKey:
        """The key of the data files that are computed from the partition."""
        return DataFileKey(self.month, self.number)


class DataFileKey(NamedTuple):
    """The position of a data file in a table: its month, and its number in the month."""

    month: Month
    number: int

    @property
    def path(self) -> str:
        """The path of the data file in the folder of its version.

        >>> DataFileKey(Month(2023, 1), 0).path
        'year=2023/month=1/part-00000.parquet'
        """
        return f"year={self.month.year}/month={self.month.month}/part-{self.number:05d}.parquet"


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A data file of a version. `path` is relative to the folder of the version.

    `input_fingerprint` identifies the input. `fingerprint` is a digest of the input, the code and
    the settings. Files with equal fingerprints are equal, byte for byte.
    """

    path: str
    rows: int
    bytes: int
    checksum: str
    month: Month | None = None
    number: int = 0
    input_fingerprint: str = ""
    fingerprint: str = ""
    rejects: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> DataFileKey:
        """The key of the file in its table."""
        assert self.month is not None, "a file of an artifact has no month"
        return DataFileKey(self.month, self.number)
