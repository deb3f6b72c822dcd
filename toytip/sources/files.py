"""Write monthly files, and compute the checksums of source files."""

from __future__ import annotations

import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq

from toytip.core.access import StorageOptions
from toytip.core.redact import first_line, mask_credentials
from toytip.errors import SourceError
from toytip.io.access import open_file, open_file_io


def write_month_file(table: pa.Table, uri: str, storage_options: StorageOptions = StorageOptions()) -> int:  # noqa: B008 - frozen
    """Write a monthly file atomically, and return its number of rows.

    The file has one row group. Raises SourceError if it cannot be written.
    """
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", row_group_size=len(table))
    folder, _, name = uri.rpartition("/")
    try:
        open_file_io(folder or ".", storage_options).write(name, buffer.getvalue())
    except OSError as error:
        raise SourceError(
            f"cannot write {mask_credentials(uri)}: {first_line(error)}", hint="Choose another folder."
        ) from None
    return len(table)


def file_checksum(uri: str, storage_options: StorageOptions) -> str:
    """Return the SHA-256 of a file, with the prefix `sha256:`."""
    with open_file(uri, storage_options) as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
