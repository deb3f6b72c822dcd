"""The data of a version for its report, and the reasons for missing data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from toytip.config import Settings
from toytip.core.redact import first_line
from toytip.errors import StoreError, ToytipError
from toytip.store.manifest import Manifest
from toytip.store.store import Store

T = TypeVar("T")


class NotInVersionError(StoreError):
    """A version does not contain the data of a section, which is not a failure."""


@dataclass(frozen=True)
class FactSource:
    """The tables of a version, and the reasons why sections of its report have no data.

    `missing` maps each section without data to the reason. `failed` lists the sections whose data
    exists but could not be read, for example because a file is damaged.
    """

    store: Store
    settings: Settings
    tables: dict[str, Manifest]
    missing: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def section(self, section_id: str, compute: Callable[[], T], default: T) -> T:
        """Compute and return the data of a section.

        On failure, record the reason and return `default`.
        """
        try:
            return compute()
        except NotInVersionError as error:
            self.missing.setdefault(section_id, first_line(error))
        except ToytipError as error:
            self._fail(section_id, first_line(error))
        except Exception as error:  # noqa: BLE001 - a report is less important than the tables it describes
            self._fail(section_id, f"{type(error).__name__}: {first_line(error)}")
        return default

    def _fail(self, section_id: str, reason: str) -> None:
        if section_id not in self.failed:
            self.failed.append(section_id)
            self.missing[section_id] = reason

    def table(self, name: str, hint: str) -> Manifest:
        """Return a table of the version. `hint` says how to create a missing table.

        Raises NotInVersionError if the version does not contain the table.
        """
        if name not in self.tables:
            raise NotInVersionError(f"this version has no {name} ({hint})")
        return self.tables[name]
