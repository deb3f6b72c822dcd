"""Names and words of all data sets, for options and texts. Importing this module costs no time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.text import join_words
from toytip.datasets.tlc.fhvhv import names as fhvhv_names
from toytip.datasets.tlc.fhvhv import words as fhvhv_words
from toytip.datasets.tlc.taxis import names, words

# The kinds of source files, such as taxi types.
KINDS = (*names.TAXI_NUMBERS, *fhvhv_names.KIND_NUMBERS)
# The kind of the built-in source.
DEFAULT_KIND = "yellow"
SYNTHETIC_KINDS = (DEFAULT_KIND, *fhvhv_names.KIND_NUMBERS)
# The segment of all rows, which every data set has, comes first.
SEGMENTS = (ALL_ROWS, names.CARD)
# The types of options and settings.
if TYPE_CHECKING:
    Taxi = str
    SyntheticKind = str
    DriftKind = str
else:
    Taxi = Literal[KINDS]
    SyntheticKind = Literal[SYNTHETIC_KINDS]
    DriftKind = Literal[names.DRIFT_KINDS]
SEGMENT_WORDS = {names.CARD: words.CARD_WORDS}


def describe_kind(kind: str) -> str:
    """Return the rows of a kind of source files in words. A project can declare any kind.

    >>> describe_kind("green"), describe_kind("fhvhv"), describe_kind("meters")
    ('green taxis', 'fhvhv', 'meters')
    """
    return f"{kind} taxis" if kind in names.TAXI_NUMBERS else kind


def describe_kinds(kinds: Iterable[str]) -> str:
    """Return the rows of several kinds of source files in words.

    >>> describe_kinds(["yellow", "green"]), describe_kinds(["meters", "green"])
    ('yellow and green taxis', 'green taxis and meters')
    """
    kinds = list(kinds)
    taxis = [kind for kind in kinds if kind in names.TAXI_NUMBERS]
    others = [kind for kind in kinds if kind not in names.TAXI_NUMBERS]
    return join_words([*([f"{join_words(taxis)} taxis"] if taxis else []), *others])


def value_label(column: str, value: str) -> str:
    """Return the word that a data set has for a value of a column, or the value itself.

    >>> value_label("payment_type", "2"), value_label("trip_distance", "2")
    ('cash', '2')
    """
    return {**words.VALUE_WORDS, **fhvhv_words.VALUE_WORDS}.get(column, {}).get(value, value)
