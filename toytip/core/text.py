"""Numbers with nouns, and lists of words, as text."""

from __future__ import annotations

from collections.abc import Sequence


def plural(count: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "warning"), plural(1200, "trip")
    ('1 warning', '1,200 trips')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def all_of(count: int, noun: str) -> str:
    """Return a number with its noun, as the subject of a statement about all of them.

    >>> all_of(1, "worker"), all_of(8, "worker")
    ('the only worker', 'all 8 workers')
    """
    return f"the only {noun}" if count == 1 else f"all {plural(count, noun)}"


def verb(count: int, singular: str, several: str) -> str:
    """Return the form of a verb for a number of things.

    >>> f"{plural(1, 'trip')} {verb(1, 'is', 'are')} in one version only"
    '1 trip is in one version only'
    """
    return singular if count == 1 else several


def join_words(words: Sequence[str], conjunction: str = "and") -> str:
    """Return a list of words as text.

    >>> join_words(["extra"]), join_words(["extra", "mta_tax", "tolls_amount"])
    ('extra', 'extra, mta_tax and tolls_amount')
    >>> join_words(["yellow", "green"], "or")
    'yellow or green'
    """
    *first, last = words
    return f"{', '.join(first)} {conjunction} {last}" if first else last
