"""Check the data set that a project declares itself."""

from __future__ import annotations

import re
import reprlib
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import get_type_hints

import numpy as np
from pydantic import TypeAdapter, ValidationError

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import Field, Label
from toytip.core.dataset.field_names import FieldNames
from toytip.core.dataset.own import SETTLED, OwnDataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.glossary import COLUMN_DOCS
from toytip.core.number_values import MAX_CODE
from toytip.core.redact import suggest_name
from toytip.core.tables import PARTITION_KEYS
from toytip.datasets.project.own import duration_of
from toytip.datasets.project.user_code import Part
from toytip.datasets.words import KINDS

FIELD_KINDS = ("time", "code", "amount")
MAX_GROUPS = 2**24
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")


def check_own(declared: OwnDataset, label: Label | None, part: Part) -> None:
    """Raise ConfigError if a declaration cannot be used, whatever the features are."""
    _check_types(declared, "", part)
    for item in declared.fields:
        _check_types(item, f"of the field {item.name} ", part)
    if not _NAME.fullmatch(declared.name) or declared.name in (*KINDS, ALL_ROWS):
        raise part.error(
            f"its name is {declared.name!r}",
            "Use another name, of lower-case letters, digits and underscores.",
        )
    for item in declared.fields:
        _check_field(item, declared, part)
    names = [item.name for item in declared.fields]
    repeated = FieldNames(declared.fields).find_repeated([*names, *_aliases(declared.fields)])
    for name in (*(name for name in names if names.count(name) > 1), *_shared(repeated, declared)):
        raise part.error(f"two fields have the name {name}", "Rename one of them.")
    _check_moments(declared, part)
    if label is None:
        raise part.error("the module declares no label", "Decorate a function with @label from toytip.")
    if label.name in names:
        raise part.error(f"the label has the name of the field {label.name}", "Rename the function.")
    if declared.time_zone not in zoneinfo.available_timezones():
        raise part.error(
            f"there is no time zone {declared.time_zone!r}", "Use a name such as Europe/Berlin or UTC."
        )


def _check_types(declared: Field | OwnDataset, owner: str, part: Part) -> None:
    """Raise ConfigError if an argument of a declaration has another type than documented."""
    for argument, annotation in get_type_hints(type(declared)).items():
        value = getattr(declared, argument)
        try:
            TypeAdapter(annotation).validate_python(value, strict=True)
        except ValidationError:
            cause = f"the argument {argument} {owner}is {reprlib.repr(value)}"
            hint = f"Use a value of the type {type(declared).__annotations__[argument]}."
            raise part.error(cause, hint) from None


def _aliases(fields: Iterable[Field]) -> list[str]:
    return [alias for item in fields for alias in item.aliases]


def _shared(repeated: Mapping[str, tuple[str, ...]], declared: OwnDataset) -> list[str]:
    """Return the names that match another field than the one that declares them."""
    field_of = FieldNames(declared.fields).field_of
    return [
        name
        for item in declared.fields
        for name in (item.name, *item.aliases)
        if repeated and field_of(name) != item.name
    ]


def _check_field(item: Field, declared: OwnDataset, part: Part) -> None:
    moments = tuple(declared.moments)
    if not item.name.isidentifier() or item.name.startswith("_"):
        raise part.error(
            f"the name of a field is {item.name!r}",
            "Use a name that Python allows, without an underscore at the beginning.",
        )
    if item.name in COLUMN_DOCS or item.name in PARTITION_KEYS:
        raise part.error(
            f"toytip has a column {item.name} of its own",
            f'Rename the field, and add the name in the files, as in Field("own_{item.name}", '
            f'"{item.kind}", ("{item.name}",)).',
        )
    if item.kind not in FIELD_KINDS:
        raise part.error(f"the kind of the field {item.name} is {item.kind!r}", _choice(FIELD_KINDS))
    if item.available not in ("", *moments, SETTLED):
        cause = f"the field {item.name} is available at {item.available!r}"
        raise part.error(cause, _choice((*moments, SETTLED)))
    _check_texts(item, part)
    try:
        if item.kind == "time":
            duration_of(item)
        elif item.example is not None:
            int(float(item.example))  # not NaN or infinite
    except (TypeError, ValueError, OverflowError):
        expected = 'a duration such as "1h"' if item.kind == "time" else "a number"
        raise part.error(
            f"the example of the field {item.name} is {item.example!r}", f"Use {expected}."
        ) from None


def _check_texts(item: Field, part: Part) -> None:
    if item.texts and item.kind != "code":
        raise part.error(f"the field {item.name} has texts, and is not a code", 'Set its kind to "code".')
    if large := [code for _, code in item.texts if abs(code) > MAX_CODE]:
        raise part.error(
            f"the field {item.name} has the code {large[0]:,}", f"Use whole numbers up to {MAX_CODE:,}."
        )
    if any(text != text.upper() for text, _ in item.texts):
        raise part.error(f"a text of the field {item.name} is not in upper case", "Use upper case.")
    texts = [text for text, _ in item.texts]
    if repeated := sorted({text for text in texts if texts.count(text) > 1}):
        raise part.error(f"the field {item.name} has the text {repeated[0]!r} twice", "Remove one of them.")


def _check_moments(declared: OwnDataset, part: Part) -> None:
    fields = {item.name: item for item in declared.fields}
    if not declared.moments:
        raise part.error("it has no moments", "Name a moment, with the field that has its time.")
    for name, column in declared.moments.items():
        if not name.isidentifier() or name == SETTLED:
            raise part.error(f"the name of a moment is {name!r}", "Use another name, which Python allows.")
        if column not in fields or fields[column].kind != "time":
            times = [item.name for item in declared.fields if item.kind == "time"]
            raise part.error(f"the moment {name} has no field {column} with times", _choice(times))
    time = fields[next(iter(declared.moments.values()))]
    if not time.required:
        raise part.error(f"the field {time.name} has the times of rows, and is not required", "Require it.")


def check_features(declared: OwnDataset, dataset: Dataset, part: Part) -> None:
    """Raise ConfigError if a declaration names features that the module does not have."""
    features = {item.name: np.dtype(item.column.dtype) for item in dataset.features}
    whole = tuple(name for name, dtype in features.items() if dtype.kind in "iu")
    _require("groups", declared.groups, whole, part)
    for name, size in declared.groups.items():
        if size < 1:
            raise part.error(f"the group {name} has {size!r} values", "Set a positive whole number.")
    _require("baseline", declared.baseline, declared.groups, part)
    for name, needs in declared.rates.items():
        taken = (*features, *dataset.fields_by_name, dataset.label.name, *COLUMN_DOCS, *PARTITION_KEYS)
        if not name.isidentifier() or name.startswith("_") or name in taken:
            raise part.error(f"the name of a rate is {name!r}", "Use another name.")
        _require(f"rate {name}", needs or ("",), declared.groups, part)
    _require_few_groups("baseline", declared.baseline, declared, part)
    keys = dict.fromkeys(name for needs in declared.rates.values() for name in needs)
    _require_few_groups("rates", keys, declared, part)
    _require("slices", declared.slices, features, part)
    _require("score_columns", declared.score_columns, features, part)
    times = tuple(name for name in (declared.hour, declared.weekday) if name is not None)
    _require("hour or weekday", times, whole, part)


def _require(argument: str, names: Iterable[str], possible: Iterable[str], part: Part) -> None:
    choices = tuple(possible)
    for name in names:
        if name not in choices:
            raise part.error(
                f"{argument} cannot contain {name!r}", suggest_name(name, choices, _choice(choices))
            )


def _require_few_groups(argument: str, names: Iterable[str], declared: OwnDataset, part: Part) -> None:
    count = int(np.prod([declared.groups[name] for name in names], dtype=np.float64))
    if count > MAX_GROUPS:
        raise part.error(f"{argument} has {count:,} groups", f"Use at most {MAX_GROUPS:,} groups.")


def _choice(names: Iterable[str]) -> str:
    names = tuple(names)
    return f"Choose from {', '.join(names)}." if names else "The module has none that is possible."
