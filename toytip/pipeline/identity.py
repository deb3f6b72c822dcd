"""Identity: what a part or an artifact is made from, in a digest. Equal identity, equal bytes: it need not be made again."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from importlib import resources
from typing import Any

from toytip.manifest import digest
from toytip.values import DataFile, SourcePartition

_ROW_MODULES = ("errors", "values", "schema", "flow")
_FEATURE_MODULES = ("stages/featurize", "stages/profile", "splits")
_ENCODING_MODULES = (*_ROW_MODULES, "splits", "stages/preprocess", "stages/rates")
_TRAINING_MODULES = (
    "boost",
    "rank",
    "ranks",
    "train",
    "tally",
    "stages/infer",
    "stages/postprocess",
    "stages/summary",
)
# The modules that decide what a stage makes; a test compares them with what the stages really import.
STAGE_MODULES = {
    "clean": (*_ROW_MODULES, "reader", "stages/conform", "stages/clean"),
    "read": (*_ROW_MODULES, "reader", "stages/conform", "stages/clean", *_FEATURE_MODULES),
    "featurize": (*_ROW_MODULES, *_FEATURE_MODULES),
    "preprocess": _ENCODING_MODULES,
    "train": (*_ENCODING_MODULES, *_TRAINING_MODULES),
    "infer": (*_ENCODING_MODULES, "stages/infer"),
    "postprocess": (*_ROW_MODULES, "stages/postprocess"),
    "predict": (*_ENCODING_MODULES, "stages/infer", "stages/postprocess"),
}
FINGERPRINT_PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "xgboost-cpu", "dask-ml")


@functools.cache
def code_digest(stage: str) -> str:
    """Return the digest of the code that decides what a stage makes, and of the packages under it."""
    root = resources.files("toytip")
    sources = {name: root.joinpath(f"{name}.py").read_bytes() for name in STAGE_MODULES[stage]}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in sources.items()}
    return digest({**found, **{name: _package_version(name) for name in FINGERPRINT_PACKAGES}})


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
        input=made_from, identity=fingerprint(stage, made_from, config),
    )  # fmt: skip


def planned_from_part(stage: str, part: DataFile, config: Any) -> DataFile:
    """Return what is known beforehand of the part that a stage makes of another table's part."""
    return DataFile(
        path=part.path, rows=0, bytes=0, checksum="", month=part.month, number=part.number,
        input=part.checksum, identity=fingerprint(stage, [part.checksum, part.month, part.number], config),
    )  # fmt: skip
