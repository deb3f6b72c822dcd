"""Partitions of the source, and the data files that stages compute from partitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from toytip.core.access import StorageOptions
from toytip.core.months import Month


@dataclass(frozen=True, kw_only=True)
class SourcePartition:
    """A range of rows of one monthly source file."""

    taxi: str
    """Taxi type, `yellow` or `green`."""
    month: Month
    """Month of the file."""
    uri: str
    """Path or URI of the file."""
    start: int
    """Number of the first row, from 0."""
    stop: int
    """Number of the first row after the partition."""
    number: int
    """Position of the partition in its month, from 0."""
    storage_options: StorageOptions = field(default_factory=StorageOptions)
    """Options to access the file."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.stop - self.start

    @property
    def key(self) -> DataFileKey:
        """The key of the data files that are computed from the partition."""
        return DataFileKey(self.month, self.number)


class DataFileKey(NamedTuple):
    """The month of a data file, and the position of the file in this month."""

    month: Month
    number: int

    @property
    def path(self) -> str:
        """The path of the file, relative to its version.

        >>> DataFileKey(Month(2023, 1), 0).path
        'year=2023/month=1/part-00000.parquet'
        """
        return f"year={self.month.year}/month={self.month.month}/part-{self.number:05d}.parquet"


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file of a version. Files with equal fingerprints have equal bytes."""

    path: str
    """Path of the file, relative to the folder of the version."""
    rows: int
    """Number of rows. Zero for a file of an artifact."""
    bytes: int
    """Size in bytes."""
    checksum: str
    """SHA-256 of the file: `sha256:` and hexadecimal digits."""
    month: Month | None = None
    """Month of the rows. Null for a file of an artifact."""
    number: int = 0
    """Position of the file in its month, from 0."""
    input_fingerprint: str = ""
    """Checksum of the input file, followed by a row range if the input is a source file."""
    fingerprint: str = ""
    """Hash of the input content, code, packages and settings that determine the content."""
    rejects: dict[str, int] = field(default_factory=dict)
    """Number of rejected rows by reason."""

    @property
    def key(self) -> DataFileKey:
        """The month and the position of the file in its table."""
        assert self.month is not None, "files of artifacts have no month"
        return DataFileKey(self.month, self.number)
