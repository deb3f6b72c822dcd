"""Generate the pages of JSON keys, metrics, exit codes, errors and the Python API."""

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
    """Return the page of JSON keys."""
    told = [
        f"## toytip {name}\n\n"
        + table(("Key", "Meaning"), ([code(key), said] for key, said in found.items()))
        for name, found in json_keys.JSON_KEYS.items()
    ]
    return page(
        "JSON keys",
        "With `--json`, a command prints one JSON object on one line of stdout, and nothing else. Messages go to stderr. "
        "`toytip config --json` prints [every setting](settings.md). [Metrics](metrics.md) lists the keys of metrics.",
        *told,
    )


def metrics_page() -> str:
    """Return the page of metrics."""
    return page(
        "Metrics",
        "These metrics are in `metrics` of the JSON output, in the manifest of `predictions`, and in the model registry. "
        "[Evaluation](../explanation/evaluation.md) explains them.",
        table(
            ("Metric", "Unit", "Meaning"),
            ([code(name), said.unit, said.text] for name, said in glossary.METRIC_DOCS.items()),
        ),
    )


def errors_page() -> str:
    """Return the page of exit codes and errors."""
    kinds = [each for each in vars(errors).values() if inspect.isclass(each)]
    return page(
        "Exit codes and errors",
        table(
            ("Exit code", "Meaning"), ([code(number), said] for number, said in json_keys.EXIT_CODES.items())
        ),
        "All errors of toytip are subclasses of `ToytipError`. The message says what failed and why. "
        "[Troubleshooting](../troubleshooting.md) lists common errors and fixes.",
        table(("Error", "Meaning"), ([code(kind.__name__), inspect.getdoc(kind) or ""] for kind in kinds)),
    )


def _public() -> list[Any]:
    module = importlib.import_module("toytip")
    return [getattr(module, name) for name in getattr(module, "__all__", ()) if not name.startswith("_")]


def _signature(name: str, what: Any) -> str:
    """Return the signature without `self` or `cls`, with annotations as written."""
    told = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(what)))
    return "```python\n" + name + re.sub(r"\((self|cls)(, )?", "(", told) + "\n```"


def _members(what: Any) -> Iterator[tuple[str, Any]]:
    for name, member in vars(what).items():
        inner = getattr(member, "__func__", member)
        if not name.startswith("_") and (inspect.isfunction(inner) or _is_value(member)) and member.__doc__:
            yield name, member


def of_object(what: Any) -> str:
    """Return the section of a public function or class."""
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
    """Return the page of the Python API."""
    found = [of_object(each) for each in _public() if callable(each)]
    return page(
        "Python",
        "The public API is in the `toytip` namespace. The stages are functions of DataFrames, see [the tour](../tutorials/tour.md).",
        *(found or ["`toytip.__version__`."]),
    )
