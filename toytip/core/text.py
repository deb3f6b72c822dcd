"""Numbers with nouns as text."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "warning"), plural(1200, "trip")
    ('1 warning', '1,200 trips')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
