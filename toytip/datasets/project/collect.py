"""Collect the parts that a module declares, and check how it declares them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from toytip.core.dataset.declarations import Feature, Label, Reference, Rule, Segment
from toytip.core.dataset.own import OwnDataset
from toytip.datasets.project.code import ModuleCode
from toytip.datasets.project.parts import Declared, Parts, function_of, is_of_file, kind_of, part_of
from toytip.datasets.project.user_code import Part
from toytip.errors import ConfigError

# Flags of functions that return a generator or a coroutine instead of values.
_NOT_VALUES = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def collect_parts(namespace: Mapping[str, Any], file: str, code: ModuleCode) -> Parts:
    """Return the parts that a module declares itself, in order of definition.

    Raises ConfigError if the module declares nothing, or several labels or segments, or declares a
    part in a place where toytip cannot find it or its code.
    """
    declared: list[Declared] = []
    for name, value in namespace.items():
        if not isinstance(value, Declared) or value in declared:
            continue
        # Parts of other modules that the module imports do not count.
        if is_of_file(value, file) or not code.imports(name):
            _check_declaration(value, Part(kind_of(value), name, file, code.line_of(name)))
            declared.append(value)
    _forbid_nested(namespace, file, code)
    own = [value for value in namespace.values() if isinstance(value, OwnDataset)]
    if not declared and not own:
        raise ConfigError(
            f"cannot use {file}: it declares no feature, rule, label or segment",
            hint="Decorate a function, for example with @rule from toytip.",
        )
    for kind in (Label, Segment):
        several = [item for item in declared if isinstance(item, kind)]
        if len(several) > 1:
            cause = f"the module already declares the {kind_of(several[0])} {several[0].name}"
            raise part_of(several[1]).error(cause, "Remove one of them.")
    return Parts(
        features=tuple(item for item in declared if isinstance(item, Feature)),
        rules=tuple(item for item in declared if isinstance(item, Rule)),
        label=next((item for item in declared if isinstance(item, Label)), None),
        segment=next((item for item in declared if isinstance(item, Segment)), None),
        references=tuple(item for item in declared if isinstance(item, Reference)),
        own=own[0] if own else None,
    )


def _forbid_nested(namespace: Mapping[str, Any], file: str, code: ModuleCode) -> None:
    """Raise ConfigError if a list, a dict or a class has a part that is not a variable as well."""
    variables = {id(value) for value in namespace.values()}
    for name, value in namespace.items():
        for item in _content_of(value):
            if isinstance(item, Declared | OwnDataset) and id(item) not in variables:
                kind = "class" if isinstance(value, type) else type(value).__name__
                raise Part(kind, name, file, code.line_of(name)).error(
                    f"it contains a {kind_of(item)} that is not at the top level of the module",
                    "Give each part a name at the top level.",
                )


def _content_of(value: Any) -> Iterable[Any]:
    """Return the objects in a list, a dict or a class, in which a module could declare parts."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, dict):
        return list(value.values())
    return list(vars(value).values()) if isinstance(value, type) else ()


def _check_declaration(declared: Declared, variable: Part) -> None:
    """Raise ConfigError unless the function of a part is in the module, and can be called."""
    function = function_of(declared)
    if not is_of_file(declared, variable.file):
        cause = "it does not decorate a function of this file"
        raise variable.error(cause, f"Define the {variable.kind} with def, and decorate it once.")
    if inspect.unwrap(function).__code__.co_flags & _NOT_VALUES:
        raise variable.error(
            "its function is a generator or asynchronous",
            "Return all values at once, without yield and async.",
        )
    name = getattr(function, "__name__", "")
    if not name.isidentifier():  # for example a lambda
        hint = (
            f"Define the function with def {variable.name}. In a decorator of your own, use functools.wraps."
        )
        raise variable.error(f"its function has the name {name!r}", hint)
    if name.startswith("_"):
        raise variable.error("its name begins with an underscore", "Rename the function.")
