"""Identity: what a part or an artifact is made from, in a digest. Equal identity, equal bytes: it need not be made again."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from importlib import resources
from typing import Any

from toytip.core.partitions import DataFile, SourcePartition
from toytip.core.tables import stage_modules
from toytip.store.manifest import digest

_ROW_MODULES = (
    "errors",
    "core.access",
    "core.months",
    "core.partitions",
    "core.schema",
    "core.tables",
    "core.tlc",
    "engine.graph",
)
# The modules that decide the output of a stage. A test compares them with the imports of the stages.
STAGE_MODULES = {
    stage: (*_ROW_MODULES, *stage_modules(stage))
    for stage in ("clean", "read", "featurize", "preprocess", "train", "infer", "postprocess", "predict")
}
FINGERPRINT_PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "xgboost-cpu", "dask-ml")


@functools.cache
def code_digest(stage: str) -> str:
    """Return the digest of the code that decides what a stage makes, and of the packages under it."""
    root = resources.files("toytip")
    sources = [root.joinpath(f"{name.replace('.', '/')}.py").read_bytes() for name in STAGE_MODULES[stage]]
    # Sorted digests without names: a module that only moves leaves every fingerprint as it was.
    modules = sorted(hashlib.sha256(source).hexdigest() for source in sources)
    return digest({"modules": modules, **{name: _package_version(name) for name in FINGERPRINT_PACKAGES}})


def _package_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def fingerprint(stage: str, input_content: Any, config: Any = None) -> str:
    """Return what a stage's output is made from, in a digest: the content of its input, its code, its config."""
    return digest({"stage": stage, "code": code_digest(stage), "input": input_content, "config": config})


def planned_from_slice(stage: str, part: SourcePartition, file_checksum: str) -> DataFile:
    """Return what is known beforehand of the part that a stage makes of a slice of a source file."""
    made_from = f"{file_checksum}[{part.start}:{part.stop}]"
    config = {"taxi": part.taxi, "month": part.month, "number": part.number}
    return DataFile(
        path=part.key.path, rows=0, bytes=0, checksum="", month=part.month, number=part.number,
        input_fingerprint=made_from, fingerprint=fingerprint(stage, made_from, config),
    )  # fmt: skip


def planned_from_part(stage: str, part: DataFile, config: Any) -> DataFile:
    """Return what is known beforehand of the part that a stage makes of another table's part."""
    return DataFile(
        path=part.path, rows=0, bytes=0, checksum="", month=part.month, number=part.number,
        input_fingerprint=part.checksum, fingerprint=fingerprint(stage, [part.checksum, part.month, part.number], config),
    )  # fmt: skip
