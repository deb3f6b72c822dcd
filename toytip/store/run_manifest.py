"""The run manifest: the one file that publishes all tables of a version at once."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from toytip.core.jsonable import dump_json, to_json
from toytip.errors import StoreError
from toytip.evaluation.gate import GateDecision
from toytip.monitoring.data_check import DataCheck
from toytip.store.layout import validate_table_name, validate_version
from toytip.store.manifest import DAMAGE_HINT, MANIFEST_FORMAT, first_cause, require_supported_format

# A setting that determines the content of a run, as `toytip runs compare` shows it.
SettingValue = str | int | float | bool | None


class RunStatus(StrEnum):
    """Whether readers may take a version without naming it."""

    PASSED = "passed"
    """The data check and the promotion gate passed."""
    NOT_GATED = "not-gated"
    """No gate evaluated the model."""
    REFUSED = "refused"
    """The promotion gate rejected the model."""
    FAILED_CHECK = "failed-check"
    """The data check holds a month that the run needs."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The source, the model and the quality of a run of all stages."""

    taxi: str
    """Taxi type, `yellow`, `green` or `fhvhv`."""
    months: tuple[str, ...]
    """Months of the source, for example `2023-01`."""
    source: str
    """Source as set by the user, without credentials, or `synthetic` for the synthetic year."""
    feature_set: str
    """Feature set of the model."""
    segment: str
    """Segment that the model was trained on, such as `all`."""
    model: str | None
    """Version of the run that trained the model. Null if the run has no model."""
    settings: dict[str, SettingValue]
    """Settings that determine the content of the run, by name."""
    metrics: dict[str, dict[str, float | None]]
    """Test metrics by segment and metric. Empty without labeled test trips."""
    data_check: DataCheck
    """Verdict of the data check on each month."""
    gate: GateDecision | None = None
    """Decision of the promotion gate. Null if no gate evaluated the model."""


@dataclass(frozen=True, kw_only=True)
class RunManifest:
    """A published version: its status, and the version of each of its tables."""

    version: str
    """Version ID."""
    command: str
    """Command that published the version, for example `run` or `stage clean`."""
    status: RunStatus
    """`passed`, `not-gated`, `refused` or `failed-check`."""
    created_at: str
    """Publication time in UTC (ISO 8601)."""
    tables: dict[str, str]
    """Version of each table, by table. A reused table has the version of an earlier run."""
    reasons: tuple[str, ...] = ()
    """Reasons why the run was refused, or why it failed the data check."""
    fingerprint: str = ""
    """Fingerprint of the source files, code and settings of a run. Empty for other commands."""
    run: RunFacts | None = None
    """Source, model and quality. Null for a command other than `run`."""
    format: int = field(default=MANIFEST_FORMAT)
    """Version of the manifest format."""

    def to_json(self) -> bytes:
        """Return the content of the file."""
        return dump_json(to_json(self), indent=1).encode()

    @classmethod
    def from_json(cls, content: bytes, name: str) -> RunManifest:
        """Parse the content of the run manifest with this file name.

        Raises StoreFormatError if the format is not supported. Raises StoreError if the content is
        not a run manifest, or does not match the name.
        """
        require_supported_format(content, name)
        try:
            manifest = _adapter().validate_json(content)
            for table, version in manifest.tables.items():
                validate_version(version), validate_table_name(table)
        except StoreError as error:
            raise StoreError(f"cannot read run manifest {name}: {error}", hint=DAMAGE_HINT) from None
        except ValidationError as error:
            raise StoreError(
                f"cannot read run manifest {name}: {first_cause(error)}", hint=DAMAGE_HINT
            ) from None
        if name.rpartition("/")[2] != f"{manifest.version}.json":
            raise StoreError(
                f"cannot read run manifest {name}: it belongs to another version", hint=DAMAGE_HINT
            )
        return manifest


@functools.cache
def _adapter() -> TypeAdapter[RunManifest]:
    return TypeAdapter(RunManifest)
