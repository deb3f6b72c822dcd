"""Monitor a model: compare its analysis months with its reference, from histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from toytip.core.arrays import Float64Array
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.parameters import AlertThresholds
from toytip.evaluation import metrics
from toytip.evaluation.tally import SLICE_BINS, Tallies, Tally, daily_tallies_by_segment
from toytip.monitoring import alerts, attribution, cbpe, drift
from toytip.monitoring.alerts import Measurement
from toytip.monitoring.drift import FeatureDrift, FeatureHistogram, ReferenceRange
from toytip.monitoring.history import MonitoringHistory
from toytip.monitoring.plan import MonitoringPlan
from toytip.monitoring.report import DayPerformance, MonitoringReport, MonthPerformance, PeriodMetrics
from toytip.stages import infer, profile

# Performance by day is also measured over a week, because days of the week differ from each other
# more than weeks do.
ROLLING_DAYS = 7
# Takes the place of the month in the performance of the reference.
REFERENCE = "reference"
QUALITY_KINDS = ("missing", "rejects")
TallyPair = tuple[Tally, Tally]
EMPTY_TALLY_PAIR: TallyPair = (Tally.empty(SLICE_BINS), Tally.empty(SLICE_BINS))


@dataclass(frozen=True, kw_only=True)
class MonitoringResult:
    """The monitoring report, and all measurements that the report is based on."""

    report: MonitoringReport
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, kw_only=True)
class _Reference:
    """The values that each analysis month is compared with."""

    histograms: Mapping[str, FeatureHistogram]
    missing_ranges: Mapping[str, ReferenceRange]
    reject_ranges: Mapping[str, ReferenceRange]
    tallies: TallyPair
    calibration: Float64Array | None
    performance: MonthPerformance


@dataclass(frozen=True, kw_only=True)
class _MonthComparison:
    """An analysis month compared with the reference.

    `performance` is None for a month of the performance reference.
    """

    name: str
    reference: _Reference
    drift: tuple[FeatureDrift, ...]
    reject_rates: Mapping[str, float]
    performance: MonthPerformance | None


@dataclass(frozen=True, kw_only=True)
class _MonthlyInputs:
    """The segment and the feature importance of a model, and the data of all months."""

    dataset: Dataset
    segment: str
    importance: Mapping[str, float]
    histograms: Mapping[Month, pd.DataFrame]
    reject_rates: Mapping[Month, Mapping[str, float]]
    tallies_by_day: Mapping[str, TallyPair]

    def features_of(self, months: Sequence[Month]) -> dict[str, FeatureHistogram]:
        """Return the histograms of one or more months together, by feature."""
        frames = [self.histograms[month] for month in months]
        merged = frames[0] if len(frames) == 1 else profile.merge_profiles(frames)
        return drift.histograms_by_feature(merged, self.dataset, self.segment)

    def tallies_of(self, months: Sequence[Month]) -> TallyPair:
        """Return the tally of the segment and the tally of other trips, for one or more months."""
        names = {str(month) for month in months}
        pairs = [pair for day, pair in self.tallies_by_day.items() if day[:7] in names]
        return reduce(lambda a, b: (a[0].merge(b[0]), a[1].merge(b[1])), pairs, EMPTY_TALLY_PAIR)

    def rejects_of(self, month: Month) -> Mapping[str, float]:
        """Return the share of rejected trips of a month, by reject reason."""
        return self.reject_rates.get(month, {})


def run_monitoring(
    model: TrainedModel,
    plan: MonitoringPlan,
    thresholds: AlertThresholds,
    history: MonitoringHistory,
) -> MonitoringResult:
    """Compare each analysis month with the reference, and apply the alert rule.

    The history has the analysis months and the reference months. The comparison reads no trips.
    """
    inputs = _MonthlyInputs(
        dataset=model.encoding.dataset,
        segment=model.encoding.segment,
        importance=natural_feature_gain(model),
        histograms=history.histograms,
        reject_rates=history.reject_rates,
        tallies_by_day=_segment_tallies(history.tallies, model.encoding.segment),
    )
    months = _compare_months(inputs, plan)
    measurements = [item for month in months for item in _measure(month, inputs.importance, thresholds)]
    report = _make_report(model.version, plan, thresholds, inputs, months, measurements)
    return MonitoringResult(report=report, measurements=tuple(measurements))


def natural_feature_gain(model: TrainedModel) -> dict[str, float]:
    """Return the share of each natural feature in the gain of the model, largest share first.

    A natural feature is not target-encoded. The gain of a target-encoded feature is divided equally
    among the columns that it is computed from.
    """
    gains: dict[str, float] = {}
    rates = model.encoding.dataset.target_rates
    for name, gain in infer.gain_importance(model).items():
        inputs = rates[name].needs if name in rates else (name,)
        for natural in inputs:
            gains[natural] = gains.get(natural, 0.0) + gain / len(inputs)
    return dict(sorted(gains.items(), key=lambda item: -item[1]))


def _compare_months(inputs: _MonthlyInputs, plan: MonitoringPlan) -> list[_MonthComparison]:
    reference = _read_reference(inputs, plan)
    return [
        _MonthComparison(
            name=str(month),
            reference=reference,
            drift=_sorted_drift(reference, inputs.features_of((month,)), inputs.importance),
            reject_rates=inputs.rejects_of(month),
            performance=None
            if month in plan.performance_reference
            else _month_performance(
                str(month),
                inputs.tallies_of((month,)),
                reference.tallies,
                reference.calibration,
                has_labels=plan.has_labels(month),
            ),
        )
        for month in plan.analysis_months
    ]


def _make_report(
    model_version: str,
    plan: MonitoringPlan,
    thresholds: AlertThresholds,
    inputs: _MonthlyInputs,
    months: Sequence[_MonthComparison],
    measurements: Sequence[Measurement],
) -> MonitoringReport:
    history = alerts.find_alerts(measurements, thresholds)
    performance = [month.performance for month in months if month.performance]
    return MonitoringReport(
        model=model_version,
        segment=inputs.segment,
        declared_segment=inputs.dataset.segment.name if inputs.dataset.segment else None,
        analysis_months=tuple(month.name for month in months),
        feature_reference=tuple(map(str, plan.feature_reference)),
        performance_reference=tuple(map(str, plan.performance_reference)),
        labels_until=str(plan.labels_until) if plan.labels_until else None,
        warnings=plan.warnings,
        thresholds=thresholds,
        active_alerts=tuple(alert for alert in history if alert.month == months[-1].name),
        alert_history=tuple(history),
        exceeded_measurements=tuple(item for item in measurements if item.exceeds_threshold),
        feature_importance=inputs.importance,
        drift_by_month={month.name: month.drift for month in months},
        performance_by_month=(months[0].reference.performance, *performance),
        performance_by_day=_performance_by_day(inputs.tallies_by_day, plan),
        quality_by_month=tuple(item for item in measurements if item.kind in QUALITY_KINDS),
    )


def _measure(
    month: _MonthComparison, importance: Mapping[str, float], thresholds: AlertThresholds
) -> list[Measurement]:
    measurements = [
        *alerts.drift_measurements(month.name, month.drift, importance, thresholds),
        *_quality_measurements(month),
    ]
    if month.performance is not None:
        measurements += _performance_measurements(month.performance, month.reference.performance, thresholds)
    return measurements


def _segment_tallies(tallies: Tallies, segment: str) -> dict[str, TallyPair]:
    by_day = daily_tallies_by_segment(tallies)
    if segment == ALL_ROWS:
        return by_day
    return {day: (inside, EMPTY_TALLY_PAIR[1]) for day, (inside, _) in by_day.items()}


def _read_reference(inputs: _MonthlyInputs, plan: MonitoringPlan) -> _Reference:
    by_month = [inputs.features_of((month,)) for month in plan.feature_reference]
    pair = inputs.tallies_of(plan.performance_reference)
    calibration = cbpe.fit_calibration(pair[0].merge(pair[1]))
    return _Reference(
        histograms=inputs.features_of(plan.feature_reference),
        missing_ranges=_reference_ranges(
            [{name: h.missing_share for name, h in features.items()} for features in by_month]
        ),
        reject_ranges=_reference_ranges([inputs.rejects_of(month) for month in plan.feature_reference]),
        tallies=pair,
        calibration=calibration,
        performance=_month_performance(REFERENCE, pair, pair, calibration, has_labels=True),
    )


def _reference_ranges(rates: Sequence[Mapping[str, float]]) -> dict[str, ReferenceRange]:
    names = dict.fromkeys(name for month in rates for name in month)
    return {name: drift.reference_range([month.get(name, 0.0) for month in rates]) for name in names}


def _sorted_drift(
    reference: _Reference, features: Mapping[str, FeatureHistogram], importance: Mapping[str, float]
) -> tuple[FeatureDrift, ...]:
    """Return the drift of each feature that the model uses, most important feature first."""
    drifts = drift.measure_drift(reference.histograms, features)
    used = [drifted for drifted in drifts if drifted.feature in importance]
    return tuple(sorted(used, key=lambda drifted: -importance[drifted.feature]))


def _month_performance(
    month: str,
    current: TallyPair,
    reference: TallyPair,
    calibration: Float64Array | None,
    *,
    has_labels: bool,
) -> MonthPerformance:
    inside, outside = current
    both = inside.merge(outside)
    changes = attribution.attribute_change(reference, current) if has_labels else (None, None, None)
    return MonthPerformance(
        month=month,
        rows=both.rows,
        segment_share=inside.rows / both.rows if both.rows else 0.0,
        segment_prevalence=float(inside.positives.sum()) / inside.rows
        if has_labels and inside.rows
        else None,
        metrics=metrics.compute_metrics(both) if has_labels else None,
        f1_always_positive=metrics.f1_always_positive(both) if has_labels else None,
        segment_auc=metrics.auc(inside.negatives, inside.positives) if has_labels else None,
        estimated_metrics=cbpe.estimate_metrics(
            both, np.zeros(SLICE_BINS) if calibration is None else calibration
        ),
        prevalence_change=changes[0],
        f1_change=changes[1],
        log_loss_change=changes[2],
    )


def _quality_measurements(month: _MonthComparison) -> list[Measurement]:
    missing = {drifted.feature: drifted.missing for drifted in month.drift}
    ranges = {name: limits for name, limits in month.reference.missing_ranges.items() if name in missing}
    reject_ranges = month.reference.reject_ranges
    return [
        *alerts.rate_measurements(month.name, "missing", missing, ranges),
        *alerts.rate_measurements(month.name, "rejects", month.reject_rates, reject_ranges),
    ]


def _performance_measurements(
    current: MonthPerformance, reference: MonthPerformance, thresholds: AlertThresholds
) -> list[Measurement]:
    assert reference.metrics is not None, "a reference must have labels"
    shares = [
        {"segment": performance.segment_share, "segment_prevalence": performance.segment_prevalence}
        for performance in (current, reference)
    ]
    now, then = ({name: share for name, share in side.items() if share is not None} for side in shares)
    measurements = list(alerts.share_measurements(current.month, now, then, thresholds))
    if current.metrics is not None:
        measurements += alerts.performance_measurements(current.month, current.metrics, reference.metrics)
        measurements += alerts.model_measurements(
            current.month,
            current.f1_change,
            current.log_loss_change,
            (current.segment_auc, reference.segment_auc),
            thresholds,
        )
    measurements += alerts.estimate_measurements(
        current.month,
        current.estimated_metrics,
        reference.metrics,
        thresholds,
        has_labels=current.metrics is not None,
    )
    return measurements


def _performance_by_day(
    tallies_by_day: Mapping[str, TallyPair], plan: MonitoringPlan
) -> tuple[DayPerformance, ...]:
    months = {
        str(month) for month in (*plan.performance_reference, *plan.analysis_months) if plan.has_labels(month)
    }
    days = [day for day in tallies_by_day if day[:7] in months]
    tallies = [tallies_by_day[day][0].merge(tallies_by_day[day][1]) for day in days]
    performance = []
    for index, (day, tally) in enumerate(zip(days, tallies, strict=True)):
        week = reduce(Tally.merge, tallies[max(index + 1 - ROLLING_DAYS, 0) : index + 1])
        performance.append(
            DayPerformance(day=day, metrics=_period_metrics(tally), rolling=_period_metrics(week))
        )
    return tuple(performance)


def _period_metrics(tally: Tally) -> PeriodMetrics:
    values = metrics.compute_metrics(tally)
    return PeriodMetrics(
        rows=tally.rows,
        prevalence=values.prevalence,
        f1=values.f1,
        f1_always_positive=metrics.f1_always_positive(tally),
        auc=values.auc,
        log_loss=values.log_loss,
    )
