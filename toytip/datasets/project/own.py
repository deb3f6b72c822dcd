"""Build the data set that a project declares itself, without the functions of the module."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from toytip.core.columns import Columns
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import (
    Feature,
    Field,
    Key,
    Label,
    Moment,
    TargetEncoding,
    TargetRate,
    column_feature,
)
from toytip.core.dataset.field_names import FieldNames
from toytip.core.dataset.layout import Layout
from toytip.core.dataset.monitoring import MonitoringFacts
from toytip.core.dataset.own import SETTLED, OwnDataset
from toytip.core.dataset.slices import column_slice
from toytip.core.glossary import ColumnDoc
from toytip.core.schema import Column, nullable_int
from toytip.core.text import join_words
from toytip.datasets.row_rules import missing_value_rule, out_of_month_rule, unreadable_value

# The number of the kind in row IDs.
KIND_NUMBER = 9
# Rows of the trial and of golden sets. Each has a factor of the amounts.
_FACTORS = (1.0, 1.5, 0.5, 2.0, 0.1, 3.0, 1.2, 0.8)


def own_base(declared: OwnDataset, label: Label) -> Dataset:
    """Return the data set of a declaration, with its fields as features."""
    moments = tuple(Moment(name, column) for name, column in declared.moments.items())
    fields = tuple(replace(item, time_zone=declared.time_zone) for item in declared.fields)
    required = tuple(item.name for item in fields if item.required)
    values = tuple(item for item in fields if item.kind != "time")
    texts = {item.name: {str(code): text for text, code in item.texts} for item in fields if item.texts}
    times = {column: name for name, column in reversed(list(declared.moments.items()))}
    return Dataset(
        name=declared.name,
        kinds={declared.name: KIND_NUMBER},
        fields=fields,
        moments=moments,
        required_columns=required,
        rules=(unreadable_value, missing_value_rule(required), out_of_month_rule(moments[0].column)),
        features=tuple(_features(declared, values)),
        feature_sets={},
        leaking_columns=(*(item.name for item in fields if item.available == SETTLED), *label.leaks),
        label=replace(label, settled=label.settled or f"{label.name} is known"),
        segment=None,
        score_columns=tuple(declared.score_columns),
        target_encoding=None,
        baseline=(),
        hash_columns=(),
        zone_columns=(),
        listed_slices=tuple(declared.slices),
        slices=tuple(column_slice(name, name, texts.get(name, {})) for name in declared.slices),
        monitoring=_monitoring(declared, values, moments[0].column, label),
        modules={},
        column_docs={item.name: _doc_of(item, times, moments[0]) for item in fields},
        value_words=texts,
        golden_rows=_golden_rows(fields, moments[0].column),
        placeholders=_placeholders(fields, required, moments[0].column),
        synthetic=None,
        layout=_layout(declared, fields),
    )


def complete_own(dataset: Dataset, declared: OwnDataset) -> Dataset:
    """Return the data set with the parts that depend on the features of the module."""
    short = [item.name for item in dataset.features if np.dtype(item.column.dtype).itemsize == 4]
    groups = tuple(Key(name, size) for name, size in declared.groups.items())
    keys = tuple(key for key in groups if any(key.column in needs for needs in declared.rates.values()))
    times = {item.name: item.available_at for item in dataset.features}
    rates = tuple(
        TargetRate(name, max((times[key] for key in needs), key=dataset.moment_names.index), tuple(needs))
        for name, needs in declared.rates.items()
    )
    encoding = TargetEncoding(keys=keys, rates=rates) if rates else None
    baseline = tuple(key for name in declared.baseline for key in groups if key.column == name)
    means = f"mean by {join_words(declared.baseline)}" if baseline else "mean of the label"
    return replace(
        dataset,
        baseline=baseline,
        report_names=(means, "{}"),
        hash_columns=tuple(short),
        target_encoding=encoding,
    )


def _features(declared: OwnDataset, values: tuple[Field, ...]) -> Iterator[Feature]:
    """Yield a feature for each column of values that is known before the label."""
    for item in values:
        if item.is_feature and item.available != SETTLED:
            moment = item.available or next(iter(declared.moments))
            yield column_feature(moment, _column_of(item))


def _column_of(item: Field) -> Column:
    """Return the column of a feature. A code without missing values can be a group."""
    if item.kind == "amount":
        return Column(item.name, "float32")
    return Column(item.name, "int32") if item.required else nullable_int(item.name)


def _doc_of(item: Field, times: Mapping[str, str], first: Moment) -> ColumnDoc:
    return ColumnDoc(item.description, "", item.available or times.get(item.name, first.name))


def _monitoring(
    declared: OwnDataset, values: tuple[Field, ...], time_column: str, label: Label
) -> MonitoringFacts:
    codes = tuple(item.name for item in values if item.kind == "code" and item.is_feature)
    times = tuple(name for name in (declared.weekday,) if name is not None)
    return MonitoringFacts(
        hour=declared.hour,
        weekday=declared.weekday,
        unordered=(*codes, *times),
        categories=(*codes, *((declared.hour,) if declared.hour else ())),
        unreliable_categories=(),
        fees=(),
        tariffs=(),
        new_values=(),
        measurements=tuple(item.name for item in values if item.kind == "amount"),
        lengths=(),
        limit_factors={},
        compared_elsewhere=times,
        other_inputs={"label": label.needs, "out_of_month": (time_column,)},
    )


def _layout(declared: OwnDataset, fields: tuple[Field, ...]) -> Layout:
    """Return the layout of the files. A file has the kind if it has all required columns."""
    names, required = FieldNames(fields), {item.name for item in fields if item.required}
    aliases = {item.name: item.aliases[0] for item in fields if item.aliases}

    def detect_kind(columns: Any) -> str | None:
        return declared.name if required <= set(names.match(columns)) else None

    return Layout(
        source_column=lambda name, _: aliases.get(name, name),
        kinds_in_columns=lambda columns: [declared.name] if detect_kind(columns) else [],
        detect_kind=detect_kind,
        unusable_kind=lambda _: None,
        other_layout=lambda _: None,
        schema_versions=(),
        oldest_schema_version="",
    )


def _golden_rows(
    fields: tuple[Field, ...], time_column: str
) -> Callable[[dt.datetime], list[dict[str, Any]]]:
    """Return a function that returns usual rows, with other amounts and with missing values."""

    def rows(start: dt.datetime) -> list[dict[str, Any]]:
        times = [start + dt.timedelta(hours=7 * row + 1) for row in range(len(_FACTORS))]
        return [
            {item.name: _example(item, row, time, time_column) for item in fields}
            for row, time in enumerate(times)
        ]

    return rows


def _example(item: Field, row: int, time: dt.datetime, time_column: str) -> Any:
    """Return the value of a field in an example row. Optional values are missing in every third."""
    if item.kind == "time":
        return (time if item.name == time_column else time + duration_of(item)).isoformat()
    if not item.required and row % 3 == 2:
        return None
    if item.kind == "amount":
        return _number_of(item) * _FACTORS[row]
    if item.texts:
        return item.texts[row % len(item.texts)][0]
    return int(_number_of(item)) + (row if item.example is None else 0)


def duration_of(item: Field) -> dt.timedelta:
    """Return the usual duration from the time of a row to another of its times.

    Raises ValueError if the example of the field is not a duration.
    """
    duration: dt.timedelta = pd.Timedelta(item.example or "1min").to_pytimedelta()
    return duration


def _number_of(item: Field) -> float:
    return 1.0 if item.example is None else float(item.example)


def _placeholders(
    fields: tuple[Field, ...], required: tuple[str, ...], time_column: str
) -> Callable[[Columns], Mapping[str, Any]]:
    """Return a function that returns usual values of the required fields, except the time."""

    def placeholders(trips: Columns) -> Mapping[str, Any]:
        filled: dict[str, Any] = {}
        for item in fields:
            if item.name not in required or item.name == time_column:
                continue
            if item.kind == "time":
                filled[item.name] = trips[time_column] + np.timedelta64(duration_of(item))
            else:
                filled[item.name] = float(item.texts[0][1]) if item.texts else _number_of(item)
        return filled

    return placeholders
