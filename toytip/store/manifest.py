"""The manifest of a published version: its files and its inputs."""

from __future__ import annotations

import builtins
import contextlib
import datetime as dt
import functools
import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from toytip.core.dataset.module_source import ModuleSource
from toytip.core.jsonable import dump_json
from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.timing import StageTiming
from toytip.errors import StoreError, StoreFormatError
from toytip.io.base import validate_name
from toytip.store.layout import validate_table_name, validate_version, version_path

# This number increases whenever a key changes its name or meaning. toytip reads only this format.
MANIFEST_FORMAT = 3


def digest(value: Any) -> str:
    """Return a short stable hash of JSON values.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = dump_json(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def utc_now() -> str:
    """Return the time in UTC (ISO 8601), in microseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


def later_time(time: str) -> str:
    """Return the current time, or a later time if the clock is behind a time in UTC.

    >>> later_time("2999-01-01T00:00:00.000000+00:00")
    '2999-01-01T00:00:00.000001+00:00'
    """
    now = utc_now()
    if not time or now > time:
        return now
    return (dt.datetime.fromisoformat(time) + dt.timedelta(microseconds=1)).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class VersionRef:
    """A reference to a version of a table or artifact."""

    table: str
    """Name of the table or artifact."""
    version: str
    """Version ID."""

    def __str__(self) -> str:
        return f"{self.table} {self.version}"


@dataclass(frozen=True, kw_only=True)
class SourceFileRef:
    """A source file that a version was computed from."""

    uri: str
    """Path or URI of the file, without credentials."""
    rows: int
    """Number of rows."""
    bytes: int
    """Size in bytes."""
    modified: str
    """Time of the last modification, in seconds since the Unix epoch. Entity tag if the file is on
    S3 or on an HTTP server."""
    checksum: str
    """`sha256:` followed by the SHA-256 checksum. If the file is on S3 or on an HTTP server,
    `etag:` followed by its entity tag and its size."""

    def __str__(self) -> str:
        return self.uri


Parent = VersionRef | SourceFileRef


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A version of a table or artifact. It is published once a run manifest names it."""

    table: str
    """Name of the table or artifact."""
    version: str
    """Version ID."""
    created_at: str
    """Creation time in UTC (ISO 8601)."""
    files: tuple[DataFile, ...]
    """Files of the version, sorted by month and by position in the month."""
    config: dict[str, Any]
    """Settings that determine the content of the version."""
    parents: tuple[Parent, ...]
    """Direct inputs of the version: other versions and source files."""
    schema_digest: str
    """Hash of the column names and types."""
    config_digest: str = ""
    """Hash of `config`."""
    code: str = ""
    """Hash of the source code that determines the content."""
    fingerprint: str = ""
    """Fingerprint of an artifact. Empty for tables, because each file of a table has its own
    fingerprint."""
    module: ModuleSource | None = None
    """Module of the project that declares features or rules of the version, if any."""
    environment: dict[str, str] = field(default_factory=dict)
    """Versions of toytip, Python and other packages, and the git commit if toytip runs from a
    checkout."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Metrics by split for `predictions`, single-feature AUC for `encodings`, log loss by round for
    `models`, alerts for `monitoring`. Empty for other tables."""
    duration: StageTiming | None = None
    """Timing of the stage that wrote the version. Null if the stage reused files."""
    format: int = MANIFEST_FORMAT
    """Version of the manifest format."""

    @property
    def ref(self) -> VersionRef:
        """The reference that other manifests use to name this version as a parent."""
        return VersionRef(self.table, self.version)

    @property
    def parent_versions(self) -> tuple[VersionRef, ...]:
        """The parents that are versions."""
        return tuple(parent for parent in self.parents if isinstance(parent, VersionRef))

    @property
    def source_files(self) -> tuple[SourceFileRef, ...]:
        """The parents that are source files."""
        return tuple(parent for parent in self.parents if isinstance(parent, SourceFileRef))

    @property
    def months(self) -> tuple[Month, ...]:
        """The months of the files, oldest first."""
        return tuple(sorted({file.month for file in self.files if file.month is not None}))

    @property
    def rows(self) -> int:
        """The number of rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """The size of all files in bytes."""
        return sum(file.bytes for file in self.files)

    @property
    def rejects(self) -> dict[str, int]:
        """The number of rejected rows, by reason."""
        total: Counter[str] = Counter()
        for file in self.files:
            total.update(file.rejects)
        return dict(total)

    @property
    def folder(self) -> str:
        """The folder of the files, relative to the environment of the store."""
        return version_path(self.table, self.version)

    def parent_version(self, table: str) -> str:
        """Return the version of a parent table.

        Raises StoreError if the manifest has no such parent.
        """
        for parent in self.parent_versions:
            if parent.table == table:
                return parent.version
        raise StoreError(
            f"cannot find the version of {table} that {self.ref} was computed from: the manifest does not name it",
            hint="Create the version again with `toytip run --full-refresh`.",
        )

    def to_json(self) -> builtins.bytes:
        """Return the content of the manifest file."""
        return dump_json(asdict(self), indent=1, default=str).encode()

    @classmethod
    def from_json(cls, content: builtins.bytes, name: str) -> Manifest:
        """Parse the content of the manifest file with this name.

        Raises StoreFormatError if the manifest has an unsupported format. Raises StoreError if the
        content is not a manifest, does not match the name, or lists files outside its version.
        """
        require_supported_format(content, name)
        try:
            manifest = _manifest_adapter().validate_json(content)
            expected = [validate_table_name(manifest.table), f"{validate_version(manifest.version)}.json"]
            paths = [validate_name(file.path) for file in manifest.files]
        except StoreError as error:
            raise StoreError(f"cannot read manifest {name}: {error}", hint=DAMAGE_HINT) from None
        except ValidationError as error:
            raise StoreError(f"cannot read manifest {name}: {first_cause(error)}", hint=DAMAGE_HINT) from None
        if name.split("/")[-2:] != expected or len(set(paths)) < len(paths):
            raise StoreError(
                f"cannot read manifest {name}: it belongs to another version, or lists a file twice",
                hint=DAMAGE_HINT,
            )
        return manifest


DAMAGE_HINT = (
    "Restore the file from a copy. If you have no copy, delete the file: the version then no longer "
    "exists, and `toytip version gc` deletes its data files."
)


def first_cause(error: ValidationError) -> str:
    """Return the first problem of invalid JSON, with its place."""
    first = error.errors(include_url=False)[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def require_supported_format(content: builtins.bytes, name: str) -> None:
    """Raise StoreFormatError if the `format` of a manifest is not the supported one."""
    with contextlib.suppress(ValueError):
        record = json.loads(content)
        number = record.get("format", MANIFEST_FORMAT) if isinstance(record, dict) else MANIFEST_FORMAT
        if isinstance(number, int) and number != MANIFEST_FORMAT:
            is_newer = number > MANIFEST_FORMAT
            raise StoreFormatError(
                f"cannot read manifest {name}: it has format {number}, which "
                f"{'a newer' if is_newer else 'an older'} toytip wrote, and this toytip reads "
                f"format {MANIFEST_FORMAT}",
                hint="Upgrade toytip." if is_newer else "Set --store to a new folder, and run toytip again.",
            )


@functools.cache
def _manifest_adapter() -> TypeAdapter[Manifest]:
    """Return the parser for manifests.

    Creating the parser takes 2 ms, so toytip creates it once. Parsing a manifest that lists twelve
    files takes 0.03 ms.
    """
    return TypeAdapter(Manifest)


@functools.cache
def data_file_adapter() -> TypeAdapter[DataFile]:
    """Return the parser for records of data files."""
    return TypeAdapter(DataFile)
