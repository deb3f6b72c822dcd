"""Which months are compared with which reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toytip.core.model import TrainedModel
from toytip.core.months import Month, parse_months
from toytip.core.splits import TimeRange, overlaps
from toytip.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class MonitoringPlan:
    """What is compared with what: the months that are watched, and the reference for features, and for skill."""

    months: tuple[Month, ...]
    feature_reference: tuple[Month, ...]
    performance_reference: tuple[Month, ...]
    labels_until: Month | None = None
    warnings: tuple[str, ...] = ()

    def has_labels(self, month: Month) -> bool:
        """Tell whether a month's labels may be looked at."""
        return self.labels_until is None or month <= self.labels_until


def plan_monitoring(
    model: TrainedModel,
    scored_months: Sequence[Month],
    reference: str | None = None,
    months: str | None = None,
    labels_until: str | None = None,
) -> MonitoringPlan | None:
    """Return what is compared with what; None where there is no month to watch.

    Features are compared with the training months, skill with the validation month, which the model has not learned from;
    or both with a `reference`. Watched are all months after the training, but for the reference.
    Raises ConfigError where a month that is asked for is not there, or would be compared with itself, and where the labels of
    the reference are not there.
    """
    split = model.encoding.split
    learned = tuple(month for month in scored_months if overlaps(month, split.train))
    of_features = _require_scored_months(reference, scored_months) if reference else learned
    of_skill = of_features if reference else _months_within(scored_months, split.validation)
    if months:
        watched = _require_scored_months(months, scored_months)
    else:
        watched = tuple(m for m in scored_months if m not in learned and not (reference and m in of_features))
    if not of_features:
        raise ConfigError("no month that the model has learned from was scored; name --reference")
    if reference and set(watched) <= set(of_features):
        raise ConfigError(
            f"all months to watch are in the reference, {format_span(of_features)}, and none differs from itself; "
            "name others with --months, or fewer with --reference"
        )
    if not watched:
        return None
    of_skill = of_skill or learned
    until = Month.parse(labels_until) if labels_until else None
    if until and until < max(of_skill):
        raise ConfigError(
            f"--labels-until {until}: the reference, {format_span(of_skill)}, needs its labels; name a later month, "
            "or an earlier --reference"
        )
    return MonitoringPlan(
        months=watched,
        feature_reference=of_features,
        performance_reference=of_skill,
        labels_until=until,
        warnings=_caveats(model, watched, of_features, of_skill),
    )


def format_span(months: Sequence[Month]) -> str:
    """Return the first and last month as text."""
    first, last = min(months), max(months)
    return str(first) if first == last else f"{first} to {last}"


def plan_from_manifest(
    model: TrainedModel, config: Mapping[str, Any], months: Sequence[Month]
) -> MonitoringPlan:
    """Return the plan that a version of `monitors` was made by: of its manifest, and its months."""
    of_features, of_skill = (
        tuple(map(Month.parse, config[name])) for name in ("reference", "reference_of_skill")
    )
    return MonitoringPlan(
        months=tuple(months),
        feature_reference=of_features,
        performance_reference=of_skill,
        labels_until=Month.parse(config["labels_until"]) if config["labels_until"] else None,
        warnings=_caveats(model, months, of_features, of_skill),
    )


def _caveats(
    model: TrainedModel, watched: Sequence[Month], of_features: Sequence[Month], of_skill: Sequence[Month]
) -> tuple[str, ...]:
    """Return why what comes out may look better than it is."""
    train, said = model.encoding.split.train, []
    known = [month for month in watched if overlaps(month, train)]
    if both := [month for month in watched if month in of_features and month not in known]:
        said.append(f"{format_span(both)} is in the reference too, and moves less beside itself")
    if any(overlaps(month, train) for month in of_skill):
        said.append("the model has learned from the reference: its skill there is flattering")
    if known:
        said.append(f"the model has learned from {format_span(known)}: its skill there is flattering")
    return tuple(said)


def _months_within(there: Sequence[Month], span: TimeRange | None) -> tuple[Month, ...]:
    return tuple(month for month in there if span is not None and overlaps(month, span))


def _require_scored_months(text: str, there: Sequence[Month]) -> tuple[Month, ...]:
    asked = parse_months(text)
    if lacking := [month for month in asked if month not in there]:
        raise ConfigError(
            f"{lacking[0]} is not among the months that the model has scored ({there[0]}:{there[-1]}); "
            "score it first, or ask for others"
        )
    return asked
