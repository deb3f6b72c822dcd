"""Fingerprints: digests of the input, code, packages and config of an output.

Outputs with equal fingerprints have equal bytes.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from itertools import chain
from typing import Any

from toytip.core.dataset.dataset import Dataset
from toytip.core.partitions import DataFile, SourcePartition
from toytip.core.schema import Table
from toytip.core.tables import FUSED_STAGES, stage_modules
from toytip.datasets.registry import DATASETS
from toytip.store.manifest import digest

_ROW_MODULES = (
    "errors",
    "core.access",
    "core.columns",
    "core.dataset.dataset",
    "core.dataset.declarations",
    "core.dataset.field_names",
    "core.dataset.layout",
    "core.dataset.module_source",
    "core.dataset.reference",
    "core.dataset.trip_ids",
    "core.months",
    "core.number_values",
    "core.partitions",
    "core.schema",
    "core.tables",
    "core.text",
    "core.time_values",
    "core.times",
    "engine.graph",
)


def _dataset_modules(stage: str) -> tuple[str, ...]:
    """Return the modules of all data sets that determine the output of a stage."""
    stages = FUSED_STAGES.get(stage, (stage,))
    modules = (dataset.modules.get(name, ()) for dataset in DATASETS for name in stages)
    return tuple(dict.fromkeys(chain.from_iterable(modules)))


# The modules that determine the output of a stage. A test compares these
# modules with the imports of the stage.
STAGE_MODULES = {
    stage: (*_ROW_MODULES, *stage_modules(stage), *_dataset_modules(stage))
    for stage in ("clean", "read", "featurize", "preprocess", "train", "infer", "postprocess", "predict")
}
FINGERPRINT_PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "xgboost-cpu")


def code_digest(stage: str, dataset: Dataset) -> str:
    """Return the digest of the code that determines the output of a stage.

    The code consists of modules of toytip, and of parts of the module of a project.
    """
    own = dataset.code_of(stage)
    return digest([_package_digest(stage), own]) if own else _package_digest(stage)


@functools.cache
def _package_digest(stage: str) -> str:
    root = resources.files("toytip")
    sources = [root.joinpath(f"{name.replace('.', '/')}.py").read_bytes() for name in STAGE_MODULES[stage]]
    # The digests are sorted and have no names, so that moving a module changes no fingerprint.
    modules = sorted(hashlib.sha256(source).hexdigest() for source in sources)
    return digest(modules)


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that determine the output of stages."""
    return {name: _package_version(name) for name in FINGERPRINT_PACKAGES}


def _package_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def fingerprint(stage: str, dataset: Dataset, input_content: Any, config: Any = None) -> str:
    """Return the fingerprint of an output: the digest of the stage's input, code and config."""
    code = {"code": code_digest(stage, dataset), "packages": package_versions()}
    return digest({"stage": stage, **code, "input": input_content, "config": config})


def plan_file_of_partition(
    stage: str, dataset: Dataset, partition: SourcePartition, checksums: Mapping[str, str]
) -> DataFile:
    """Describe the data file that a stage will write for a partition of the source.

    `checksums` has the checksum of each source file, by URI.
    """
    input_content = partition.fingerprint(checksums)
    position = {"month": partition.month, "number": partition.number, "start": partition.start}
    config = {"taxi": partition.taxi, **position}
    return DataFile(
        path=partition.key.path,
        rows=0,
        bytes=0,
        checksum="",
        month=partition.month,
        number=partition.number,
        input_fingerprint=input_content,
        fingerprint=fingerprint(stage, dataset, input_content, config),
    )


def plan_file_of_input(stage: str, dataset: Dataset, file: DataFile, config: Any) -> DataFile:
    """Describe the data file that a stage will write for a data file of another table."""
    return DataFile(
        path=file.path,
        rows=0,
        bytes=0,
        checksum="",
        month=file.month,
        number=file.number,
        input_fingerprint=file.checksum,
        fingerprint=fingerprint(stage, dataset, [file.checksum, file.month, file.number], config),
    )


def plan_next_file(stage: str, dataset: Dataset, planned: DataFile, config: Any) -> DataFile:
    """Describe the data file that a stage will write for a file that another stage writes.

    The fingerprint of the other file replaces its checksum. A task that runs both stages, and two
    single stages, therefore give their files the same fingerprint.
    """
    input_content = [planned.fingerprint, planned.month, planned.number]
    return replace(
        planned,
        rows=0,
        bytes=0,
        checksum="",
        rejects={},
        fingerprint=fingerprint(stage, dataset, input_content, config),
    )


def chain_of(table: Table) -> str:
    """Return the stage whose modules determine a table from the input of its fingerprint.

    >>> from toytip.core.tables import PREDICTIONS, SCORES
    >>> chain_of(PREDICTIONS), chain_of(SCORES)
    ('predict', 'infer')
    """
    for fused, stages in FUSED_STAGES.items():
        if table.made_by == stages[-1]:
            return fused
    return table.made_by
