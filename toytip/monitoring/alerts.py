"""monitor: what was read of every month, against bounds -> alerts, by a rule that one odd month does not set off.

An alert rings where an effect was beyond its bound in `times` of the last `windows` months, and is in the latest; where fewer
months are there, in all of them. Effects are sizes, not p-values: see `toytip/monitoring/effect_sizes.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from toytip.core.parameters import AlertThresholds
from toytip.evaluation.metrics import Metrics

if TYPE_CHECKING:
    from toytip.monitoring.attribution import ChangeParts
    from toytip.monitoring.drift import FeatureDrift, ReferenceRange


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measure of one thing in one month, and in the reference; `effect` is what the bound is for.

    Kinds: `drift` of a feature, `missing` values of a feature, `rejects` by reason, `share` of trips, `skill` lost,
    `performance` realised, `estimate` of it without labels.
    """

    month: str
    kind: str
    name: str
    measure: str
    value: float
    reference: float | None = None
    effect: float | None = None
    bound: float | None = None

    @property
    def exceeded(self) -> bool:
        """Whether the effect is larger than it may be."""
        return self.bound is not None and self.effect is not None and self.effect > self.bound

    @property
    def series_key(self) -> tuple[str, str, str]:
        """What is read, in whatever month."""
        return self.kind, self.name, self.measure


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What rings in a month: the reading, and the months of the last few in which it was beyond its bound."""

    measurement: Measurement
    breach_months: tuple[str, ...]
    windows: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self.measurement), "beyond_in": list(self.breach_months), "windows": self.windows}


def find_alerts(measurements: Sequence[Measurement], thresholds: AlertThresholds) -> list[Alert]:
    """Return every alert that rang, in the order of the readings; those of the last month are what is to be done now."""
    series: dict[tuple[str, str, str], list[Measurement]] = {}
    for reading in sorted(measurements, key=lambda each: each.month):
        series.setdefault(reading.series_key, []).append(reading)
    rang = {}
    for key, told in series.items():
        for place, latest in enumerate(told):
            last = told[max(place + 1 - thresholds.window_months, 0) : place + 1]
            months = tuple(each.month for each in last if each.exceeded)
            if latest.exceeded and len(months) >= min(thresholds.min_breaches, len(last)):
                rang[key, latest.month] = Alert(measurement=latest, breach_months=months, windows=len(last))
    return [
        rang[each.series_key, each.month] for each in measurements if (each.series_key, each.month) in rang
    ]


def drift_measurements(
    month: str, drifts: Sequence[FeatureDrift], importances: Mapping[str, float], thresholds: AlertThresholds
) -> Iterator[Measurement]:
    """Read the effect sizes of every feature; bounded are those of features that the model leans on."""
    for each in drifts:
        leant = importances.get(each.feature, 0.0) >= thresholds.min_importance
        for measure in ("psi", "ks", "wasserstein"):
            value = getattr(each, measure)
            if value is not None:
                yield Measurement(
                    month=month, kind="drift", name=each.feature, measure=measure, value=value, effect=value,
                    bound=getattr(thresholds, measure) if leant else None,
                )  # fmt: skip
        for measure in ("new", "vanished"):
            share = sum(getattr(each, measure).values())
            if share:
                yield Measurement(
                    month=month, kind="drift", name=each.feature, measure=measure, value=share, effect=share,
                    bound=0.0 if leant else None,
                )  # fmt: skip


def rate_measurements(
    month: str, kind: str, rates: Mapping[str, float], reference_ranges: Mapping[str, ReferenceRange]
) -> Iterator[Measurement]:
    """Read how far rates of missing values, or of rejects, are outside of their bands."""
    for name, band in reference_ranges.items():
        rate = rates.get(name, 0.0)
        yield Measurement(
            month=month, kind=kind, name=name, measure="rate", value=rate, reference=band.mean,
            effect=band.distance_outside(rate), bound=0.0,
        )  # fmt: skip


def share_measurements(
    month: str, current: Mapping[str, float], reference: Mapping[str, float], thresholds: AlertThresholds
) -> Iterator[Measurement]:
    """Read how far the share of card trips, and of high tips among them, have moved."""
    for name, value in current.items():
        yield Measurement(
            month=month, kind="share", name=name, measure="share", value=value, reference=reference[name],
            effect=abs(value - reference[name]), bound=thresholds.max_share_shift,
        )  # fmt: skip


LOSS_SIGNS = {"f1": -1, "auc": -1, "log_loss": 1}


def _loss_threshold(metric: str, thresholds: AlertThresholds) -> float:
    """Return how much a metric may get worse."""
    return thresholds.max_f1_loss if metric == "f1" else thresholds.max_log_loss_increase


def performance_measurements(month: str, current: Metrics, reference: Metrics) -> Iterator[Measurement]:
    """Read what was realised, without a bound: what it is due to has one."""
    for name, sign in LOSS_SIGNS.items():
        value, before = current[name], reference[name]
        if value is not None and before is not None:
            yield Measurement(
                month=month, kind="performance", name=name, measure="change", value=value, reference=before,
                effect=sign * (value - before),
            )  # fmt: skip


def skill_measurements(
    month: str,
    f1: ChangeParts | None,
    log_loss: ChangeParts | None,
    card_auc: tuple[float | None, float | None],
    thresholds: AlertThresholds,
) -> Iterator[Measurement]:
    """Read what was lost by skill: its part in the changes of F1 and log loss, and the AUC among card trips, now and then.

    The AUC of all trips moves with their mix; that among card trips does not.
    """
    for name, parts in (("f1", f1), ("log_loss", log_loss)):
        if parts is not None:
            yield Measurement(
                month=month, kind="skill", name=name, measure="part", value=parts.skill,
                effect=LOSS_SIGNS[name] * parts.skill, bound=_loss_threshold(name, thresholds),
            )  # fmt: skip
    now, then = card_auc
    if now is not None and then is not None:
        yield Measurement(
            month=month, kind="skill", name="auc", measure="card", value=now, reference=then,
            effect=then - now, bound=thresholds.max_auc_loss,
        )  # fmt: skip


def estimate_measurements(
    month: str, estimated: Metrics, reference: Metrics, thresholds: AlertThresholds, *, has_labels: bool
) -> Iterator[Measurement]:
    """Read what is expected of months; it rings only where there are no labels that could tell."""
    for name, sign in LOSS_SIGNS.items():
        value, before = estimated[name], reference[name]
        if value is not None and before is not None:
            yield Measurement(
                month=month, kind="estimate", name=name, measure="change", value=value, reference=before,
                effect=sign * (value - before), bound=None if has_labels or name == "auc" else _loss_threshold(name, thresholds),
            )  # fmt: skip
