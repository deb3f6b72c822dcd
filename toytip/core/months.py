"""Calendar months, and lists and ranges of months as text."""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple, Self

from toytip.errors import ConfigError

MONTHS_HINT = "Write a month as 2023-01, a range as 2023-01:2023-12, and a list as 2023-01,2023-03."


class Month(NamedTuple):
    """A calendar month. Months sort by time."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the month of a text such as `2023-01`. Raises ConfigError for any other text.

        >>> Month.parse("2023-01")
        Month(year=2023, month=1)
        """
        match = re.fullmatch(r"(\d{4})-(\d{1,2})", text.strip())
        if match is None or not 1 <= int(match[2]) <= 12:
            raise ConfigError(f"cannot read month {text!r}: it is not a month", hint="Write it as 2023-01.")
        return cls(int(match[1]), int(match[2]))

    @property
    def start(self) -> dt.datetime:
        """The first instant of the month in New York, without a time zone."""
        return dt.datetime(self.year, self.month, 1)  # noqa: DTZ001 - TLC times are local, without a zone

    @property
    def next(self) -> Month:
        """The following month.

        >>> Month(2023, 12).next
        Month(year=2024, month=1)
        """
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"


def parse_months(text: str) -> tuple[Month, ...]:
    """Return the months of a text, oldest first: a month, a range or a comma-separated list.

    A year is the range of its months. Raises ConfigError if a range ends before it starts, or if a
    month occurs twice.

    >>> [str(m) for m in parse_months("2022-12:2023-01,2023-03")]
    ['2022-12', '2023-01', '2023-03']
    >>> parse_months("2023") == parse_months("2023-01:2023-12")
    True
    """
    months: list[Month] = []
    for piece in text.split(","):
        first, colon, last = piece.partition(":")
        (month, _), (_, end) = _parse_span(first, text), _parse_span(last if colon else first, text)
        if month > end:
            raise ConfigError(
                f"cannot read months {piece.strip()!r}: the range ends before it starts",
                hint="Write the earlier month first.",
            )
        while month <= end:
            months.append(month)
            month = month.next
    if len(set(months)) < len(months):
        raise ConfigError(f"cannot read months {text!r}: a month occurs twice")
    return tuple(sorted(months))


def _parse_span(part: str, text: str) -> tuple[Month, Month]:
    """Return the first and the last month of a year or of a month. `text` has all months."""
    if year := re.fullmatch(r"\d{4}", part.strip()):
        return Month(int(year[0]), 1), Month(int(year[0]), 12)
    try:
        return Month.parse(part), Month.parse(part)
    except ConfigError as error:
        failure = str(error) if part == text else f"cannot read months {text!r}: {part!r} is not a month"
        raise ConfigError(failure, hint=MONTHS_HINT) from None
