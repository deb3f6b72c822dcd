"""The folders of table formats, in which a log determines the files that are valid.

toytip reads the log of a Delta table with the package `deltalake`, and refuses the other formats.
"""

from __future__ import annotations

import json
import tempfile
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toytip.core.redact import first_line, mask_credentials
from toytip.errors import SourceError

DELTA_LOG = "_delta_log"
_SPARK_EXPORT = "`spark.read.format('delta').load(DIR).write.parquet(FOLDER)`"
EXPORT_DELTA = f"Export the table to Parquet files, and use these as the source, for example with Spark: {_SPARK_EXPORT}."
INSTALL_DELTALAKE = (
    "Run `pip install 'toytip[delta]'` to read the table. If you cannot install the package, export the table "
    f"to Parquet files, for example with Spark: {_SPARK_EXPORT}."
)
# The folder that identifies a table of another format, the format, and how to export the table.
_OTHER_FORMATS = {
    ".hoodie": ("Hudi", "with Spark: `spark.read.format('hudi').load(DIR).write.parquet(FOLDER)`"),
    "metadata": ("Iceberg", "with Python: `pyarrow.parquet.write_table(table.scan().to_arrow(), FILE)`"),
}
TABLE_MARKERS = frozenset({DELTA_LOG, *_OTHER_FORMATS})


def find_delta_tables(root: str, names: Iterable[str]) -> list[str]:
    """Return the folders of the Delta tables among files, relative to the root of the files.

    Raises SourceError if a folder is a table of another format.
    """
    tables: dict[str, None] = {}
    for name in names:
        folders = name.split("/")[:-1]
        for index, folder in enumerate(folders):
            table = "/".join(folders[:index])
            if folder == DELTA_LOG:
                tables[table] = None
            elif folder in _OTHER_FORMATS and (folder != "metadata" or name.endswith(".metadata.json")):
                _refuse_table("/".join(filter(None, [root.rstrip("/"), table])), folder)
    return list(tables)


def _refuse_table(path: str, marker: str) -> None:
    table_format, command = _OTHER_FORMATS[marker]
    raise SourceError(
        f"cannot use {mask_credentials(path)}: it is a {table_format} table, "
        "which can contain files that the table no longer uses",
        hint=f"Export the table to Parquet files, and use these as the source, for example {command}.",
    )


@dataclass(frozen=True)
class DeltaTables:
    """The Delta tables on a file system, whose logs are read once."""

    fs: Any
    """The file system of fsspec."""
    _is_table: dict[str, bool] = field(default_factory=dict)
    _valid_files: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def find_table(self, path: str) -> str | None:
        """Return the folder of the Delta table to which a file belongs, or None."""
        for folder in folders_of_table(path):
            if folder not in self._is_table:
                self._is_table[folder] = self.fs.exists(f"{folder}/{DELTA_LOG}")
            if self._is_table[folder]:
                return folder
        return None

    def valid_files(self, table: str) -> tuple[str, ...]:
        """Return the files that a Delta table uses now, relative to its folder.

        Raises SourceError if the log cannot be read, or if the rows of a table are not simply those
        of its files.
        """
        if table not in self._valid_files:
            self._valid_files[table] = tuple(_read_log(self.fs, table))
        return self._valid_files[table]

    def is_valid(self, path: str) -> bool:
        """Return whether a file belongs to no Delta table, or to a table that uses it now."""
        if f"/{DELTA_LOG}/" in path:
            return False
        table = self.find_table(path)
        return table is None or path.removeprefix(f"{table}/") in self.valid_files(table)


def folders_of_table(path: str) -> list[str]:
    """Return the folder of a file, and the folders above its Hive partitions.

    >>> folders_of_table("bucket/trips/year=2023/month=1/part-0.parquet")[-1]
    'bucket/trips'
    """
    folders = [path.rpartition("/")[0]]
    while "=" in folders[-1].rpartition("/")[2]:
        folders.append(folders[-1].rpartition("/")[0])
    return folders


def _read_log(fs: Any, table: str) -> Iterator[str]:
    """Yield the files that a Delta table uses now. Only `fs` has access to the table.

    The package gets a copy of the log, because its own clients have other settings.
    """
    failure = f"cannot use {mask_credentials(table)}"
    try:
        import deltalake
        from deltalake.exceptions import DeltaError
    except ImportError:
        raise SourceError(
            f"{failure}: it is a Delta table, which can contain files that the table no longer uses",
            hint=INSTALL_DELTALAKE,
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        _copy_log(fs, table, Path(folder))
        try:
            delta = deltalake.DeltaTable(folder)
            unsupported = _unsupported_feature(delta)
        except DeltaError as error:
            raise SourceError(
                f"{failure}: the log of the Delta table cannot be read ({first_line(error)})",
                hint=EXPORT_DELTA,
            ) from None
        paths = delta.get_add_actions()["path"].to_pylist()
    if any("://" in path or path.startswith("/") for path in paths):
        unsupported = "files of another table"
    if unsupported:
        raise SourceError(f"{failure}: the Delta table has {unsupported}", hint=EXPORT_DELTA)
    yield from map(urllib.parse.unquote, paths)


def _copy_log(fs: Any, table: str, folder: Path) -> None:
    """Copy the log of a Delta table, from the last checkpoint on."""
    log = f"{table}/{DELTA_LOG}"
    names = [item.removeprefix(f"{log}/") for item in fs.find(log)]
    checkpoint = "_last_checkpoint"
    start = json.loads(fs.cat_file(f"{log}/{checkpoint}"))["version"] if checkpoint in names else 0
    needed = [name for name in names if not name[:20].isdecimal() or int(name[:20]) >= start]
    targets = [folder / DELTA_LOG / name for name in needed]
    for parent in {target.parent for target in targets}:
        parent.mkdir(parents=True, exist_ok=True)
    fs.get([f"{log}/{name}" for name in needed], list(map(str, targets)))


def _unsupported_feature(delta: Any) -> str | None:
    """Return a feature of a Delta table that makes its rows differ from those of its files."""
    from deltalake.exceptions import DeltaError

    if delta.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        return "column mapping, so its files have other column names"
    if "deletionVectors" not in (delta.protocol().reader_features or ()):
        return None
    try:
        has_vectors = any(batch.num_rows for batch in delta.deletion_vectors())
    except DeltaError:  # a file with deleted rows is missing in the copy
        has_vectors = True
    return "deletion vectors, so its files contain deleted rows" if has_vectors else None
