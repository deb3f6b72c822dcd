"""All data sets, and the data set of a kind of source files."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from toytip.core.dataset.dataset import Dataset, load_dataset
from toytip.core.dataset.module_source import ModuleSource
from toytip.core.dataset.synthetic import SyntheticFiles
from toytip.core.text import join_words
from toytip.datasets.tlc.fhvhv.dataset import FHVHV
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.words import KINDS, SYNTHETIC_KINDS, describe_kind
from toytip.errors import ConfigError

DATASETS = (TLC, FHVHV)
REJECT_REASONS = tuple(dict.fromkeys(name for dataset in DATASETS for name in dataset.reject_reasons))


def get_dataset(name: str) -> Dataset:
    """Return the data set with a name. Raises ConfigError for an unknown name."""
    for dataset in DATASETS:
        if dataset.name == name:
            return dataset
    raise ConfigError(
        f"cannot use data set {name!r}: this toytip does not have it",
        hint=f"Choose {' or '.join(dataset.name for dataset in DATASETS)}.",
    )


def dataset_of(kind: str, module: ModuleSource | None = None) -> Dataset:
    """Return the data set that has a kind of source files, extended by a module of a project.

    Raises ConfigError for an unknown kind, or if the module cannot be used.

    >>> dataset_of("green").name
    'tlc'
    """
    if module is not None:
        return load_dataset(module)
    for dataset in DATASETS:
        if kind in dataset.kinds:
            return dataset
    raise ConfigError(
        f"cannot use files of the kind {kind!r}: no data set has it", hint=f"Choose {' or '.join(KINDS)}."
    )


def match_dataset(columns: Collection[str], dataset: Dataset | None = None) -> Dataset:
    """Return the data set to which the columns of a source file or of trips belong.

    It is `dataset`, if it is known. If not, it is the built-in data set with the kind that the
    columns show, or else the one with the most of the columns.

    >>> match_dataset(["lpep_pickup_datetime"]).name, match_dataset([]).name
    ('tlc', 'tlc')
    """
    return dataset or max(
        DATASETS,
        key=lambda item: (item.layout.detect_kind(columns) is not None, len(item.field_names.match(columns))),
    )


def has_field(column: str, dataset: Dataset | None = None) -> bool:
    """Return whether a column is a field of a data set, or of any built-in one."""
    datasets = DATASETS if dataset is None else (dataset, *DATASETS)
    return any(item.field_names.field_of(column) is not None for item in datasets)


def kinds_in_columns(columns: Collection[str]) -> list[str]:
    """Return the kinds of source files of which columns have a name that no other kind has.

    >>> kinds_in_columns(["lpep_pickup_datetime", "tpep_pickup_datetime"])
    ['yellow', 'green']
    """
    return [kind for dataset in DATASETS for kind in dataset.layout.kinds_in_columns(columns)]


def detect_kind(columns: Collection[str], others: Iterable[Dataset] = ()) -> str | None:
    """Return the kind of source files that columns show, or None if they do not show exactly one.

    `others` are data sets of projects, in addition to the built-in ones.

    >>> detect_kind(["lpep_pickup_datetime"]), detect_kind(["pickup_datetime"])
    ('green', None)
    """
    datasets = dict.fromkeys([*DATASETS, *(dataset for dataset in others if dataset.is_own)])
    kinds = {dataset.layout.detect_kind(columns) for dataset in datasets} - {None}
    return kinds.pop() if len(kinds) == 1 else None


def unusable_kind(columns: Collection[str], dataset: Dataset | None = None) -> str | None:
    """Return the kind of published files that toytip cannot use, or None for other files."""
    return match_dataset(columns, dataset).layout.unusable_kind(columns)


def synthetic_files(kind: str) -> SyntheticFiles:
    """Return the synthetic files of a kind. Raises ConfigError if toytip does not generate it."""
    files = dataset_of(kind).synthetic
    if files is None or files.kind != kind:
        raise ConfigError(
            f"cannot generate files of {describe_kind(kind)}: toytip has no synthetic trips of this type",
            hint=f"Choose {join_words(SYNTHETIC_KINDS, 'or')}.",
        )
    return files
