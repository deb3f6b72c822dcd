"""Explain why files cannot be reused: the differences from the closest earlier version."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from toytip.core.months import Month
from toytip.core.partitions import DataFile, input_files
from toytip.core.splits import Split

# The input files of a month: checksum, and the part of the file or the split of its rows.
MonthInputs = frozenset[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines the files of a version."""

    code: str
    """Hash of the source code."""
    packages: Mapping[str, str]
    """Versions of the packages that can change the files."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings by name."""
    inputs: Mapping[Month, MonthInputs]
    """Input files by month."""
    input_name: str = "features"
    """Name of the input files."""
    detail_name: str = "split"
    """Name of the setting that determines the second value of each input."""
    detail: Any = None
    """Value of this setting. None if the value is too long for an explanation."""


def inputs_by_month(files: Iterable[DataFile]) -> dict[Month, MonthInputs]:
    """Return the inputs of data files: the checksum and the rows of each input file."""
    return _group_inputs(files, lambda file: input_files(file.input_fingerprint))


def inputs_with_split(files: Iterable[DataFile], split: Split) -> dict[Month, MonthInputs]:
    """Return the inputs of scored files: the checksum of each input file, and its split."""
    return _group_inputs(files, lambda file: [(file.input_fingerprint, str(split.within(file.key.month)))])


def contents_by_month(files: Iterable[DataFile]) -> dict[Month, MonthInputs]:
    """Return data files as the inputs of an artifact: the checksum of each file."""
    return _group_inputs(files, lambda file: [(file.checksum, "")])


def _group_inputs(
    files: Iterable[DataFile], inputs_of: Callable[[DataFile], list[tuple[str, str]]]
) -> dict[Month, MonthInputs]:
    inputs: dict[Month, MonthInputs] = {}
    for file in files:
        month = file.key.month
        inputs[month] = inputs.get(month, frozenset()).union(inputs_of(file))
    return inputs


def explain_changes(
    planned: Recipe, earlier: Mapping[str, Recipe], months: Collection[Month] | None = None
) -> str:
    """Return how a planned recipe differs from the closest earlier recipe.

    `earlier` has one recipe or more by version, oldest first. `months` are the months of the files
    that cannot be reused, by default all months. The closest recipe has the fewest differences in
    these months, then the fewest different months.
    """
    inputs = {month: files for month, files in planned.inputs.items() if months is None or month in months}
    missing = replace(planned, inputs=inputs)
    changes = {version: find_changes(missing, recipe) for version, recipe in earlier.items()}

    def distance(version: str) -> tuple[int, int]:
        stored = earlier[version].inputs
        different = sum(stored.get(month) != files for month, files in planned.inputs.items())
        return len(changes[version]), different

    version = min(reversed(changes), key=distance)
    if not changes[version]:
        return f"files of {version} are missing or damaged: {format_months(inputs)}"
    return f"differs from {version} in {join_words(changes[version])}"


def find_changes(planned: Recipe, earlier: Recipe) -> list[str]:
    """Return the differences between two recipes, as text.

    >>> a = Recipe(code="1", packages={"xgboost": "3.2"}, settings={"max_depth": 6}, inputs={})
    >>> b = Recipe(code="2", packages={"xgboost": "3.1"}, settings={"max_depth": 4}, inputs={})
    >>> find_changes(a, b)
    ['code', 'xgboost (3.1, now 3.2)', 'max_depth (4, now 6)']
    """
    changes = ["code"] if planned.code != earlier.code else []
    for values, old_values in ((planned.packages, earlier.packages), (planned.settings, earlier.settings)):
        changes += [
            f"{name} ({_text(old_values.get(name))}, now {_text(value)})"
            for name, value in values.items()
            if _text(old_values.get(name)) != _text(value)
        ]
    return [*changes, *_input_changes(planned, earlier)]


def _text(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def _input_changes(planned: Recipe, earlier: Recipe) -> Iterator[str]:
    """Yield the months of new and changed inputs, and the setting that changed only the details."""
    new = [month for month in planned.inputs if month not in earlier.inputs]
    common = [month for month in planned.inputs if month in earlier.inputs]
    changed = [month for month in common if _checksums(planned, month) != _checksums(earlier, month)]
    groups = {"new": new, "changed": changed}
    if texts := [f"{name}: {format_months(months)}" for name, months in groups.items() if months]:
        yield f"{planned.input_name} ({', '.join(texts)})"
    if any(planned.inputs[month] != earlier.inputs[month] for month in common if month not in changed):
        values = f" ({_text(earlier.detail)}, now {_text(planned.detail)})" if planned.detail else ""
        yield f"{planned.detail_name}{values}"


def _checksums(recipe: Recipe, month: Month) -> set[str]:
    return {checksum for checksum, _ in recipe.inputs[month]}


def format_months(months: Iterable[Month]) -> str:
    """Return months as text. Three or more consecutive months become a range.

    >>> format_months([Month(2023, 1), Month(2023, 2), Month(2023, 3), Month(2023, 6)])
    '2023-01 to 2023-03, 2023-06'
    """
    spans: list[list[Month]] = []
    for month in sorted(months):
        if spans and spans[-1][-1].next == month:
            spans[-1].append(month)
        else:
            spans.append([month])
    return ", ".join(
        f"{span[0]} to {span[-1]}" if len(span) > 2 else ", ".join(map(str, span)) for span in spans
    )


def join_words(words: Sequence[str]) -> str:
    """Return words as an enumeration.

    >>> join_words(["code", "features", "max_depth"])
    'code, features and max_depth'
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
