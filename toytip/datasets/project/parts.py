"""The declared parts of a module: check them, and add them to a data set."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import (
    Feature,
    Label,
    Reference,
    Rule,
    Segment,
)
from toytip.core.dataset.own import OwnDataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.glossary import COLUMN_DOCS, ColumnDoc
from toytip.core.redact import suggest_name
from toytip.core.tables import FEATURES, PARTITION_KEYS, PREDICTIONS, TRIPS
from toytip.datasets.project.code import ModuleCode
from toytip.datasets.project.user_code import Part

# Dtypes whose values XGBoost, which uses float32, does not round.
FEATURE_DTYPES = ("int8", "uint8", "uint16", "int32", "float32")
Declared = Feature | Rule | Label | Segment | Reference


@dataclass(frozen=True)
class Parts:
    """The declared parts of a module, in order of definition."""

    features: tuple[Feature, ...] = ()
    rules: tuple[Rule, ...] = ()
    label: Label | None = None
    segment: Segment | None = None
    references: tuple[Reference, ...] = ()
    own: OwnDataset | None = None
    """The data set, if the module declares one of its own."""

    @property
    def all(self) -> tuple[Declared, ...]:
        """All parts."""
        others = (part for part in (self.label, self.segment) if part is not None)
        return (*self.features, *self.rules, *others, *self.references)

    def guarded(self) -> Parts:
        """Return the parts with functions that describe their errors."""
        label, segment = self.label, self.segment
        return replace(
            self,
            features=tuple(replace(item, compute=_guarded(item)) for item in self.features),
            rules=tuple(replace(item, rejects=_guarded(item)) for item in self.rules),
            label=replace(label, compute=_guarded(label)) if label else None,
            segment=replace(segment, contains=_guarded(segment)) if segment else None,
        )


def function_of(declared: Declared) -> Callable[..., Any]:
    """Return the function of a declared part."""
    if isinstance(declared, Reference):
        return declared.load
    if isinstance(declared, Rule):
        return declared.rejects
    return declared.contains if isinstance(declared, Segment) else declared.compute


def is_of_file(declared: Declared, file: str) -> bool:
    """Return whether the function of a declared part is in a file."""
    code = getattr(inspect.unwrap(function_of(declared)), "__code__", None)
    return code is not None and code.co_filename == file


def part_of(declared: Declared) -> Part:
    """Return the kind, the name and the place of a declared part, for messages."""
    return Part.of(kind_of(declared), function_of(declared))


def kind_of(declared: Declared | OwnDataset) -> str:
    """Return the kind of a declared part, for messages."""
    return "data set" if isinstance(declared, OwnDataset) else type(declared).__name__.lower()


def _guarded(declared: Declared) -> Callable[..., Any]:
    dtype = declared.column.dtype if isinstance(declared, Feature) else None
    return part_of(declared).guard(function_of(declared), dtype)


def check_parts(parts: Parts, base: Dataset, code: ModuleCode) -> None:
    """Raise ConfigError if a part cannot be added to a data set."""
    for declared in parts.all:
        part = part_of(declared)
        _check_names(part, declared)
        if part.name in code.repeated:
            cause = "the module defines this name twice"
            raise part.error(cause, "Rename one of the functions.", code.repeated[part.name])
    _forbid_equal_names(parts)
    for rule in parts.rules:
        if rule.name in base.reject_reasons:
            raise part_of(rule).error("toytip has a rule of this name", "Rename the function.")
    for reference in parts.references:
        _require_free_name(part_of(reference), base.table(TRIPS).names)
        _require_columns(part_of(reference), reference.key, _value_columns(base))
    if parts.label:
        _check_label(parts.label, base)
    extended = extend_dataset(base, replace(parts, features=()))
    for feature in parts.features:
        _check_feature(feature, parts, base, extended)
    if parts.segment:
        if parts.segment.name == ALL_ROWS:
            raise part_of(parts.segment).error("toytip has a segment of this name", "Rename the function.")
        part, needs = part_of(parts.segment), parts.segment.needs
        usable = {item.name for item in base.features} & set(base.table(TRIPS).names)
        _forbid_leaks(part, needs, extended)
        _forbid_features(part, needs, parts, base)
        _require_columns(part, needs, sorted(usable))


def _value_columns(base: Dataset) -> list[str]:
    """Return the columns of `trips` that can be a key: neither times nor IDs."""
    columns = base.table(TRIPS).columns
    return [item.name for item in columns if item.name in base.fields_by_name and "time" not in item.dtype]


def _forbid_equal_names(parts: Parts) -> None:
    """Raise ConfigError if two parts have the same name, for example two results of a function."""
    kinds: dict[str, str] = {}
    for declared in parts.all:
        part = part_of(declared)
        if part.name in kinds:
            cause = f"the module declares a {kinds[part.name]} of the same name"
            raise part.error(cause, "Set another __name__ before you declare the function.")
        kinds[part.name] = part.kind


def _check_names(part: Part, declared: Declared) -> None:
    """Raise ConfigError if the arguments with names of columns cannot be used."""
    for argument in ("needs", "key", "leaks"):
        names = getattr(declared, argument, ())
        if not all(isinstance(name, str) for name in names):
            raise part.error(f"{argument} is {list(names)!r}", "Set it to a list of names of columns.")
    if not isinstance(declared, Rule | Reference) and not declared.needs:
        raise part.error("needs is empty", "List the columns that the function uses.")


def _check_label(label: Label, base: Dataset) -> None:
    part, columns = part_of(label), base.table(TRIPS).names
    _forbid_features(part, label.needs, Parts(), base)
    _forbid_unread(part, [*label.needs, *label.leaks], base)
    _require_columns(part, label.needs, columns)
    _require_columns(part, label.leaks, columns)
    taken = {*base.table(FEATURES).names, *base.table(PREDICTIONS).names, *columns} - {base.label.name}
    _require_free_name(part, taken)
    if not set(label.leaks or base.leaking_columns) & set(label.needs):
        names = " or ".join(base.leaking_columns) or "a column"
        raise part.error(
            f"it needs only columns that features can use, and not {names}",
            f'Set leaks, for example leaks=["{label.needs[-1]}"]: the columns that no feature may use.',
        )


def _forbid_unread(part: Part, names: Iterable[str], base: Dataset) -> None:
    """Raise ConfigError if a column is known only with the label, and toytip does not read it."""
    read = [name for name in base.leaking_columns if name in base.fields_by_name]
    for name in names:
        if name in base.leaking_columns and name not in read:
            raise part.error(
                f"toytip does not read {name}, which is known only after {base.label.settled}",
                f"Compute the label from {' and '.join(read)}, and from columns that are known earlier.",
            )


def _check_feature(feature: Feature, parts: Parts, base: Dataset, extended: Dataset) -> None:
    part, columns = part_of(feature), base.table(TRIPS).names
    taken = {*base.table(FEATURES).names, *base.table(PREDICTIONS).names, *columns, *base.target_rates}
    _require_free_name(part, {*taken, extended.label.name, *extended.segments, *COLUMN_DOCS})
    if feature.available_at not in base.moment_names:
        choice = " or ".join(base.moment_names)
        raise part.error(f"available is {feature.available_at!r}", f"Set it to {choice}.")
    if feature.column.dtype not in FEATURE_DTYPES:
        raise part.error(f"dtype is {feature.column.dtype!r}", f"Choose {' or '.join(FEATURE_DTYPES)}.")
    _forbid_leaks(part, feature.needs, extended)
    _forbid_features(part, feature.needs, parts, base)
    _require_columns(part, feature.needs, [*columns, *(table.name for table in parts.references)])
    needs = needed_columns(feature, parts.references, base)
    first = base.moment_names[0]
    hint = f'A reference table is joined by this column. Remove the table from needs, or set available="{first}".'
    _forbid_leaks(part, needs, extended, hint)
    times, rank = column_availability(base), base.moment_names.index
    latest = max(needs, key=lambda name: rank(times[name]))
    later = times[latest]
    if rank(later) > rank(feature.available_at):
        raise part.error(
            f"it is declared as available at {feature.available_at}, but {latest} is known at {later}",
            f'Set available="{later}".',
        )


def needed_columns(feature: Feature, references: Iterable[Reference], base: Dataset) -> tuple[str, ...]:
    """Return the columns that a feature needs, which include those that join reference tables."""
    needed = [name for name in feature.needs if name not in {item.name for item in references}]
    for reference in references:
        if reference.name in feature.needs:
            needed += [*reference.key, base.time_column, moment_of(feature, base)]
    return tuple(dict.fromkeys(needed))


def moment_of(feature: Feature, base: Dataset) -> str:
    """Return the column with the time at which a feature becomes available.

    Rows of reference tables that became known later do not count.
    """
    return next(item.column for item in base.moments if item.name == feature.available_at)


def column_availability(dataset: Dataset) -> dict[str, str]:
    """Return the moment at which each column of `trips` is known.

    A column that is known only with the label has the last moment here, for labels without it.
    """
    documented = {name: doc.available_at for name, doc in dataset.column_docs.items()}
    last = dataset.moment_names[-1]
    times = {name: documented.get(name, last) for name in dataset.table(TRIPS).names}
    moments = {name: time if time in dataset.moment_names else last for name, time in times.items()}
    return {**moments, "trip_id": dataset.moment_names[0]}


def _forbid_leaks(part: Part, needs: Iterable[str], dataset: Dataset, hint: str = "") -> None:
    for name in needs:
        if name in dataset.leaking_columns:
            raise part.error(
                f"{name} leaks the label, because it is known only after {dataset.label.settled}",
                hint or f"Remove {name} from needs.",
            )


def _forbid_features(part: Part, needs: Iterable[str], parts: Parts, base: Dataset) -> None:
    columns = base.table(TRIPS).names
    features = {item.name: item for item in (*base.features, *parts.features) if item.name not in columns}
    for name in needs:
        if name in features or name in base.target_rates:
            hint = "Use a column of the trips instead."
            if name in features and name != part.name:
                hint = f"List the columns from which {name} is computed: {', '.join(features[name].needs)}."
            raise part.error(
                f"{name} is a feature, and a {part.kind} can read only columns of the trips", hint
            )


def _require_columns(part: Part, needs: Iterable[str], columns: Iterable[str]) -> None:
    columns = list(columns)
    for name in needs:
        if name not in columns:
            table = name.partition(".")[0]
            otherwise = f"Add {table} to needs." if table in columns else f"Choose from {', '.join(columns)}."
            raise part.error(f"there is no column {name}", suggest_name(name, columns, otherwise))


def _require_free_name(part: Part, taken: Iterable[str]) -> None:
    # Other engines and databases do not distinguish upper and lower case.
    if part.name.lower() in {name.lower() for name in (*taken, *PARTITION_KEYS)}:
        raise part.error("toytip has a column of this name", "Rename the function.")


def extend_dataset(base: Dataset, parts: Parts) -> Dataset:
    """Return a data set with the parts of a module, which replace the label and the segment."""
    label = parts.label and replace(parts.label, settled=parts.label.settled or base.label.settled)
    docs = {part.name: _doc_of(part) for part in parts.all if not isinstance(part, Rule | Reference)}
    inputs = {rule.name: rule.needs for rule in parts.rules}
    monitoring = replace(base.monitoring, other_inputs={**base.monitoring.other_inputs, **inputs})
    leaks = () if label is None or parts.own else label.leaks
    return replace(
        base,
        features=(*base.features, *parts.features),
        rules=(*base.rules, *parts.rules),
        label=label or base.label,
        leaking_columns=leaks or base.leaking_columns,
        segment=parts.segment or base.segment,
        column_docs={**base.column_docs, **docs},
        monitoring=monitoring,
    )


def _doc_of(declared: Feature | Label | Segment) -> ColumnDoc:
    text = (inspect.getdoc(function_of(declared)) or "").partition("\n")[0]
    text = text.removeprefix("Return ").strip() or f"The values of the function {declared.name}"
    text = f"{text[0].upper()}{text[1:].removesuffix('.')}."
    return ColumnDoc(text, "", declared.available_at if isinstance(declared, Feature) else "")
