"""The manifest: what a published version is made of, and where it came from."""

from __future__ import annotations

import builtins
import contextlib
import functools
import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from toytip.core.partitions import DataFile
from toytip.core.timing import StageTiming
from toytip.errors import StoreError, StoreFormatError
from toytip.io.base import validate_name

# Increased whenever a key changes its name or meaning. toytip reads this format only.
MANIFEST_FORMAT = 2
_TABLE_REGEX = re.compile(r"[a-z][a-z_]{0,40}")
VERSION_REGEX = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")


def digest(value: Any) -> str:
    """Return a short stable hash of plain values.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A published version of a table or artifact.

    `parents` are versions of tables, or source files. `fingerprint` is the fingerprint of an
    artifact; data files have their own. `code` is the digest of the code that made the version.
    `duration` is the time of the stage, and None if the stage reused files.
    """

    table: str
    version: str
    created_at: str
    files: tuple[DataFile, ...]
    config: dict[str, Any]
    parents: list[dict[str, Any]]
    schema_digest: str
    config_digest: str = ""
    code: str = ""
    fingerprint: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    duration: StageTiming | None = None
    format: int = MANIFEST_FORMAT

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.files)

    @property
    def bytes(self) -> int:
        """Bytes in all parts."""
        return sum(part.bytes for part in self.files)

    @property
    def rejects(self) -> dict[str, int]:
        """Rejected rows by reason, over all parts."""
        total: dict[str, int] = {}
        for part in self.files:
            for reason, count in part.rejects.items():
                total[reason] = total.get(reason, 0) + count
        return total

    @property
    def folder(self) -> str:
        """Where the version's files lie, below the store's side."""
        return f"{self.table}/version={self.version}"

    def to_json(self) -> builtins.bytes:
        """Return the bytes that are published."""
        return json.dumps(asdict(self), indent=1, default=str).encode()

    @classmethod
    def from_json(cls, content: builtins.bytes, name: str) -> Manifest:
        """Read back what was published under a name.

        Raises StoreError for what is no manifest, or one that leads anywhere but into its own version.
        """
        _require_supported_format(content, name)
        try:
            manifest = _manifest_adapter().validate_json(content)
            place = [validate_table_name(manifest.table), f"{validate_version(manifest.version)}.json"]
            paths = [validate_name(part.path) for part in manifest.files]
        except StoreError as error:
            raise StoreError(f"{name}: {error}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
            raise StoreError(
                f"{name}: not a manifest that this toytip reads: {reason}; put a copy back, or remove that file: "
                "what it lists is then no version any more, and `toytip gc` takes it away"
            ) from None
        if name.split("/")[-2:] != place or len(set(paths)) < len(paths):
            raise StoreError(f"{name}: the manifest is not of this version; the store was tampered with")
        return manifest


def _require_supported_format(content: builtins.bytes, name: str) -> None:
    """Raise StoreError if a manifest says that it has another format."""
    with contextlib.suppress(ValueError):
        record = json.loads(content)
        found = record.get("format", MANIFEST_FORMAT) if isinstance(record, dict) else MANIFEST_FORMAT
        if isinstance(found, int) and found != MANIFEST_FORMAT:
            age, remedy = (
                ("a newer", "Upgrade toytip.")
                if found > MANIFEST_FORMAT
                else ("an older", "Set --store to a new folder, and run toytip again.")
            )
            raise StoreFormatError(
                f"cannot read the store: {name} has manifest format {found}, written by {age} toytip; "
                f"this toytip reads format {MANIFEST_FORMAT}",
                hint=remedy,
            )


@functools.cache
def _manifest_adapter() -> TypeAdapter[Manifest]:
    """Return what reads manifests; to make it takes 2 ms, and to read one of twelve parts 0.03."""
    return TypeAdapter(Manifest)


@functools.cache
def data_file_adapter() -> TypeAdapter[DataFile]:
    """Return what reads records of parts."""
    return TypeAdapter(DataFile)


def is_manifest_name(name: str) -> bool:
    """Tell whether a file is where a manifest is; a copy that someone made beside it is none."""
    table, _, file = name.rpartition("/")
    version, dot, kind = file.rpartition(".")
    return bool(
        VERSION_REGEX.fullmatch(version)
        and dot + kind == ".json"
        and _TABLE_REGEX.fullmatch(table.rpartition("/")[2])
    )


def validate_table_name(name: str) -> str:
    """Return the name of a table. Raises StoreError where no table can have it."""
    if not _TABLE_REGEX.fullmatch(name):
        raise StoreError(f"{name!r} is not the name of a table; see `toytip versions`")
    return name


def validate_version(version: str) -> str:
    """Return a version. Raises StoreError where no version can be named so."""
    if not VERSION_REGEX.fullmatch(version):
        raise StoreError(f"{version!r} is not a version: a letter, then letters, digits, . _ - only")
    return version
