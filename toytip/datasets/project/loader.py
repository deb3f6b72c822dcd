"""Build the data set of a module once per process."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from toytip.core.dataset.dataset import WHOLE_DATASET, Dataset
from toytip.core.dataset.declarations import Reference
from toytip.core.dataset.module_source import ModuleSource
from toytip.core.dataset.own import OwnDataset
from toytip.core.dataset.reference import ReferenceRows
from toytip.datasets.project.code import ModuleCode
from toytip.datasets.project.collect import collect_parts
from toytip.datasets.project.execution import EXECUTION, execute_module
from toytip.datasets.project.outside import find_outside_value
from toytip.datasets.project.own import complete_own, own_base
from toytip.datasets.project.own_check import check_features, check_own
from toytip.datasets.project.parts import Declared, Parts, check_parts, extend_dataset, part_of
from toytip.datasets.project.references import join_references
from toytip.datasets.project.trial import record_needs, try_parts
from toytip.datasets.project.trust import require_trusted, trust_module
from toytip.datasets.project.user_code import Part
from toytip.datasets.registry import get_dataset
from toytip.errors import ConfigError

# Rows of reference tables that this process knows, by digest. Manifests have only the checksums.
_KNOWN_ROWS: dict[str, ReferenceRows] = {}


def load_stored_project(module: ModuleSource) -> Dataset:
    """Return the data set of a module in a model or a manifest, as `load_project` does.

    Raises CodeError if the user has neither run nor allowed the code.
    """
    require_trusted(module)
    return load_project(module)


def load_project(module: ModuleSource) -> Dataset:
    """Return the data set of a module: a built-in one or its own, with the declared parts.

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
    return build_dataset(module, get_dataset(module.base) if module.base else None)


def own_name(module: ModuleSource) -> str | None:
    """Return the name of the data set that a module declares itself, or None without one.

    Raises ConfigError if the module cannot be executed.
    """
    declared = (value for value in vars(execute_module(module)).values() if isinstance(value, OwnDataset))
    return next((item.name for item in declared), None)


def build_dataset(module: ModuleSource, base: Dataset | None) -> Dataset:
    """Return a data set with the declared parts of a module, after a trial on a few rows.

    Without a base, the module declares a data set of its own.
    """
    namespace = vars(execute_module(module))
    code = ModuleCode(module.source, module.file)
    parts = collect_parts(namespace, module.file, code)
    own = _own_part(namespace, module, code)
    digests = _digests_of(parts, namespace, code)
    if own:
        _forbid_outside_values(own.part, code, [own.variable])
        digests = {**_digests_of_own(own.declared), **digests}
    base = base or _own_base(parts, own)
    check_parts(parts, base, code)
    parts = join_references(record_needs(parts.guarded(), base), module.references, base)
    extended = replace(
        extend_dataset(base, parts),
        name=module.file,
        module=module,
        part_code=digests | {rows.name: rows.digest for rows in module.references},
    )
    if own:
        check_features(own.declared, extended, own.part)
        extended = complete_own(extended, own.declared)
    if all(rows.is_complete for rows in module.references):  # a reader of a store has no rows
        return replace(extended, trial=try_parts(parts, extended))
    return extended


def _digests_of(parts: Parts, namespace: Mapping[str, Any], code: ModuleCode) -> dict[str, str]:
    """Return the digests of parts, except reference tables, by name of the part.

    A part can have other names in the module, for example `far` for `far = make(10)`.
    """
    digests = {}
    for declared in parts.all:
        if not isinstance(declared, Reference):
            names = _variables_of(declared, namespace)
            _forbid_outside_values(part_of(declared), code, names)
            for table in parts.references:
                if any(code.uses(names, name) for name in _variables_of(table, namespace)):
                    raise _direct_use_error(part_of(declared), table.name)
            digests[declared.name] = code.digest(names)
    return digests


def _variables_of(declared: Declared, namespace: Mapping[str, Any]) -> list[str]:
    """Return the names that a part has in the module."""
    return [name for name, value in namespace.items() if value is declared]


def _digests_of_own(declared: OwnDataset) -> dict[str, str]:
    """Return the digests of a declaration and of its fields.

    The descriptions and examples of fields do not count.
    """
    fields = [
        replace(item, description="", example=None, time_zone=declared.time_zone) for item in declared.fields
    ]
    values = {WHOLE_DATASET: replace(declared, fields=fields), **{item.name: item for item in fields}}
    return {name: hashlib.sha256(repr(value).encode()).hexdigest()[:16] for name, value in values.items()}


def _direct_use_error(part: Part, table: str) -> ConfigError:
    """Return the error that the code of a part uses all rows of a reference table."""
    cause = f"its code uses the function {table}, which returns rows that become known after the trip"
    hint = f'List {table} in needs of a feature, and use its columns, for example trips["{table}.value"].'
    return part.error(cause, hint)


def _forbid_outside_values(part: Part, code: ModuleCode, names: Sequence[str]) -> None:
    """Raise ConfigError if a part depends on a value that can differ between machines and runs."""
    if value := find_outside_value(code.statements_of(names)):
        hint = (
            "Write the value into the module. Only a function with @reference can read values from outside."
        )
        raise part.error(f"its code reads {value}", hint)


class _OwnPart(NamedTuple):
    declared: OwnDataset
    variable: str
    """Name in the module of the declared data set."""
    part: Part


def _own_part(namespace: Mapping[str, Any], module: ModuleSource, code: ModuleCode) -> _OwnPart | None:
    """Return the declared data set, or None without one. Raises ConfigError for several."""
    declared = {name: value for name, value in namespace.items() if isinstance(value, OwnDataset)}
    places = [
        _OwnPart(value, name, Part("data set", value.name, module.file, code.line_of(name)))
        for name, value in declared.items()
    ]
    if len(set(map(id, declared.values()))) > 1:
        raise places[1].part.error(
            f"the module already declares the data set {places[0].part.name}", "Remove one of them."
        )
    return places[0] if places else None


def _own_base(parts: Parts, own: _OwnPart | None) -> Dataset:
    assert own, "a module without a base declares a data set"
    check_own(own.declared, parts.label, own.part)
    assert parts.label, "check_own requires a label"
    return own_base(own.declared, parts.label)
