"""The names that columns of source files have for the fields of a data set."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from toytip.core.dataset.declarations import Field
from toytip.core.text import join_words

MAX_SEPARATORS = 100


class FieldNames:
    """Finds the field that a column contains. Upper case, spaces and underscores do not matter."""

    def __init__(self, fields: Iterable[Field]) -> None:
        by_spelling = {
            spelling_of(name): field.name for field in fields for name in (field.name, *field.aliases)
        }
        # Source files repeat the same few names.
        self._field_of = functools.lru_cache(maxsize=4096)(lambda name: by_spelling.get(spelling_of(name)))
        # The cache must not keep the long names of requests.
        self._max_length = MAX_SEPARATORS + max(map(len, by_spelling), default=0)

    def field_of(self, name: str) -> str | None:
        """Return the name of the field that a column contains, or None."""
        return self._field_of(name) if len(name) <= self._max_length else None

    def match(self, names: Iterable[str]) -> dict[str, str]:
        """Return the names that match a field, by field. The first match counts."""
        matches: dict[str, str] = {}
        for name in names:
            field = self.field_of(name)
            if field is not None:
                matches.setdefault(field, name)
        return matches

    def find_repeated(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the fields that several names match, with these names."""
        groups: dict[str, list[str]] = {}
        for name in names:
            field = self.field_of(name)
            if field is not None:
                groups.setdefault(field, []).append(name)
        return {field: tuple(group) for field, group in groups.items() if len(group) > 1}


def spelling_of(name: str) -> str:
    """Return a name in lower case, without spaces, underscores and other separators.

    >>> spelling_of(" puLocation_Id")
    'pulocationid'
    """
    return "".join(filter(str.isalnum, name)).lower()


def describe_repeated(repeated: Mapping[str, Sequence[str]]) -> str:
    """Return the fields that several columns match, as text for a message.

    >>> describe_repeated({"airport_fee": ("Airport_fee", "airport_fee")})
    '2 columns contain airport_fee (Airport_fee, airport_fee)'
    """
    return join_words(
        [f"{len(names)} columns contain {field} ({', '.join(names)})" for field, names in repeated.items()]
    )
