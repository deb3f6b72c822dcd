"""Small frozen values that carry meaning between the parts. No rows, no input or output."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from toytip.core.access import StorageOptions
from toytip.core.months import Month


@dataclass(frozen=True, kw_only=True)
class SourcePartition:
    """One partition of the source: rows `start` to `stop` of one monthly file."""

    taxi: str
    month: Month
    uri: str
    start: int
    stop: int
    number: int
    storage_options: StorageOptions = field(default_factory=StorageOptions)

    @property
    def rows(self) -> int:
        """Rows in the partition."""
        return self.stop - self.start

    @property
    def key(self) -> DataFileKey:
        """Where the partition's output goes."""
        return DataFileKey(self.month, self.number)


class DataFileKey(NamedTuple):
    """The place of a part in a table: its month, and its number in the month."""

    month: Month
    number: int

    @property
    def path(self) -> str:
        """The part's path below its version.

        >>> DataFileKey(Month(2023, 1), 0).path
        'year=2023/month=1/part-00000.parquet'
        """
        return f"year={self.month.year}/month={self.month.month}/part-{self.number:05d}.parquet"


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """What is known of a part once it is written; `path` is below the version's folder.

    `input` names the content that it was made from; `identity` is the digest of that content, the code and the
    config together: parts of equal identity are equal, byte for byte.
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
        """Where the part stands in its table."""
        assert self.month is not None, "an artifact's file stands in no month"
        return DataFileKey(self.month, self.number)
