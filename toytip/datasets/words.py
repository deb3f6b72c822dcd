"""Names and words of all data sets, for options and texts. Importing this module costs no time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from toytip.core.dataset.segments import ALL_ROWS
from toytip.datasets.tlc import names, words

# The kinds of source files, such as taxi types.
KINDS = tuple(names.TAXI_NUMBERS)
# The segment of all rows, which every data set has, comes first.
SEGMENTS = (ALL_ROWS, names.CARD)
# The type of the option and of the setting.
if TYPE_CHECKING:
    Segment = str
else:
    Segment = Literal[SEGMENTS]
SEGMENT_WORDS = {names.CARD: words.CARD_WORDS}


def value_label(column: str, value: str) -> str:
    """Return the word that a data set has for a value of a column, or the value itself.

    >>> value_label("payment_type", "2"), value_label("trip_distance", "2")
    ('cash', '2')
    """
    return words.VALUE_WORDS.get(column, {}).get(value, value)
