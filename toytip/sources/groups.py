"""Check files together: all errors at once, one taxi type, and no trips twice."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile

from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month, parse_months
from toytip.core.number_values import decode_dictionary
from toytip.core.redact import mask_credentials
from toytip.core.text import join_words, plural
from toytip.core.time_values import read_times
from toytip.datasets.words import KINDS
from toytip.errors import SourceError, ToytipError
from toytip.io.access import open_file
from toytip.sources.column_check import error_of_empty
from toytip.sources.files import file_checksum
from toytip.sources.listing import has_other_format
from toytip.sources.month_files import CheckedFile
from toytip.sources.month_rows import time_column
from toytip.sources.path_months import DATA_SUFFIXES
from toytip.sources.reader import open_parquet
from toytip.sources.source import Source, SourceFile

MAX_LISTED_FILES = 5
MAX_HINTS = 3
# The parts of paths by which a program distinguishes the files of a table: values of keys in
# folders such as `borough=Queens`, UUIDs, other random letters with digits, and numbers.
_HIVE_VALUE = re.compile(r"(?<=/)([^/=]+)=[^/]+(?=/)")
_RANDOM = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<![0-9a-z])([0-9a-f]{8,}|(?=[a-z]*\d)(?=\d*[a-z])[0-9a-z]{5,})(?![0-9a-z])|\d+",
    re.IGNORECASE,
)


def raise_file_errors(spec: str, errors: Mapping[str, ToytipError], count: int) -> None:
    """Raise the error of a file, or one SourceError that names all files with errors."""
    if len(errors) == 1:
        raise next(iter(errors.values()))
    names = _short_names([mask_credentials(uri) for uri in errors])
    listed = [
        f"{name}: {_cause(uri, error)}"
        for name, (uri, error) in list(zip(names, errors.items(), strict=True))[:MAX_LISTED_FILES]
    ]
    if len(errors) > MAX_LISTED_FILES:
        listed.append(f"and {len(errors) - MAX_LISTED_FILES} more")
    hints = list(dict.fromkeys(error.hint for error in errors.values() if error.hint))
    raise SourceError(
        f"cannot use source {mask_credentials(spec)}: {len(errors)} of {plural(count, 'file')} "
        f"cannot be used ({'; '.join(listed)})",
        hint=" ".join(hints[:MAX_HINTS]),
    )


def _short_names(uris: Sequence[str]) -> list[str]:
    """Return the names of files, with the folders that are needed to tell them apart.

    >>> _short_names(["in/month=1/part-0.parquet", "in/month=2/part-0.parquet"])
    ['month=1/part-0.parquet', 'month=2/part-0.parquet']
    """
    names = [uri.rpartition("/")[2] for uri in uris]
    if len(set(names)) == len(names):
        return names
    folder = _common_folder(uris)
    return [uri.removeprefix(f"{folder}/") for uri in uris]


def _cause(uri: str, error: ToytipError) -> str:
    """Return the cause in an error about a file, without the name of the file."""
    return str(error).rpartition(f"{mask_credentials(uri)}: ")[2]


def require_one_taxi(spec: str, files: Sequence[SourceFile], dataset: Dataset | None = None) -> None:
    """Raise SourceError unless all files are of the same taxi type, or of a known data set."""
    if dataset is not None:
        return
    kinds = dict.fromkeys(sorted((file.taxi for file in files), key=_kind_order))
    if not files or (len(kinds) == 1 and files[0].taxi in KINDS):
        return
    taxis = [kind for kind in kinds if kind in KINDS]
    if not taxis:
        raise SourceError(
            f"cannot use source {mask_credentials(spec)}: its files are trip records of "
            f"for-hire vehicles ({join_words(list(kinds))}), for example {mask_credentials(files[0].uri)}",
            hint=f"Use {join_words(KINDS, 'or')} trip records.",
        )
    examples = {kind: _selection_of(files, kind) for kind in taxis}
    raise SourceError(
        f"cannot use source {mask_credentials(spec)}: it contains {join_words(list(kinds))} files",
        hint=f"Select one taxi type, for example --source {' or --source '.join(examples.values())}.",
    )


def _kind_order(kind: str) -> tuple[int, str]:
    return KINDS.index(kind) if kind in KINDS else len(KINDS), kind


def _selection_of(files: Sequence[SourceFile], kind: str) -> str:
    """Return a glob, a folder or a list that selects only the files of one kind."""
    chosen = [mask_credentials(file.uri) for file in files if file.taxi == kind]
    others = [mask_credentials(file.uri) for file in files if file.taxi != kind]
    folder, own_folder = _common_folder([*chosen, *others]), _common_folder(chosen)
    if not any(uri.startswith(f"{own_folder}/") for uri in others):
        return own_folder
    names = [uri.rpartition("/")[2] for uri in chosen]
    start = "".join(takewhile(str.isalpha, names[0]))
    is_common = start and all(name.startswith(start) for name in names)
    if is_common and not any(uri.rpartition("/")[2].startswith(start) for uri in others):
        is_flat = all(uri.rpartition("/")[0] == folder for uri in chosen)
        suffix = next((end for end in DATA_SUFFIXES if names[0].lower().endswith(end)), "")
        return f"'{folder}/{'' if is_flat else '**/'}{start}*{suffix}'"
    return ",".join(chosen[:2]) + (",..." if len(chosen) > 2 else "")


def _common_folder(uris: Sequence[str]) -> str:
    """Return the deepest folder that contains all files.

    >>> _common_folder(["s3://trips/green/a.parquet", "s3://trips/yellow/a.parquet"])
    's3://trips'
    """
    folders = [uri.split("/")[:-1] for uri in uris]
    common = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return "/".join(level[0] for level in common)


def _shorten(names: Sequence[str]) -> str:
    """Return at most the first names as text, and the number of the others.

    >>> _shorten([f"2023-{month:02d}" for month in range(1, 13)])
    '2023-01, 2023-02, 2023-03, 2023-04, 2023-05 and 7 more'
    """
    more = f" and {len(names) - MAX_LISTED_FILES:,} more" if len(names) > MAX_LISTED_FILES else ""
    return ", ".join(names[:MAX_LISTED_FILES]) + more


def require_values_in_months(spec: str, files: Sequence[SourceFile], checked: Sequence[CheckedFile]) -> None:
    """Raise SourceError if a required column contains only nulls in all files of a month.

    A part of a month can be without values. For example, the last rows of the TLC's files are the
    dispatched trips, which have no passenger count and no payment type.
    """
    empty = {item.file.uri: item.empty for item in checked}
    uris_by_month: dict[Month, list[str]] = {}
    for file in files:
        uris_by_month.setdefault(file.month, []).append(file.uri)
    errors: dict[str, ToytipError] = {}
    for uris in uris_by_month.values():
        fields = set.intersection(*({column.field for column in empty.get(uri, ())} for uri in uris))
        for uri in uris if fields else ():
            columns = [column for column in empty.get(uri, ()) if column.field in fields]
            errors[uri] = error_of_empty(mask_credentials(uri), columns)
    if errors:
        raise_file_errors(spec, errors, len(checked))


def require_months(
    available: set[Month], months: str | None, named: set[Month], spec: str, unread: Mapping[Month, str]
) -> None:
    """Raise SourceError if a selected month is missing, or a month between two others.

    `available` are the months of the files that were read, `named` the months in all paths, and
    `unread` the months in the paths of files that are not read.
    """
    source = f"cannot use source {mask_credentials(spec)}"
    if months is not None:
        if missing := [str(month) for month in parse_months(months) if month not in available]:
            raise SourceError(
                f"{source} with --months {months}: it has no file for {_shorten(missing)}",
                hint=f"Choose from {', '.join(map(str, sorted(available | named)))}.",
            )
        return
    for month, following in pairwise(sorted(available)):
        if month.next != following:
            file = unread.get(month.next)
            fix = _fix_of_unread(file, mask_credentials(file)) if file else "Add the month"
            raise SourceError(
                f"{source}: {month.next} is missing between {month} and {following}",
                hint=f"{fix}, or leave it out with --months {','.join(map(str, sorted(available)))}.",
            )


def _fix_of_unread(file: str, name: str) -> str:
    """Return what to do with a file that is not read. `name` is its name for messages.

    >>> _fix_of_unread("green_2023-01.parquet.1", "the file")
    'Rename the file so that its name ends in .parquet or .csv'
    """
    if has_other_format(file):
        return f"Convert {name} to Parquet"
    return f"Rename {name} so that its name ends in .parquet or .csv"


def warn_of_unread_months(
    unread: Mapping[Month, str], available: set[Month], selected: Sequence[Month] | None
) -> tuple[str, ...]:
    """Return a warning for each month whose only file is not read."""
    return tuple(
        f"{mask_credentials(file)} is not read, and no other file has trips of {month}. "
        f"{_fix_of_unread(file, 'the file')} to use these trips"
        for month, file in unread.items()
        if month not in available and (selected is None or month in selected)
    )[:MAX_LISTED_FILES]


def require_different_files(source: Source, spec: str) -> None:
    """Raise SourceError if two files of a month have the same trips.

    Only files with equal sizes and equal row counts are read, each of them once.
    """
    for month, files in source.by_month.items():
        shapes = Counter((file.rows, file.bytes) for file in files)
        earlier: dict[tuple[int, int, str], SourceFile] = {}
        for file in files:
            if shapes[file.rows, file.bytes] == 1:
                continue
            first = earlier.setdefault((file.rows, file.bytes, _digest(file, source.dataset)), file)
            if first is not file:
                names = f"{mask_credentials(first.uri)} and {mask_credentials(file.uri)}"
                raise SourceError(
                    f"cannot use source {mask_credentials(spec)}: {names} have the same trips of {month}",
                    hint="Select one of the two files with a glob or a list in --source.",
                )


def _digest(file: SourceFile, dataset: Dataset) -> str:
    """Return a checksum of the content of a CSV file, or of the times in a Parquet file."""
    if file.csv:
        return file_checksum(file.uri, file.storage_options)
    with open_file(file.uri, file.storage_options) as stream:
        parquet = open_parquet(stream)
        column = time_column(parquet.schema_arrow.names, dataset)
        times = parquet.read([column], use_threads=False).column(column)
    return hashlib.sha256(read_times(decode_dictionary(times)).array.tobytes()).hexdigest()


def _family_of(uri: str) -> str:
    """Return a URI without the parts that a program varies between the files of a table.

    >>> _family_of("in/year=2023/month=1/borough=Queens/part-7-c000.parquet")
    'in/year=#/month=#/borough=#/part-#-c#.parquet'
    """
    return _RANDOM.sub("#", _HIVE_VALUE.sub(r"\1=#", uri))


def warn_of_repeated_trips(source: Source) -> tuple[str, ...]:
    """Return a warning for each group of files that probably have the same trips.

    If the names of the files of a month differ not only in the parts that a program varies, the
    files can be several copies of the month.
    """
    groups: dict[tuple[str, ...], tuple[str, str]] = {}
    for files in source.by_month.values():
        families = {_family_of(file.uri): mask_credentials(file.uri) for file in reversed(files)}
        if len(families) > 1:
            first, second, *_ = sorted(families.values())
            groups.setdefault(tuple(sorted(families)), (first, second))
    return tuple(
        f"{first} and {second} have trips of the same month, and toytip uses both. "
        "If these are the same trips, select files with a glob in --source"
        for first, second in list(groups.values())[:MAX_LISTED_FILES]
    )
