"""Numbers with nouns, and lists of words, as text."""

from __future__ import annotations

from collections.abc import Sequence


def plural(count: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "warning"), plural(1200, "trip")
    ('1 warning', '1,200 trips')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def join_words(words: Sequence[str], conjunction: str = "and") -> str:
    """Return a list of words as text.

    >>> join_words(["extra"]), join_words(["extra", "mta_tax", "tolls_amount"])
    ('extra', 'extra, mta_tax and tolls_amount')
    >>> join_words(["yellow", "green"], "or")
    'yellow or green'
    """
    *first, last = words
    return f"{', '.join(first)} {conjunction} {last}" if first else last
