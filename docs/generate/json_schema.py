"""JSON Schemas of the `--json` output, from the types of the results and their docstrings."""

from __future__ import annotations

import ast
import datetime as dt
import functools
import inspect
import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from toytip.cli import results
from toytip.config import Settings
from toytip.core.dataset.synthetic import SyntheticReport
from toytip.core.jsonable import FLATTEN
from toytip.core.months import Month
from toytip.evaluation.gate import GateDecision
from toytip.evaluation.judgment import Judgment
from toytip.models.card import CardOfModel, ModelComparison
from toytip.models.registered_model import ModelList, Rollback
from toytip.monitoring.aging import BacktestResult
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline.reporting.pages import WrittenReport
from toytip.pipeline.result import RunResult, StageResult
from toytip.serving.batch import ScoreReport
from toytip.sources.download import DownloadReport
from toytip.sources.inspection import SourceReport
from toytip.store.acceptances import Acceptance
from toytip.store.compare import VersionDiff
from toytip.store.lineage import LineageNode
from toytip.store.release import ReleaseResult
from toytip.store.runs import RunComparison, RunList

DIALECT = "https://json-schema.org/draft/2020-12/schema"
STAGES = ("clean", "featurize", "preprocess", "train", "infer", "postprocess")
# The type of the result of each command that has `--json`.
RESULTS: dict[str, Any] = {
    "run": RunResult,
    "runs": RunList,
    "runs compare": RunComparison,
    "report": WrittenReport,
    **{f"stage {name}": StageResult for name in STAGES},
    "stage evaluate": results.EvaluationResult,
    "source download": DownloadReport,
    "source accept": Acceptance,
    "source check": SourceReport,
    "source synth": SyntheticReport,
    "version list": results.VersionList,
    "version show": results.VersionContents,
    "version diff": VersionDiff,
    "version lineage": LineageNode | results.DownstreamVersions,
    "version tag": results.TagList,
    "version rollback": results.RollbackResult,
    "version release": ReleaseResult,
    "version verify": results.VerificationResult,
    "version gc": results.DeletedVersions,
    "model list": ModelList,
    "model show": CardOfModel,
    "model compare": ModelComparison,
    "model promote": GateDecision,
    "model rollback": Rollback,
    "score": ScoreReport,
    "judge": Judgment,
    "monitor": MonitoringReport,
    "backtest": BacktestResult,
    "tune": results.TuningSummary,
    "cluster list": results.ClusterList,
    "cluster up": results.ClusterAddress,
    "cluster down": results.ClusterStop,
    "cluster status": results.ClusterStatus,
    "cluster doctor": results.ClusterCheck,
    "cluster create-certs": results.CertificateFiles,
    "config": Settings,
}
PRIMITIVES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
TEXT_TYPES = (Month, Path, dt.datetime, dt.date)


class Member(NamedTuple):
    """A key of a JSON object."""

    name: str
    hint: Any
    description: str


def is_object(hint: Any) -> bool:
    """Return whether values of the type become JSON objects with fixed keys."""
    return (
        inspect.isclass(hint)
        and not issubclass(hint, TEXT_TYPES)
        and (is_dataclass(hint) or hasattr(hint, "_fields") or issubclass(hint, BaseModel))
    )


@functools.cache
def members(kind: type) -> tuple[Member, ...]:
    """Return the keys of the JSON object of a dataclass, a named tuple or a pydantic model."""
    hints = get_type_hints(kind)
    if issubclass(kind, BaseModel):
        model_fields = kind.model_fields.items()
        return tuple(Member(name, hints[name], field.description or "") for name, field in model_fields)
    docs = attribute_docs(kind)
    if not is_dataclass(kind):
        return tuple(Member(name, hints[name], docs.get(name, "")) for name in kind._fields)  # type: ignore[attr-defined]
    keys: list[Member] = []
    for field in fields(kind):
        if field.metadata == FLATTEN:
            keys += members(hints[field.name])
        else:
            keys.append(Member(field.name, hints[field.name], docs.get(field.name, "")))
    return tuple(keys)


def attribute_docs(kind: type) -> dict[str, str]:
    """Return the docstrings below the attributes of a class and of its base classes."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        if base.__module__.partition(".")[0] not in ("toytip", "docs", "tests"):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = getattr(definition, "body", [])
        for statement, following in itertools.pairwise(body):
            value = following.value if isinstance(following, ast.Expr) else None
            text = value.value if isinstance(value, ast.Constant) else None
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(target, ast.Name) and isinstance(text, str):
                docs[target.id] = " ".join(text.split())
    return docs


def schema(command: str) -> dict[str, Any]:
    """Return the JSON Schema of a command's output."""
    definitions: dict[str, Any] = {}
    content = _schema_of(RESULTS[command], definitions)
    if "$ref" in content:
        content = definitions.pop(content["$ref"].rpartition("/")[2])
    return {
        "$schema": DIALECT,
        "title": f"toytip {command} --json",
        **content,
        **({"$defs": dict(sorted(definitions.items()))} if definitions else {}),
    }


def _is_generic(hint: Any, *kinds: type) -> bool:
    origin = get_origin(hint)
    return inspect.isclass(origin) and issubclass(origin, kinds)


# The kinds of types, each with its test. The first match applies.
KINDS: dict[str, Callable[[Any], bool]] = {
    "any": lambda hint: hint is Any,
    "primitive": lambda hint: hint in PRIMITIVES,
    "text": lambda hint: inspect.isclass(hint) and issubclass(hint, TEXT_TYPES),
    "object": is_object,
    "choice": lambda hint: get_origin(hint) is Literal or (inspect.isclass(hint) and issubclass(hint, Enum)),
    "union": lambda hint: get_origin(hint) in (Union, UnionType),
    "map": lambda hint: _is_generic(hint, Mapping),
    "record": lambda hint: get_origin(hint) is tuple and get_args(hint)[-1] is not Ellipsis,
    "array": lambda hint: _is_generic(hint, Sequence, AbstractSet),
}


def choices(hint: Any) -> list[Any]:
    """Return the values of a `Literal` or an enumeration."""
    return [item.value for item in hint] if inspect.isclass(hint) else list(get_args(hint))


def kind_of(hint: Any) -> str:
    """Return the kind of a type. Raises TypeError for a type that has no JSON form."""
    for kind, matches in KINDS.items():
        if matches(hint):
            return kind
    raise TypeError(f"no JSON Schema of {hint!r}")


def _schema_of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type. Objects go to `definitions`."""
    kind, arguments = kind_of(hint), get_args(hint)
    if kind in SIMPLE_SCHEMAS:
        return SIMPLE_SCHEMAS[kind](hint)
    if kind == "object":
        return _reference(hint, definitions)
    parts = [_schema_of(item, definitions) for item in arguments if item is not Ellipsis]
    return COMPOUND_SCHEMAS[kind](parts)


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of a union, in the short form if it has simple types only."""
    if all(set(item) == {"type"} for item in schemas):
        return {"type": [item["type"] for item in schemas]}
    return {"anyOf": schemas}


SIMPLE_SCHEMAS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "any": lambda _: {},
    "primitive": lambda hint: {"type": PRIMITIVES[hint]},
    "text": lambda _: {"type": "string"},
    "choice": lambda hint: {"enum": choices(hint)},
}
COMPOUND_SCHEMAS: dict[str, Callable[[list[dict[str, Any]]], dict[str, Any]]] = {
    "union": _any_of,
    "map": lambda parts: {"type": "object", "additionalProperties": parts[1]},
    "record": lambda parts: {
        "type": "array",
        "prefixItems": parts,
        "minItems": len(parts),
        "maxItems": len(parts),
    },
    "array": lambda parts: {"type": "array", "items": parts[0]},
}


def _reference(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # for types that contain themselves
        keys = members(kind)
        definitions[kind.__name__] = {
            "type": "object",
            "description": summary_of(kind),
            "properties": {
                key.name: {"description": key.description, **_schema_of(key.hint, definitions)}
                for key in keys
            },
            "required": [key.name for key in keys],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


def summary_of(kind: type) -> str:
    """Return the first sentence of a class's docstring."""
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".") + "."


def type_text(hint: Any) -> str:
    """Return a type in words, for a table in Markdown. Objects are links to their section."""
    parts = [
        type_text(item) for item in get_args(hint) if item is not Ellipsis and get_origin(hint) is not Literal
    ]
    texts: dict[str, Callable[[], str]] = {
        "any": lambda: "any",
        "primitive": lambda: PRIMITIVES[hint],
        "text": lambda: "string",
        "object": lambda: f"[{hint.__name__}](#{hint.__name__.lower()})",
        "choice": lambda: ", ".join(f"`{item}`" for item in choices(hint)),
        "union": lambda: " or ".join(parts),
        "map": lambda: f"object of {_grouped(get_args(hint)[1])}",
        "record": lambda: f"[{', '.join(parts)}]",
        "array": lambda: f"array of {_grouped(get_args(hint)[0])}",
    }
    return texts[kind_of(hint)]()


def _grouped(hint: Any) -> str:
    """Return the type of the values of an array or an object in words, a union in parentheses."""
    return f"({type_text(hint)})" if kind_of(hint) == "union" else type_text(hint)


def nested_objects(hint: Any) -> list[type]:
    """Return the object types inside a type, each once, the outer ones first."""
    queue, seen = [hint], []
    while queue:
        item = queue.pop(0)
        if is_object(item):
            if item in seen:
                continue
            seen.append(item)
            queue += [key.hint for key in members(item)]
        else:
            queue += [argument for argument in get_args(item) if argument is not Ellipsis]
    return seen
