"""Find the taxi type of a file in its columns, or in its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.field_names import describe_repeated
from toytip.core.dataset.unnamed import ADD_NAMES, describe_unnamed
from toytip.core.text import join_words
from toytip.datasets.registry import DATASETS, kinds_in_columns, match_dataset
from toytip.datasets.words import describe_kinds
from toytip.errors import SourceError
from toytip.sources.path_months import DATA_SUFFIXES


def find_taxi(name: str, names: Sequence[str], dataset: Dataset | None = None) -> str:
    """Return the taxi type of a file with these columns. Raises SourceError for another layout.

    `name` is the path of the file.
    """
    candidates, dataset = (dataset,) if dataset else DATASETS, match_dataset(names, dataset)
    if other := dataset.layout.other_layout(names):
        raise SourceError(f"cannot use {name}: {other[0]}", hint=other[1])
    if repeated := dataset.field_names.find_repeated(names):
        raise SourceError(f"cannot use {name}: {describe_repeated(repeated)}", hint=_merge_hint(repeated))
    columns = dataset.field_names.match(names)
    if not columns and (problem := describe_unnamed(names)):
        raise SourceError(f"cannot use {name}: {problem}", hint=ADD_NAMES)
    if dataset.time_column not in columns:
        kinds = join_words([kind for candidate in candidates for kind in candidate.kinds], "or")
        raise SourceError(
            f"cannot use {name}: it is not a {kinds} {_file_word(dataset)}",
            hint=f"Use files with a column {join_words(_time_columns(candidates), 'or')}. This file has "
            + (f"the columns {_first_names(names)}, ..." if names else "no columns."),
        )
    taxi = dataset.layout.detect_kind(names) or _taxi_in_name(name, dataset)
    if taxi is None:
        renamed = [
            f"{dataset.layout.source_column(dataset.time_column, kind)} ({kind})" for kind in dataset.kinds
        ]
        kinds = join_words(list(dataset.kinds), "or")
        raise SourceError(
            f"cannot use {name}: its columns do not show whether its taxis are {kinds}",
            hint=f"Put {kinds} in the name of the file, or rename column {columns[dataset.time_column]} to "
            f"{join_words(renamed, 'or')}.",
        )
    return taxi


def _first_names(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:60]) for name in names[:5])


def _file_word(dataset: Dataset) -> str:
    return "file" if dataset.is_own else "trip record"


def _time_columns(candidates: Sequence[Dataset]) -> list[str]:
    """Return the names of the column with the times of rows in the files of data sets."""
    fields = [dataset.fields_by_name[dataset.time_column] for dataset in candidates]
    return list(dict.fromkeys(name for field in fields for name in field.aliases or (field.name,)))


def _taxi_in_name(path: str, dataset: Dataset) -> str | None:
    """Return the taxi type in the name of a file, or of a folder that is named as a file.

    >>> _taxi_in_name("green/yellow_2023-01.parquet/part-0.parquet", DATASETS[0])
    'yellow'
    """
    if len(dataset.kinds) == 1:
        return next(iter(dataset.kinds))
    *folders, file_name = path.lower().split("/")
    names = [file_name, *(folder for folder in reversed(folders) if folder.endswith(DATA_SUFFIXES))]
    return next((taxi for name in names for taxi in dataset.kinds if taxi in name), None)


def _merge_hint(repeated: Mapping[str, Sequence[str]]) -> str:
    kinds = kinds_in_columns([column for group in repeated.values() for column in group])
    if len(kinds) > 1:
        return f"Write the trips of {describe_kinds(kinds)} to separate files."
    return "Merge the columns of each field into one, or remove all but one of them."
