"""The module of a project as a value, from which every process builds the same data set."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from toytip.core.dataset.reference import ReferenceRows


@dataclass(frozen=True, kw_only=True)
class ModuleSource:
    """A module that adds to a data set. It travels to workers, and into models, as a value."""

    file: str
    """Path of the file, as in the settings. Tracebacks and messages show it."""
    base: str
    """Name of the data set that the module extends. Empty if it declares a data set of its own."""
    source: str
    """Text of the file."""
    references: tuple[ReferenceRows, ...] = ()
    """Rows of the reference tables that the module declares."""

    @functools.cached_property
    def code_digest(self) -> str:
        """The digest of the text and of the path, which tracebacks show."""
        return hashlib.sha256(f"{self.file}\n{self.source}".encode()).hexdigest()

    @functools.cached_property
    def digest(self) -> str:
        """The digest of the text, the extended data set and the reference tables."""
        references = "".join(rows.digest for rows in self.references)
        return hashlib.sha256(f"{self.base}\n{references}\n{self.source}".encode()).hexdigest()

    def without_rows(self) -> Self:
        """Return the module with only the checksums of its reference tables, for manifests."""
        return replace(self, references=tuple(replace(rows, content="") for rows in self.references))

    def to_json(self) -> dict[str, Any]:
        """Return the module as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the module of the JSON values that `to_json` returned."""
        references = tuple(map(ReferenceRows.from_json, record["references"]))
        return cls(**{**record, "references": references})
