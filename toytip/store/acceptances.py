"""The months that a person accepted although the data check holds them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from toytip.core.jsonable import dump_json
from toytip.core.months import Month
from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError, StoreError
from toytip.store.manifest import digest, utc_now
from toytip.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """A decision of a person that a held month may be used for training."""

    taxi: str
    """Taxi type, `yellow` or `green`."""
    month: str
    """Accepted month, for example `2020-04`."""
    reason: str
    """Reason, as given with `--reason`."""
    created_at: str
    """Time of the decision in UTC (ISO 8601)."""
    checksum: str
    """Checksum of the source files of the month. A changed file is not accepted."""


def accept_month(store: Store, taxi: str, month: Month, reason: str, checksum: str) -> Acceptance:
    """Record that a month may be used for training. A later record replaces an earlier one.

    Raises ConfigError without a reason.
    """
    if not reason.strip():
        raise ConfigError(f"cannot accept {month}: no reason given", hint="Say why with --reason TEXT.")
    acceptance = Acceptance(
        taxi=taxi, month=str(month), reason=reason.strip(), created_at=utc_now(), checksum=checksum
    )
    with store.writing():
        store.file_io.write(store.layout.acceptance(taxi, str(month)), dump_json(asdict(acceptance)).encode())
    return acceptance


def accepted_months(store: Store, taxi: str, checksums: Mapping[str, str]) -> dict[str, str]:
    """Return the reasons for the accepted months whose source file has not changed, by month.

    `checksums` has the checksum of the source file of each month. Raises StoreError if a record is
    damaged.
    """
    return {
        month: acceptance.reason
        for month, acceptance in read_acceptances(store, taxi).items()
        if acceptance.checksum == checksums.get(month)
    }


def combine_checksums(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return one checksum per month, given the month and the checksum of each source file.

    >>> combine_checksums([("2023-01", "sha256:1"), ("2023-01", "sha256:1")])
    {'2023-01': 'sha256:1'}
    """
    by_month: dict[str, dict[str, None]] = {}
    for month, checksum in files:
        by_month.setdefault(month, {})[checksum] = None
    return {
        month: next(iter(checksums)) if len(checksums) == 1 else f"files:{digest(list(checksums))}"
        for month, checksums in by_month.items()
    }


def read_acceptances(store: Store, taxi: str) -> dict[str, Acceptance]:
    """Return the accepted months of a taxi type, by month.

    Raises StoreError if a record is damaged.
    """
    records: dict[str, Acceptance] = {}
    with store.reading():
        for name in store.file_io.list_files(store.layout.acceptances):
            with contextlib.suppress(FileNotFoundError):
                try:
                    record = Acceptance(**json.loads(store.file_io.read(name)))
                except (ValueError, TypeError):
                    raise StoreError(
                        f"cannot read {mask_credentials(store.uri_of(name))}: it is not an accepted month",
                        hint="Delete the file, and accept the month again.",
                    ) from None
                if record.taxi == taxi:
                    records[record.month] = record
    return records
