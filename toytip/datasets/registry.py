"""All data sets, and the data set of a kind of source files."""

from __future__ import annotations

from collections.abc import Sequence

from toytip.core.dataset.dataset import Dataset, load_dataset
from toytip.core.dataset.module_source import ModuleSource
from toytip.datasets.tlc.dataset import TLC
from toytip.datasets.words import KINDS
from toytip.errors import ConfigError

DATASETS = (TLC,)
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


def detect_kind(columns: Sequence[str]) -> str | None:
    """Return the kind of source files that columns show, or None if they do not show it.

    >>> detect_kind(["lpep_pickup_datetime"]), detect_kind(["pickup_datetime"])
    ('green', None)
    """
    kinds = (dataset.detect_kind(columns) for dataset in DATASETS)
    return next((kind for kind in kinds if kind is not None), None)
