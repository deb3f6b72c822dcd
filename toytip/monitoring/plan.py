"""Choose the analysis months of a monitoring, and the reference months for the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toytip.core.model import TrainedModel
from toytip.core.months import Month, parse_months
from toytip.core.splits import TimeRange, overlaps
from toytip.errors import ConfigError, StoreError


@dataclass(frozen=True, kw_only=True)
class MonitoringPlan:
    """Analysis months, reference months for features, and reference months for performance."""

    analysis_months: tuple[Month, ...]
    feature_reference: tuple[Month, ...]
    performance_reference: tuple[Month, ...]
    labels_until: Month | None = None
    warnings: tuple[str, ...] = ()

    def has_labels(self, month: Month) -> bool:
        """Return whether monitoring may use the labels of a month."""
        return self.labels_until is None or month <= self.labels_until


def plan_monitoring(
    model: TrainedModel,
    scored_months: Sequence[Month],
    reference: str | None = None,
    analysis_months: str | None = None,
    labels_until: str | None = None,
) -> MonitoringPlan | None:
    """Choose analysis and reference months. Returns None if there is no month to analyze.

    By default, features are compared with the training months. Performance is compared with the
    validation month, which the model was not trained on. `reference` replaces both.

    By default, the analysis months are all months with predictions, except training months and
    months of `reference`.

    Raises StoreError if the training months have no predictions. Raises ConfigError if a selected
    month has no predictions, if all analysis months are reference months, or if the reference has
    no labels.
    """
    split = model.encoding.split
    trained = tuple(month for month in scored_months if split.covers(month, "train"))
    features = _require_scored_months(reference, scored_months) if reference else trained
    if not features:
        raise StoreError(
            f"cannot monitor model {model.version}: there are no predictions for its training months",
            hint="Select different reference months with --reference.",
        )
    performance = features if reference else _months_within(scored_months, split.validation) or trained
    if analysis_months:
        analysis = _require_scored_months(analysis_months, scored_months)
    else:
        excluded = {*trained, *(features if reference else ()), *map(Month.parse, split.held)}
        analysis = tuple(month for month in scored_months if month not in excluded)
    if reference and set(analysis) <= set(features):
        raise ConfigError(
            "cannot compare the reference with itself: all analysis months are reference months "
            f"({format_span(features)})",
            hint="Select different months with --analysis-months or --reference.",
        )
    if not analysis:
        return None
    return MonitoringPlan(
        analysis_months=analysis,
        feature_reference=features,
        performance_reference=performance,
        labels_until=_parse_labels_until(labels_until, performance),
        warnings=_caveats(model, analysis, features, performance),
    )


def plan_from_manifest(
    model: TrainedModel, config: Mapping[str, Any], months: Sequence[Month]
) -> MonitoringPlan:
    """Return the plan of a published version of `monitoring`, from its configuration and months."""
    features, performance = (
        tuple(map(Month.parse, config[name])) for name in ("feature_reference", "performance_reference")
    )
    return MonitoringPlan(
        analysis_months=tuple(months),
        feature_reference=features,
        performance_reference=performance,
        labels_until=Month.parse(config["labels_until"]) if config["labels_until"] else None,
        warnings=_caveats(model, months, features, performance),
    )


def format_span(months: Sequence[Month]) -> str:
    """Return the range of the months as text."""
    first, last = min(months), max(months)
    return str(first) if first == last else f"{first} to {last}"


def _parse_labels_until(text: str | None, reference: Sequence[Month]) -> Month | None:
    month = Month.parse(text) if text else None
    if month and month < max(reference):
        raise ConfigError(
            f"cannot use --labels-until {month}: the reference ({format_span(reference)}) needs labels",
            hint="Set --labels-until to a later month, or --reference to earlier months.",
        )
    return month


def _caveats(
    model: TrainedModel, analysis: Sequence[Month], features: Sequence[Month], performance: Sequence[Month]
) -> tuple[str, ...]:
    """Return the reasons why a comparison can be misleading."""
    train, caveats = model.encoding.split.train, []
    trained = [month for month in analysis if overlaps(month, train)]
    if both := [month for month in analysis if month in features and month not in trained]:
        caveats.append(f"the reference includes {format_span(both)}, so drift there looks smaller than it is")
    if any(overlaps(month, train) for month in performance):
        caveats.append("the model was trained on reference months, so its performance there looks better")
    if trained:
        caveats.append(
            f"the model was trained on {format_span(trained)}, so its performance there looks better"
        )
    return tuple(caveats)


def _months_within(months: Sequence[Month], span: TimeRange | None) -> tuple[Month, ...]:
    return tuple(month for month in months if span is not None and overlaps(month, span))


def _require_scored_months(text: str, scored: Sequence[Month]) -> tuple[Month, ...]:
    requested = parse_months(text)
    if missing := [month for month in requested if month not in scored]:
        raise ConfigError(
            f"cannot monitor {missing[0]}: the model has predictions only for {scored[0]} to {scored[-1]}",
            hint="Score the month first, or select different months.",
        )
    return requested
