"""The layout of source files: the names of their columns, and how to recognize their kind."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the publisher of a data set writes its files. Functions get the names of the columns."""

    source_column: Callable[[str, str], str]
    """Returns the name of a field in the source files of a kind."""
    kinds_in_columns: Callable[[Collection[str]], list[str]]
    """Returns the kinds of which columns have a name that only files of this kind have."""
    detect_kind: Callable[[Collection[str]], str | None]
    """Returns the kind that columns show, or None if they do not show exactly one."""
    unusable_kind: Callable[[Collection[str]], str | None]
    """Returns the name of a kind that the publisher has and toytip cannot use, or None."""
    other_layout: Callable[[Collection[str]], tuple[str, str] | None]
    """Returns why files of the publisher cannot be used, and a hint, or None for other files."""
    schema_versions: tuple[tuple[str, str], ...]
    """Columns, newest first, and the version of the schema that each column identifies."""
    oldest_schema_version: str
    """Version of files without any column of `schema_versions`."""

    def schema_version(self, columns: Collection[str]) -> str:
        """Return the version of the schema of a file with these columns."""
        versions = (version for column, version in self.schema_versions if column in columns)
        return next(versions, self.oldest_schema_version)
