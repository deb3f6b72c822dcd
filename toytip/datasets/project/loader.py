"""Build the data set of a module once per process."""

from __future__ import annotations

import functools
from dataclasses import replace

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.module_source import ModuleSource
from toytip.core.dataset.reference import ReferenceRows
from toytip.datasets.project.code import ModuleCode
from toytip.datasets.project.execution import EXECUTION, execute_module
from toytip.datasets.project.parts import check_parts, collect_parts, extend_dataset
from toytip.datasets.project.references import join_references
from toytip.datasets.project.trial import record_needs, try_parts
from toytip.datasets.project.trust import require_trusted, trust_module
from toytip.datasets.registry import get_dataset

# Rows of reference tables that this process knows, by digest. Manifests have only the checksums.
_KNOWN_ROWS: dict[str, ReferenceRows] = {}


def load_stored_project(module: ModuleSource) -> Dataset:
    """Return the data set of a module in a model or a manifest, as `load_project` does.

    Raises CodeError if the user has neither run nor allowed the code.
    """
    require_trusted(module)
    return load_project(module)


def load_project(module: ModuleSource) -> Dataset:
    """Return the data set of a module: a built-in one, with the declared parts of the module.

    Raises ConfigError, with the file and the line, if the module or one of its parts cannot be
    used.
    """
    trust_module(module)
    with EXECUTION:
        _KNOWN_ROWS.update((rows.digest, rows) for rows in module.references if rows.is_complete)
        references = tuple(_KNOWN_ROWS.get(rows.digest, rows) for rows in module.references)
        return _load_complete(replace(module, references=references))


@functools.lru_cache(maxsize=16)
def _load_complete(module: ModuleSource) -> Dataset:
    return build_dataset(module, get_dataset(module.base))


def build_dataset(module: ModuleSource, base: Dataset) -> Dataset:
    """Return a data set with the declared parts of a module, after a trial on a few rows."""
    namespace = execute_module(module)
    code = ModuleCode(module.source, module.file)
    parts = collect_parts(vars(namespace), module.file)
    check_parts(parts, base, code)
    parts = join_references(record_needs(parts.guarded(), base), module.references, base)
    extended = replace(
        extend_dataset(base, parts),
        name=module.file,
        module=module,
        part_code={
            **{part.name: code.digest(part.name) for part in parts.all},
            **{rows.name: rows.digest for rows in module.references},
        },
    )
    if all(rows.is_complete for rows in module.references):  # a reader of a store has no rows
        try_parts(parts, extended)
    return extended
