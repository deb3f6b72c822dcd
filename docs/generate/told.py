"""The pages of what programs read: JSON keys, metrics, exit codes and errors, and the names that `toytip` exports."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from docs.generate.markdown import code, page, table
from toytip import errors
from toytip.cli import json_keys
from toytip.core import glossary


def json_page() -> str:
    """Return the page of the keys that programs read."""
    told = [
        f"## toytip {name}\n\n"
        + table(("key", "meaning"), ([code(key), said] for key, said in found.items()))
        for name, found in json_keys.JSON_KEYS.items()
    ]
    return page(
        "JSON keys",
        "With `--json` a command prints one object, on one line of stdout, and nothing else goes there. `toytip config --json` has "
        "[every setting](settings.md) as a key; the metrics are [here](metrics.md).",
        *told,
    )


def metrics_page() -> str:
    """Return the page of the metrics."""
    return page(
        "Metrics",
        "Under `metrics` in `--json`, in the manifest of `predictions` and in the registry. How to read them: "
        "[evaluation](../evaluation.md).",
        table(
            ("metric", "unit", "meaning"),
            ([code(name), said.unit, said.text] for name, said in glossary.METRIC_DOCS.items()),
        ),
    )


def errors_page() -> str:
    """Return the page of exit codes and errors."""
    kinds = [each for each in vars(errors).values() if inspect.isclass(each)]
    return page(
        "Exit codes and errors",
        table(
            ("exit code", "meaning"), ([code(number), said] for number, said in json_keys.EXIT_CODES.items())
        ),
        "All of toytip's own errors are kinds of `ToytipError`, with a message of one line; what to do about the usual ones is in "
        "[operations](../operations.md#when-something-goes-wrong).",
        table(("error", "of what"), ([code(kind.__name__), inspect.getdoc(kind) or ""] for kind in kinds)),
    )


def _public() -> list[Any]:
    module = importlib.import_module("toytip")
    return [getattr(module, name) for name in getattr(module, "__all__", ()) if not name.startswith("_")]


def _signature(name: str, what: Any) -> str:
    """Return how it is called: without what Python passes itself, and annotations as they were written."""
    told = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(what)))
    return "```python\n" + name + re.sub(r"\((self|cls)(, )?", "(", told) + "\n```"


def _members(what: Any) -> Iterator[tuple[str, Any]]:
    for name, member in vars(what).items():
        inner = getattr(member, "__func__", member)
        if not name.startswith("_") and (inspect.isfunction(inner) or _is_value(member)) and member.__doc__:
            yield name, member


def of_object(what: Any) -> str:
    """Return what is to be said of a function or a class that can be imported from `toytip`."""
    name, said = what.__name__, inspect.getdoc(what) or ""
    if not inspect.isclass(what):
        return "\n\n".join([f"## {name}", _signature(name, what), said])
    pieces = [f"## {name}", said]
    for inner, member in _members(what):
        plain = getattr(member, "__func__", member)
        called = [] if _is_value(member) else [_signature(inner, plain)]
        pieces += [f"### {name}.{inner}", *called, inspect.getdoc(member) or ""]
    return "\n\n".join(pieces)


def _is_value(member: Any) -> bool:
    return isinstance(member, property | functools.cached_property)


def python_page() -> str:
    """Return the page of what can be imported from `toytip`."""
    found = [of_object(each) for each in _public() if callable(each)]
    return page(
        "Python",
        "What `import toytip` gives. The stages below it are functions of frames: [the tour](../tour.md).",
        *(found or ["`toytip.__version__`."]),
    )
