"""The data set of a run: a built-in data set, and the module of the project, if any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.module_source import ModuleSource
from toytip.datasets.project.loader import load_project, own_name
from toytip.datasets.project.references import read_references
from toytip.datasets.project.trust import record_module
from toytip.datasets.registry import dataset_of
from toytip.datasets.words import DEFAULT_KIND
from toytip.errors import ConfigError
from toytip.store.manifest import Manifest


def open_dataset(settings: Settings, kind: str) -> Dataset:
    """Return the data set of a kind of source files, with the module of the project.

    Raises ConfigError if the module cannot be read or used, or declares another data set.
    """
    file = settings.project.module
    return dataset_of(kind) if file is None else read_project(file, kind)


def open_own_dataset(settings: Settings) -> Dataset | None:
    """Return the data set that the project declares itself, or None without one.

    Raises ConfigError if the module cannot be read or used.
    """
    file = settings.project.module
    if file is None or own_name(_own_module(file)) is None:
        return None
    return _load_recorded(_own_module(file))


def read_project(file: str, kind: str | None = None) -> Dataset:
    """Return the data set of a kind of source files, with the module in a file.

    Without a kind, it is the data set that the module declares itself, else that of the default
    kind. Raises ConfigError if the module cannot be read or used, or declares another data set.
    """
    module = _own_module(file)
    name = own_name(module)
    if kind is not None and name not in (None, kind):
        raise ConfigError(
            f"cannot use files of the kind {kind!r}: {file} declares the data set {name}",
            hint=f"Use files of {name}, or leave out module in the section [project] of toytip.toml.",
        )
    if name is None:
        module = replace(module, base=dataset_of(kind or DEFAULT_KIND).name)
    return _load_recorded(module)


def _load_recorded(module: ModuleSource) -> Dataset:
    """Return the data set of a module, and let later processes execute its text from a model."""
    dataset = load_project(read_references(module))
    record_module(module)
    return dataset


def _own_module(file: str) -> ModuleSource:
    return ModuleSource(file=file, base="", source=_read_module(file))


def dataset_of_features(settings: Settings, features: Manifest) -> Dataset:
    """Return the data set of a version of features, with the rows of its reference tables.

    Raises ConfigError if the project now has other rows.
    """
    kind, module = str(features.config["taxi"]), features.module
    if module is not None and module.references:
        open_dataset(settings, kind)  # reads the rows, of which a manifest has only the checksum
    dataset = dataset_of(kind, module)
    for rows in dataset.module.references if dataset.module else ():
        rows.require_complete()
    return dataset


def manifest_module(dataset: Dataset) -> ModuleSource | None:
    """Return the module of a data set for a manifest, with only the checksums of its tables."""
    return dataset.module.without_rows() if dataset.module else None


def dataset_of_tables(tables: Mapping[str, Manifest]) -> Dataset:
    """Return the data set of the tables of a version, with the module that computed their rows."""
    rows = next(table for table in tables.values() if "taxi" in table.config)
    return dataset_of(str(rows.config["taxi"]), rows.module)


def _read_module(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigError(
            f"cannot read the module {file} of the project: {cause}",
            hint="Correct the path, for example in the section [project] of toytip.toml.",
        ) from None
