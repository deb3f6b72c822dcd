"""Recognize the format of a file by its first bytes, and name files of other formats."""

from __future__ import annotations

import codecs
import re
import stat
from pathlib import Path
from typing import Literal, NamedTuple

from toytip.core.redact import mask_credentials
from toytip.errors import SourceError
from toytip.io.base import uri_scheme

PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"
# The byte order marks of text in UTF-16 and UTF-32.
WIDE_TEXT_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
HEAD_BYTES = 1024
DOWNLOAD_AGAIN = "Download the file again with `toytip source download`."
CONVERT = "Convert the file to Parquet, or download the Parquet file."

Format = Literal["parquet", "csv"]


class OtherFormat(NamedTuple):
    """A format that toytip does not read as a source. `toytip score` reads one of them, JSON."""

    pattern: re.Pattern[bytes]
    """Pattern of the first bytes."""
    name: str
    """Name of the format in errors."""
    hint: str


def _starts_with(text: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:" + text + rb")", re.IGNORECASE)


ENCRYPTED_PARQUET = OtherFormat(re.compile(rb"PARE"), "an encrypted Parquet file", "Decrypt the file.")
_OTHER_FORMATS = (
    OtherFormat(
        _starts_with(rb"version https://git-lfs"),
        "a Git LFS pointer instead of the file",
        "Fetch the files with `git lfs pull`.",
    ),
    OtherFormat(
        _starts_with(rb"<"),
        "a web page or an XML document, probably the answer of a server",
        "Download the file again, with the address of the file itself.",
    ),
    OtherFormat(_starts_with(rb"%PDF"), "a PDF document", CONVERT),
    OtherFormat(re.compile(rb"\xd0\xcf\x11\xe0"), "an old Excel file", CONVERT),
    OtherFormat(re.compile(rb"PK\x03\x04"), "a ZIP archive or an Excel file", "Extract or convert the file."),
    OtherFormat(re.compile(rb"\x28\xb5\x2f\xfd"), "compressed with zstd", "Extract the file with `unzstd`."),
    OtherFormat(re.compile(rb"BZh"), "compressed with bzip2", "Extract the file with `bunzip2`."),
    OtherFormat(re.compile(rb"\xfd7zXZ"), "compressed with xz", "Extract the file with `unxz`."),
    ENCRYPTED_PARQUET,
    OtherFormat(re.compile(rb"ORC"), "an ORC file", CONVERT),
    OtherFormat(re.compile(rb"ARROW1|FEA1"), "an Arrow or Feather file", CONVERT),
    OtherFormat(re.compile(rb"Obj\x01"), "an Avro file", CONVERT),
    OtherFormat(re.compile(rb"SQLite format 3"), "an SQLite database", CONVERT),
    OtherFormat(_starts_with(rb"[{\[]"), "JSON", CONVERT),
)


def find_other_format(head: bytes) -> OtherFormat | None:
    """Return the format of a file that toytip does not read as a source, or None."""
    return next((other for other in _OTHER_FORMATS if other.pattern.match(head)), None)


def require_csv_in_archive(uri: str, head: bytes) -> None:
    """Raise SourceError unless the content of a gzip archive is text that can be CSV."""
    if head.startswith(PARQUET_MAGIC):
        raise SourceError(
            f"cannot read {mask_credentials(uri)}: it is a Parquet file that is compressed with gzip",
            hint="Extract the file with `gunzip`.",
        )
    detect_format(uri, len(head), head)


def require_regular_file(uri: str) -> None:
    """Raise SourceError if a path is that of a named pipe, a socket or a device.

    To open a named pipe would wait without end for a program that writes to it. Raises OSError if
    the path cannot be followed.
    """
    if uri_scheme(uri) != "file":
        return
    mode = Path(uri.removeprefix("file://")).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SourceError(
            f"cannot read {mask_credentials(uri)}: it is a named pipe, a socket or a device",
            hint="Write the trips to a file.",
        )


def detect_format(uri: str, size: int, head: bytes) -> Format:
    """Return the format of a file, given its size and its first bytes.

    Raises SourceError if the file is empty, or if toytip does not read its format.
    """
    name, failure = uri.lower(), f"cannot read {mask_credentials(uri)}"
    if not size or not head:
        raise SourceError(f"{failure}: the file is empty", hint=DOWNLOAD_AGAIN)
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    if other := find_other_format(head):
        raise SourceError(f"{failure}: it is {other.name}", hint=other.hint)
    is_csv_name = re.search(r"\.(csv|tsv|txt)(\.gz)?(\?|$)", name) is not None
    if head.startswith(GZIP_MAGIC):
        if is_csv_name:
            return "csv"
        raise SourceError(
            f"{failure}: it is compressed with gzip",
            hint="Extract the file with `gunzip`. Only a CSV file can be compressed, as NAME.csv.gz.",
        )
    is_binary = b"\0" in head and not head.startswith(WIDE_TEXT_MARKS)
    if is_binary and is_csv_name:
        raise SourceError(
            f"{failure}: it has NUL characters, as text in UTF-16 without a byte order mark",
            hint="Save the file as CSV in UTF-8, or as Parquet.",
        )
    if not is_csv_name:
        text = not is_binary and _is_text(head)
        kind = "it is not a Parquet file, but text" if text else "it is not a Parquet file"
        raise SourceError(
            f"{failure}: {kind}", hint="If it is CSV, rename it to NAME.csv." if text else CONVERT
        )
    return "csv"


def _is_text(head: bytes) -> bool:
    """Return whether bytes are text in UTF-8, or in UTF-16 or UTF-32 with a mark.

    The last character can be incomplete.
    """
    if head.startswith(WIDE_TEXT_MARKS):
        return True
    try:
        head[:-4].decode() if len(head) > 4 else head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 8
    return True
