"""The segment of all rows, and the texts about other segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# The segment of all rows, which every data set has.
ALL_ROWS = "all"


@dataclass(frozen=True, kw_only=True)
class SegmentWords:
    """Texts about a segment."""

    condition: str
    """The condition of the segment, such as `payment_type 1`."""
    title: str
    """The rows of the segment, such as `card trips`."""
    note: str
    """A special property of the rows, such as `the only trips with recorded tips`."""
    explanation: str
    """Why the metrics of all rows and of the segment differ, in sentences."""


def default_words(name: str, needs: Sequence[str]) -> SegmentWords:
    """Return texts about a segment for which nobody has written texts.

    >>> words = default_words("long_trips", ["trip_distance"])
    >>> words.title, words.condition
    ('trips in the segment long_trips', 'a condition on trip_distance')
    """
    return SegmentWords(
        condition=f"a condition on {', '.join(needs) or 'no column'}",
        title=f"trips in the segment {name}",
        note="the trips with separate metrics",
        explanation=f"The segment {name} contains some of the trips, so that its metrics differ.",
    )
