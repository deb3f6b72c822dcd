"""The type `Dataset`: everything that toytip knows about the rows of a kind of source files.

The pipeline knows a data set only through a value of this type, which the stages get as an
argument.
"""

from __future__ import annotations

import datetime as dt
import functools
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from toytip.core.arrays import BoolArray
from toytip.core.columns import Columns, row_count
from toytip.core.dataset import trip_ids
from toytip.core.dataset.declarations import (
    Feature,
    Field,
    Key,
    Label,
    Moment,
    Rule,
    Segment,
    TargetEncoding,
    TargetRate,
)
from toytip.core.dataset.field_names import FieldNames
from toytip.core.dataset.layout import Layout
from toytip.core.dataset.module_source import ModuleSource
from toytip.core.dataset.monitoring import MonitoringFacts
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.dataset.slices import Slice
from toytip.core.dataset.synthetic import SyntheticFiles
from toytip.core.dataset.table_columns import table_columns
from toytip.core.dataset.words import ReportWords, default_label_words
from toytip.core.glossary import ColumnDoc
from toytip.core.schema import Table
from toytip.core.tables import FEATURES, RAW_TRIPS, TABLES, TRIPS
from toytip.errors import ConfigError

# The key of `part_code` for the declaration of a data set of a project.
WHOLE_DATASET = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set. A pickle has only its name or its module, so that it costs a task no time."""

    name: str
    """Name of the data set."""
    kinds: Mapping[str, int]
    """Kinds of source files, such as taxi types, with the number of each kind in trip IDs."""
    fields: tuple[Field, ...]
    """Columns of the source files that toytip uses."""
    moments: tuple[Moment, ...]
    """Moments at which values become known, in order. The first one is the time of a row."""
    required_columns: tuple[str, ...]
    """Fields that must have a value in every row."""
    rules: tuple[Rule, ...]
    """Cleaning rules, in the order in which they determine the reject reason."""
    features: tuple[Feature, ...]
    """Features, in the order of the columns of the table `features`."""
    feature_sets: Mapping[str, tuple[str, ...]]
    """Feature sets in addition to those by availability, by name."""
    leaking_columns: tuple[str, ...]
    """Columns of the source files that determine the label. No feature can use them."""
    label: Label
    """The value that a model predicts."""
    segment: Segment | None
    """The rows with separate metrics, if any."""
    score_columns: tuple[str, ...]
    """Features that are also columns of `scores` and `predictions`."""
    target_encoding: TargetEncoding | None
    """Target-encoded features, if any."""
    baseline: tuple[Key, ...]
    """Keys of the baseline that predicts the mean of the label in each group."""
    hash_columns: tuple[str, ...]
    """Features of 32 bits that together identify a trip, to find repeated trips."""
    zone_columns: tuple[str, ...]
    """Features that are zones, for maps and names. The first is the zone in which a trip starts."""
    listed_slices: tuple[str, ...]
    """Attributes of which the report lists all slices."""
    slices: tuple[Slice, ...]
    """Attributes by which the evaluation groups the rows, in addition to the day."""
    monitoring: MonitoringFacts
    """Groups of features that monitoring and the data check treat differently."""
    modules: Mapping[str, tuple[str, ...]]
    """Modules of toytip that declare the data set, by the stage whose output they determine."""
    column_docs: Mapping[str, ColumnDoc]
    """Meaning of the fields, the features and the label, by name."""
    value_words: Mapping[str, Mapping[str, str]]
    """Words for the values of columns, by column."""
    golden_rows: Callable[[dt.datetime], Sequence[Mapping[str, Any]]]
    """Returns rows for golden sets of models, by field, given the time of the first row."""
    placeholders: Callable[[Columns], Mapping[str, Any]]
    """Returns, given the times of rows, values for required fields that a model does not need."""
    synthetic: SyntheticFiles | None
    """Synthetic source files, if toytip can generate them."""
    layout: Layout
    """Names of columns in the source files, and how to recognize the kind of a file."""
    report_names: tuple[str, str] = ("group mean", "{}")
    """Words of reports for the baseline, and for a page about a kind of files, as in `words`."""
    module: ModuleSource | None = None
    """The module of a project that extends the data set, if any."""
    trial: tuple[tuple[str, str], ...] = ()
    """Name of each part of the module, and digest of its values in the trial of this process."""
    part_code: Mapping[str, str] = field(default_factory=dict)
    """Digests of the code of the parts that the module declares, by name of the part."""

    def __post_init__(self) -> None:
        """Raise ConfigError if a feature leaks the label or needs a column that does not exist."""
        if not self.label.leaks:  # with leaks, features that are now unusable stay columns
            for declared in self.features:
                self.check_feature(declared)

    def __reduce__(self) -> tuple[Callable[..., Dataset], tuple[Any, ...]]:
        """Return how another process gets the data set."""
        return _unpickle_dataset, (self.module or self.name, *self.trial)

    def __dask_tokenize__(self) -> tuple[str, str]:
        """Return the same value in all processes, for the keys of Dask tasks."""
        return "Dataset", self.module.digest if self.module else self.name

    @property
    def base(self) -> Dataset:
        """The built-in data set that the module of a project extends, or else this data set."""
        return load_dataset(self.module.base) if self.module and self.module.base else self

    @property
    def is_own(self) -> bool:
        """Whether the module of a project declares the complete data set."""
        return self.module is not None and not self.module.base

    def to_json(self) -> str | dict[str, Any]:
        """Return the JSON value from which `load_dataset` returns the data set."""
        return self.module.to_json() if self.module else self.name

    def code_of(self, stage: str) -> str:
        """Return the code of the module that determines the output of a stage. "" without a module.

        An edit of a rule changes the output from `clean`, and an edit of another part changes it
        from `featurize`. A model carries the module, so that every edit changes it.
        """
        rules, references = self.reject_reasons, (self.module.references if self.module else ())
        others = (*(rows.name for rows in references), *(declared.name for declared in self.features))
        others = (*others, self.label.name, *self.segments)
        names = (WHOLE_DATASET, *{"clean": rules, "featurize": others}.get(stage, (*rules, *others)))
        return " ".join(f"{name}:{self.part_code[name]}" for name in names if name in self.part_code)

    def check_feature(self, declared: Feature) -> None:
        """Raise ConfigError if a feature leaks the label or needs a column that does not exist."""
        names = self.table(TRIPS).names
        for name in declared.needs:
            if name in self.leaking_columns:
                raise ConfigError(
                    f"cannot declare feature {declared.name}: {name} leaks the label, "
                    f"because it is known only after {self.label.settled}"
                )
            if name not in names:
                raise ConfigError(
                    f"cannot declare feature {declared.name}: trips have no column {name}",
                    hint=f"Choose from {', '.join(names)}.",
                )

    @functools.cached_property
    def fields_by_name(self) -> dict[str, Field]:
        """The fields, by name."""
        return {field.name: field for field in self.fields}

    @property
    def time_column(self) -> str:
        """The column with the time of a row, which decides on its month."""
        return self.moments[0].column

    @functools.cached_property
    def moment_names(self) -> tuple[str, ...]:
        """The names of the moments at which values become known, in order."""
        return tuple(moment.name for moment in self.moments)

    @functools.cached_property
    def field_names(self) -> FieldNames:
        """The names that columns of source files have for the fields."""
        return FieldNames(self.fields)

    @functools.cached_property
    def reject_reasons(self) -> tuple[str, ...]:
        """The names of the cleaning rules."""
        return tuple(rule.name for rule in self.rules)

    def rule(self, name: str) -> Rule:
        """Return the cleaning rule with a name."""
        return next(rule for rule in self.rules if rule.name == name)

    @functools.cached_property
    def segments(self) -> tuple[str, ...]:
        """The names of all segments. The first segment has all rows."""
        return (ALL_ROWS,) if self.segment is None else (ALL_ROWS, self.segment.name)

    def in_segment(self, rows: Columns, name: str) -> BoolArray:
        """Return whether each row is in the segment with a name."""
        return np.ones(row_count(rows), bool) if name == ALL_ROWS else self.segment_mask(rows)

    def segment_mask(self, rows: Columns) -> BoolArray:
        """Return whether each row is in the segment of the data set. False without a segment."""
        if self.segment is None:
            return np.zeros(row_count(rows), bool)
        return np.asarray(self.segment.contains(rows), bool)

    def segment_columns(self, name: str) -> tuple[str, ...]:
        """Return the columns that determine whether a row is in the segment with a name."""
        return () if name == ALL_ROWS or self.segment is None else self.segment.needs

    def feature_set_name(self, name: str | None) -> str:
        """Return the name of a feature set. None is the set of all features."""
        return self.moment_names[-1] if name is None else name

    def feature_set(self, name: str | None) -> tuple[str, ...]:
        """Return the names of the features of a set. None is the set of all features.

        A set that is named after a moment has all features that are known at this moment. No
        feature leaks the label. Raises ConfigError for an unknown set.
        """
        name = self.feature_set_name(name)
        if name in self.feature_sets:
            usable = {item.name for item in self._without_leaks(self.features)}
            return tuple(item for item in self.feature_sets[name] if item in usable)
        if name not in self.moment_names:
            raise ConfigError(
                f"cannot use feature set {name!r}: there is no such set",
                hint=f"Choose {', '.join((*self.feature_sets, *self.moment_names))}.",
            )
        return self._names_available_at(name, self._without_leaks(self.features))

    def target_rate_set(self, name: str | None) -> tuple[str, ...]:
        """Return the names of the target-encoded features of a feature set by availability."""
        name = self.feature_set_name(name)
        rates = self._without_leaks(self.target_rates.values())
        return self._names_available_at(name, rates) if name in self.moment_names else ()

    def _names_available_at(self, moment: str, items: Iterable[Feature | TargetRate]) -> tuple[str, ...]:
        moments = self.moment_names[: self.moment_names.index(moment) + 1]
        return tuple(item.name for item in items if item.available_at in moments)

    def _without_leaks(self, items: Iterable[Feature | TargetRate]) -> Iterator[Feature | TargetRate]:
        leaking = set(self.leaking_columns)
        return (item for item in items if not leaking & set(self.feature_inputs[item.name]))

    @property
    def words(self) -> ReportWords:
        """The words of the data set for reports."""
        words = self.label.words or default_label_words(self.label.name)
        segment = "" if self.segment is None else self.segment.words.title
        return ReportWords(words.one, words.many, segment, *self.report_names)

    def slice_label(self, name: str, value: str) -> str:
        """Return words that identify an evaluation slice without the name of its attribute."""
        return next((item.label(value) for item in self.slices if item.name == name), value)

    def first_trip_id(self, kind: str, year: int, month: int) -> int:
        """Return the ID of row 0 of the file of a month."""
        return trip_ids.first_trip_id(self.kinds[kind], year, month)

    def table(self, table: Table) -> Table:
        """Return a table with all columns that it has for this data set."""
        return self.tables[table.name]

    def feature_table(self, *names: str) -> Table:
        """Return `features` with only the columns that these features and every model need."""
        needed = {"trip_id", self.time_column, *self.score_columns, self.label.name}
        needed |= {name for item in self.slices for name in item.needs}
        needed |= {key.column for key in (*self.encoding_keys, *self.baseline)}
        needed |= set() if self.segment is None else set(self.segment.needs)
        return self.table(FEATURES).select_existing(needed | set(names))

    @property
    def encoding_keys(self) -> tuple[Key, ...]:
        """The keys of the target encoding."""
        return () if self.target_encoding is None else self.target_encoding.keys

    @functools.cached_property
    def target_rates(self) -> dict[str, TargetRate]:
        """The target-encoded features, by name."""
        rates = () if self.target_encoding is None else self.target_encoding.rates
        return {rate.name: rate for rate in rates}

    @property
    def _known_features(self) -> tuple[Feature | TargetRate, ...]:
        return (*self.features, *self.target_rates.values())

    @functools.cached_property
    def feature_inputs(self) -> dict[str, tuple[str, ...]]:
        """The columns that each feature needs, by feature. Includes target-encoded features."""
        inputs = {item.name: item.needs for item in self.features}
        for rate in self.target_rates.values():
            inputs[rate.name] = tuple(dict.fromkeys(name for key in rate.needs for name in inputs[key]))
        return inputs

    @functools.cached_property
    def feature_availability(self) -> dict[str, str]:
        """The availability of each feature, by feature. Includes target-encoded features."""
        return {item.name: item.available_at for item in self._known_features}

    @functools.cached_property
    def tables(self) -> dict[str, Table]:
        """All tables and artifacts, with the columns of this data set, by name."""
        columns = table_columns(self)
        return {
            table.name: replace(table, columns=columns[table.name]) if table.name in columns else table
            for table in (*TABLES, RAW_TRIPS)
        }


def load_dataset(record: str | ModuleSource) -> Dataset:
    """Return the data set that a file names, or whose module it contains.

    Raises ConfigError for an unknown name, or if the module cannot be used. Raises CodeError if the
    user has neither run nor allowed the code of the module.
    """
    return _call_package("load_stored_project", record)


def _unpickle_dataset(record: str | ModuleSource, *trial: tuple[str, str]) -> Dataset:
    """Return the data set in a pickle. A pickle can execute any code, so that there is no check.

    Raises ConfigError if a part of a module has other values than in the process of the pickle.
    """
    dataset = _call_package("load_project", record)
    if trial != dataset.trial:
        importlib.import_module("toytip.datasets.project.trial").require_same_trial(dataset, trial)
    return dataset


def _call_package(load: str, record: str | ModuleSource) -> Dataset:
    name, function = ("registry", "get_dataset") if isinstance(record, str) else ("project.loader", load)
    package = importlib.import_module(f"toytip.datasets.{name}")  # imports this module
    dataset: Dataset = getattr(package, function)(record)
    return dataset
