"""Generate the pages of JSON keys, metrics, exit codes, errors and the Python API."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from docs.generate.json_schema import RESULTS, is_object, members, nested_objects, summary_of, type_text
from docs.generate.markdown import code, page, table
from toytip import errors
from toytip.cli.command import EXIT_CODES
from toytip.config import Settings
from toytip.core import glossary


def json_page() -> str:
    """Return the page of JSON keys."""
    # The first object is the result itself.
    inner = {kind for result in RESULTS.values() for kind in nested_objects(result)[is_object(result) :]}
    return page(
        "JSON output",
        "With `--json`, a command prints one JSON object on one line to stdout, and nothing else. Messages go to stderr. "
        "Times are in UTC. The folder `schemas` has a JSON Schema for the output of each command, for example "
        "[run.json](schemas/run.json).",
        "The column *Type* of the tables below uses these notations:",
        "- `array of X`: an array in which each value has the type X\n"
        "- `object of X`: an object in which each value has the type X, under any key\n"
        "- `[X, Y]`: an array of exactly two values, the first of the type X and the second of the type Y\n"
        "- `X or Y`: a value of the type X or of the type Y\n"
        "- `any`: a value of any type",
        *(_command_section(name, result) for name, result in RESULTS.items()),
        "## Objects",
        "The output of the commands above contains these objects.",
        *(
            f"### {kind.__name__}\n\n{summary_of(kind)}\n\n{_key_table(kind)}"
            for kind in sorted(inner, key=lambda kind: kind.__name__)
        ),
    )


def _command_section(name: str, result: Any) -> str:
    file = f"schemas/{name.replace(' ', '-')}.json"
    title, link = f"## toytip {name}", f"[JSON Schema]({file})"
    if result is Settings:
        return f"{title}\n\nAn object with every [setting](settings.md). {link}."
    if not is_object(result):
        return f"{title}\n\nAn object of the type {type_text(result)}. {link}."
    return f"{title}\n\n{summary_of(result)} {link}.\n\n{_key_table(result)}"


def _key_table(kind: type) -> str:
    rows = ([code(key.name), type_text(key.hint), key.description] for key in members(kind))
    return table(("Key", "Type", "Meaning"), rows)


def metrics_page() -> str:
    """Return the page of metrics."""
    return page(
        "Metrics",
        "The JSON output (under the key `metrics`), the manifest of `predictions` and the model registry contain the metrics "
        "of this page. [Evaluation](../explanation/evaluation.md) explains how toytip computes the metrics.",
        table(
            ("Metric", "Unit", "Meaning"),
            ([code(name), doc.unit, doc.text] for name, doc in glossary.METRIC_DOCS.items()),
        ),
    )


def errors_page() -> str:
    """Return the page of exit codes and errors."""
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    return page(
        "Exit codes and errors",
        table(("Exit code", "Meaning"), ([code(number), meaning] for number, meaning in EXIT_CODES.items())),
        "All errors that toytip raises are subclasses of `ToytipError`. The message of an error says what failed and why. "
        "[Troubleshooting](../troubleshooting.md) lists common errors and fixes.",
        table(("Error", "Meaning"), ([code(kind.__name__), inspect.getdoc(kind) or ""] for kind in kinds)),
    )


def _public() -> list[Any]:
    module = importlib.import_module("toytip")
    return [getattr(module, name) for name in getattr(module, "__all__", ()) if not name.startswith("_")]


def _signature(name: str, member: Any) -> str:
    """Return the signature without `self` or `cls`, with annotations as written."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(member)))
    return "```python\n" + name + re.sub(r"\((self|cls)(, )?", "(", text) + "\n```"


def _members_of_class(kind: type) -> Iterator[tuple[str, Any]]:
    # A public class can share members with other public classes through a private base class.
    bases = [base for base in kind.__mro__[1:] if base.__name__.startswith("_") and hasattr(base, "fit")]
    members = [item for base in (*bases, kind) for item in vars(base).items()]
    for name, member in members:
        function = getattr(member, "__func__", member)
        if (
            not name.startswith("_")
            and (inspect.isfunction(function) or _is_value(member))
            and member.__doc__
        ):
            yield name, member


def api_section(member: Any) -> str:
    """Return the section of a public function or class."""
    name, text = member.__name__, inspect.getdoc(member) or ""
    if not inspect.isclass(member):
        return "\n\n".join([f"## {name}", _signature(name, member), text])
    pieces = [f"## {name}", *([_signature(name, member)] if hasattr(member, "get_params") else []), text]
    for method_name, method in _members_of_class(member):
        function = getattr(method, "__func__", method)
        signature = [] if _is_value(method) else [_signature(method_name, function)]
        pieces += [f"### {name}.{method_name}", *signature, inspect.getdoc(method) or ""]
    return "\n\n".join(pieces)


def _is_value(member: Any) -> bool:
    return isinstance(member, property | functools.cached_property)


def python_page() -> str:
    """Return the page of the Python API."""
    sections = [api_section(member) for member in _public() if callable(member)]
    return page(
        "Python",
        "The public API is in the `toytip` namespace. The stages are functions that take and return DataFrames. "
        "[The tour](../tutorials/tour.md) shows how to call the stages.",
        *(sections or ["`toytip.__version__`."]),
    )
