"""Identity: what a part or an artifact is made from, in a digest. Equal identity, equal bytes: it need not be made again."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from importlib import resources
from typing import Any

from toytip.manifest import digest
from toytip.values import MonthPart, PartRecord

_ROW = ("errors", "values", "schema", "flow")
_FEATURES = ("stages/featurize", "stages/profile", "splits")
_LEARN = (*_ROW, "splits", "stages/preprocess", "stages/rates")
_TRAIN = ("boost", "rank", "ranks", "train", "tally", "stages/infer", "stages/postprocess", "stages/summary")
# The modules that decide what a stage makes; a test compares them with what the stages really import.
MODULES = {
    "clean": (*_ROW, "reader", "stages/conform", "stages/clean"),
    "read": (*_ROW, "reader", "stages/conform", "stages/clean", *_FEATURES),
    "featurize": (*_ROW, *_FEATURES),
    "preprocess": _LEARN,
    "train": (*_LEARN, *_TRAIN),
    "infer": (*_LEARN, "stages/infer"),
    "postprocess": (*_ROW, "stages/postprocess"),
    "predict": (*_LEARN, "stages/infer", "stages/postprocess"),
}
PACKAGES = ("numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "xgboost-cpu", "dask-ml")


@functools.cache
def code_of(stage: str) -> str:
    """Return the digest of the code that decides what a stage makes, and of the packages under it."""
    root = resources.files("toytip")
    sources = {name: root.joinpath(f"{name}.py").read_bytes() for name in MODULES[stage]}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in sources.items()}
    return digest({**found, **{name: _version(name) for name in PACKAGES}})


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def identity(stage: str, made_from: Any, config: Any = None) -> str:
    """Return what a stage's output is made from, in a digest: the content of its input, its code, its config."""
    return digest({"stage": stage, "code": code_of(stage), "input": made_from, "config": config})


def of_slice(stage: str, part: MonthPart, content: str) -> PartRecord:
    """Return what is known beforehand of the part that a stage makes of a slice of a source file."""
    made_from = f"{content}[{part.start}:{part.stop}]"
    config = {"taxi": part.taxi, "month": part.month, "number": part.number}
    return PartRecord(
        path=part.key.path, rows=0, bytes=0, checksum="", month=part.month, number=part.number,
        input=made_from, identity=identity(stage, made_from, config),
    )  # fmt: skip


def of_part(stage: str, part: PartRecord, config: Any) -> PartRecord:
    """Return what is known beforehand of the part that a stage makes of another table's part."""
    return PartRecord(
        path=part.path, rows=0, bytes=0, checksum="", month=part.month, number=part.number,
        input=part.checksum, identity=identity(stage, [part.checksum, part.month, part.number], config),
    )  # fmt: skip
