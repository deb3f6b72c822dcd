"""Versions out: parts are staged, a version is renamed in whole, and its manifest, written last, makes it exist."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import fsspec
import pandas as pd
import pyarrow.parquet as pq

from toytip.config import mask
from toytip.errors import StoreError
from toytip.schema import Table
from toytip.values import PartKey, PartRecord

MANIFESTS = "_versions"
STAGING = "_staging"
REPORTS = "_reports"


def new_version() -> str:
    """Return a fresh version id; ids sort by time, as `v20261124T101500Z-3f9c2a`."""
    now = dt.datetime.now(dt.UTC)
    return f"v{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def digest(value: Any) -> str:
    """Return a short stable hash of plain values.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A published version: where it came from, and the files it is made of."""

    table: str
    version: str
    created: str
    parts: tuple[PartRecord, ...]
    config: dict[str, Any]
    parents: list[dict[str, Any]]
    schema_digest: str
    config_digest: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Bytes in all parts."""
        return sum(part.bytes for part in self.parts)

    @property
    def rejects(self) -> dict[str, int]:
        """Rejected rows by reason, over all parts."""
        total: dict[str, int] = {}
        for part in self.parts:
            for reason, count in part.rejects.items():
                total[reason] = total.get(reason, 0) + count
        return total

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read back what was published."""
        return cls(**{**record, "parts": tuple(PartRecord.from_json(part) for part in record["parts"])})


@dataclass(frozen=True)
class Store:
    """The versions of every table below `<root>/<env>`, on any file system that fsspec knows."""

    root: str
    env: str

    @property
    def _fs(self) -> tuple[Any, str]:
        fs, path = fsspec.core.url_to_fs(self.root)
        return fs, f"{path.rstrip('/')}/{self.env}"

    @property
    def local(self) -> bool:
        """Whether a rename is possible: staged parts are moved in whole. Elsewhere they are written in place."""
        return "file" in self._fs[0].protocol

    def path(self, *names: str) -> str:
        """Return the URI or path of something in the store."""
        return "/".join((self.root.rstrip("/"), self.env, *names))

    def version_path(self, table: str, version: str) -> str:
        """Return where a version's files lie."""
        return self.path(table, f"version={version}")

    def manifest_path(self, table: str, version: str) -> str:
        """Return where a version's manifest lies."""
        return self.path(MANIFESTS, table, f"{version}.json")

    @contextlib.contextmanager
    def claim(self, version: str) -> Iterator[None]:
        """Hold a version while it is made; what is left unpublished is removed at the end, and before.

        Raises StoreError where the store cannot be written, or another run holds the version. The lock is the
        system's: it goes with the process, so what a killed run left behind is free to be swept.
        """
        if not self.local:
            yield
            return
        with _saying(f"the store {self.path()} cannot be written"):
            folder = Path(self._fs[1]) / STAGING
            folder.mkdir(parents=True, exist_ok=True)
            self._sweep(folder)
            lock = (folder / f"{version}.lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(
                    f"version {version} is being made by another run; wait, or choose another"
                ) from None
            try:
                yield
            finally:
                self._discard(version)
                Path(lock.name).unlink(missing_ok=True)

    def _sweep(self, folder: Path) -> None:
        """Remove what runs that are no longer alive left unpublished."""
        for path in folder.glob("*.lock"):
            with contextlib.suppress(OSError), path.open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._discard(path.stem)
                path.unlink(missing_ok=True)

    def _discard(self, version: str) -> None:
        base = Path(self._fs[1])
        shutil.rmtree(base / STAGING / version, ignore_errors=True)
        for folder in base.glob(f"*/version={version}"):
            if not (base / MANIFESTS / folder.parent.name / f"{version}.json").exists():
                shutil.rmtree(folder, ignore_errors=True)

    def refuse_published(self, version: str, tables: tuple[str, ...]) -> None:
        """Raise StoreError where a version is published already: it is never changed."""
        for table in tables:
            fs, _ = self._fs
            with _saying(f"the store {self.path()} cannot be read"):
                taken = fs.exists(self.manifest_path(table, version))
            if taken:
                raise StoreError(
                    f"version {version} of {table} is already published in {mask(self.path())}; "
                    "leave out --version for a new one"
                )

    def write(self, table: Table, version: str, key: PartKey, frame: pd.DataFrame) -> PartRecord:
        """Write a part; the name follows from the key, so that a retried task overwrites itself."""
        buffer = io.BytesIO()
        pq.write_table(table.to_arrow(frame), buffer, compression="zstd")
        record = self.put(table.name, version, key.path, buffer.getvalue(), rows=len(frame))
        return PartRecord(**{**asdict(record), "month": key.month, "number": key.number})

    def put(self, table: str, version: str, name: str, content: bytes, rows: int = 0) -> PartRecord:
        """Write one file of a version that is not yet published."""
        fs, base = self._fs
        folder = f"{base}/{STAGING}/{version}/{table}" if self.local else f"{base}/{table}/version={version}"
        target = f"{folder}/{name}"
        with _saying(f"cannot write to the store {mask(self.path())}"):
            if self.local:
                fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                part = f"{target}.{secrets.token_hex(4)}.tmp"
                with fs.open(part, "wb") as stream:
                    stream.write(content)
                Path(part).replace(target)
            else:
                fs.pipe_file(target, content)
        checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return PartRecord(path=name, rows=rows, bytes=len(content), checksum=checksum)

    def publish(self, manifest: Manifest) -> Manifest:
        """Rename the version in, then create its manifest, exclusively.

        Raises StoreError where the version is published already.
        """
        fs, base = self._fs
        table, version = manifest.table, manifest.version
        self.refuse_published(version, (table,))
        text = json.dumps(asdict(manifest), indent=1, default=str).encode()
        with _saying(f"cannot publish {table} {version} in {mask(self.path())}"):
            if self.local:
                target = Path(base) / table / f"version={version}"
                target.parent.mkdir(parents=True, exist_ok=True)
                (Path(base) / STAGING / version / table).rename(target)
            try:
                _create(fs, f"{base}/{MANIFESTS}/{table}/{version}.json", text, local=self.local)
            except FileExistsError:
                raise StoreError(f"version {version} of {table} has been published by another run") from None
        return manifest

    def versions(self, table: str | None = None) -> list[Manifest]:
        """Return the published versions, by table and time."""
        fs, base = self._fs
        with _saying(f"the store {mask(self.path())} cannot be read"):
            paths = fs.glob(f"{base}/{MANIFESTS}/{table or '*'}/*.json", refresh=True)
            return sorted(
                (self._read_manifest(path) for path in paths), key=lambda m: (m.table, m.created, m.version)
            )

    def resolve(self, table: str, version: str | None = None) -> Manifest:
        """Return a version of a table: the one named, or the newest. Raises StoreError where there is none."""
        fs, base = self._fs
        if version is None:
            there = self.versions(table)
            if not there:
                raise StoreError(f"no version of {table} in {mask(self.path())}; run the stage before first")
            return there[-1]
        path = f"{base}/{MANIFESTS}/{table}/{version}.json"
        with _saying(f"the store {mask(self.path())} cannot be read"):
            if not fs.exists(path):
                raise StoreError(
                    f"no version {version} of {table} in {mask(self.path())}; see `toytip versions`"
                )
            return self._read_manifest(path)

    def _read_manifest(self, path: str) -> Manifest:
        try:
            return Manifest.from_json(json.loads(self._fs[0].cat_file(path)))
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{mask(path)}: not a manifest that this toytip reads: {error}") from None

    def read(self, table: Table, version: str, record: PartRecord) -> pd.DataFrame:
        """Read a part of a published version, only the columns of `table`."""
        content = io.BytesIO(self.get(table.name, version, record.path))
        return table.from_arrow(pq.ParquetFile(content).read(columns=table.names, use_threads=False))

    def get(self, table: str, version: str, name: str) -> bytes:
        """Read one file of a published version. Raises StoreError where it is gone."""
        fs, base = self._fs
        path = f"{base}/{table}/version={version}/{name}"
        with _saying(f"{table} {version} in {mask(self.path())} lacks a file"):
            return bytes(fs.cat_file(path))

    def save_report(self, version: str, path: Path) -> str:
        """Keep a run's performance report beside the tables; return where."""
        fs, base = self._fs
        with _saying(f"cannot write to the store {mask(self.path())}"):
            fs.makedirs(f"{base}/{REPORTS}", exist_ok=True)
            fs.put_file(str(path), f"{base}/{REPORTS}/{version}.html")
        return self.path(REPORTS, f"{version}.html")


def _create(fs: Any, path: str, content: bytes, *, local: bool) -> None:
    """Create a file whole and exclusively. Raises FileExistsError where it is there already."""
    if local:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Linked in, not written in place: a reader never sees half a manifest.
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            part.write_bytes(content)
            os.link(part, target)
        finally:
            part.unlink(missing_ok=True)
    else:
        fs.pipe_file(path, content, mode="create")


@contextlib.contextmanager
def _saying(what: str) -> Iterator[None]:
    """Turn the system's errors into ours: what could not be done, and the system's reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        raise StoreError(
            f"{what}: {reason.lower()}; check --store, its space and your rights there"
        ) from None
