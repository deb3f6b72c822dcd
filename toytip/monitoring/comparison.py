"""Watching a model: its months against its reference, of profiles and tallies that were read. No store, no trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.parameters import AlertThresholds
from toytip.evaluation import metrics
from toytip.evaluation.metrics import Metrics
from toytip.evaluation.tally import SLICE_BINS, Tallies, Tally, daily_tallies_by_payment
from toytip.monitoring import alerts, attribution, cbpe, drift
from toytip.monitoring.alerts import Alert, Measurement
from toytip.monitoring.drift import FeatureDrift
from toytip.monitoring.plan import MonitoringPlan
from toytip.stages import infer, profile
from toytip.stages.catalog import FEATURE_INPUTS
from toytip.stages.zone_rates import ZONE_RATES_BY_NAME

# A week: days of the week differ more than weeks do.
ROLLING_DAYS = 7
TallyPair = tuple[Tally, Tally]
EMPTY_TALLY_PAIR: TallyPair = (Tally.empty(SLICE_BINS), Tally.empty(SLICE_BINS))


@dataclass(frozen=True, kw_only=True)
class MonthPerformance:
    """How the model did in a month: realised, expected without labels, and what changed it since the reference."""

    month: str
    rows: int
    card_share: float
    tip_share: float | None
    metrics: Metrics | None
    card_auc: float | None
    estimated: Metrics
    prevalence: attribution.ChangeParts | None = None
    f1: attribution.ChangeParts | None = None
    log_loss: attribution.ChangeParts | None = None


@dataclass(frozen=True, kw_only=True)
class MonitoringReport:
    """What monitoring found."""

    model: TrainedModel
    plan: MonitoringPlan
    thresholds: AlertThresholds
    gains: dict[str, float]
    measurements: list[Measurement]
    all_alerts: list[Alert]
    drift: dict[str, list[FeatureDrift]]
    reference: MonthPerformance
    performance: list[MonthPerformance]
    days: list[dict[str, Any]]

    @property
    def psi(self) -> dict[str, dict[str, float | None]]:
        """The stability index by feature, in the order in which the model leans on them, and month."""
        by_month = {month: {each.feature: each.psi for each in told} for month, told in self.drift.items()}
        return {
            name: {month: told.get(name) for month, told in by_month.items()}
            for name in self.gains
            if any(told.get(name) is not None for told in by_month.values())
        }

    @property
    def current_alerts(self) -> list[Alert]:
        """The alerts of the last month."""
        last = str(self.plan.months[-1])
        return [alert for alert in self.all_alerts if alert.measurement.month == last]


def run_monitoring(
    model: TrainedModel,
    plan: MonitoringPlan,
    thresholds: AlertThresholds,
    summary: Tallies,
    profiles: Mapping[Month, pd.DataFrame],
    reject_rates: Mapping[Month, Mapping[str, float]],
) -> MonitoringReport:
    """Read every month, and judge by the bounds. Pure: of profiles, tallies and reject rates by month."""
    population, gains = model.encoding.population, natural_feature_gain(model)
    days = daily_tallies_by_payment(summary)
    if population == "card":
        days = {day: (card, EMPTY_TALLY_PAIR[1]) for day, (card, _) in days.items()}
    then = _sum_tallies(days, plan.performance_reference)
    share = cbpe.fit_calibration(then[0].merge(then[1]))
    reference = _month_performance("reference", then, then, share, labelled=True)
    readings: list[Measurement] = []
    found: dict[str, list[FeatureDrift]] = {}
    seen = {
        month: drift.histograms_by_feature(profiles[month], population)
        for month in {*plan.feature_reference, *plan.months}
    }
    whole = drift.histograms_by_feature(
        profile.merge_profiles(profiles[month] for month in plan.feature_reference), population
    )
    bands = _reference_ranges(
        [{n: told.missing_share for n, told in seen[month].items()} for month in plan.feature_reference]
    )
    reject_bands = _reference_ranges([reject_rates.get(month, {}) for month in plan.feature_reference])
    performance = []
    for month in plan.months:
        name = str(month)
        told = [each for each in drift.measure_drift(whole, seen[month]) if each.feature in gains]
        found[name] = sorted(told, key=lambda each: -gains[each.feature])
        readings += alerts.drift_measurements(name, found[name], gains, thresholds)
        rates = {each.feature: each.missing for each in told}
        readings += alerts.rate_measurements(
            name, "missing", rates, {n: band for n, band in bands.items() if n in rates}
        )
        readings += alerts.rate_measurements(name, "rejects", reject_rates.get(month, {}), reject_bands)
        if month not in plan.performance_reference:
            did = _month_performance(
                name, _sum_tallies(days, (month,)), then, share, labelled=plan.has_labels(month)
            )
            performance.append(did)
            readings += _performance_measurements(did, reference, thresholds, labelled=plan.has_labels(month))
    return MonitoringReport(
        model=model,
        plan=plan,
        thresholds=thresholds,
        gains=gains,
        measurements=readings,
        all_alerts=alerts.find_alerts(readings, thresholds),
        drift=found,
        reference=reference,
        performance=performance,
        days=_daily_metrics(days, plan),
    )


def natural_feature_gain(model: TrainedModel) -> dict[str, float]:
    """Return how much the model leans on each natural feature: a rate by zone is looked up by zones, which share its gain."""
    found: dict[str, float] = {}
    for name, gain in infer.gain_importance(model).items():
        natural = FEATURE_INPUTS[name] if name in ZONE_RATES_BY_NAME else (name,)
        for each in natural:
            found[each] = found.get(each, 0.0) + gain / len(natural)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _reference_ranges(rates: Sequence[Mapping[str, float]]) -> dict[str, drift.ReferenceRange]:
    names = dict.fromkeys(name for each in rates for name in each)
    return {name: drift.reference_range([each.get(name, 0.0) for each in rates]) for name in names}


def _sum_tallies(days: Mapping[str, TallyPair], months: Sequence[Month]) -> TallyPair:
    names = {str(month) for month in months}
    told = [both for day, both in days.items() if day[:7] in names]
    return reduce(lambda a, b: (a[0].merge(b[0]), a[1].merge(b[1])), told, EMPTY_TALLY_PAIR)


def _month_performance(
    month: str, now: TallyPair, then: TallyPair, share: Any, *, labelled: bool
) -> MonthPerformance:
    card, other = now
    both = card.merge(other)
    prevalence, f1, log_loss = attribution.attribute_change(then, now) if labelled else (None, None, None)
    return MonthPerformance(
        month=month,
        rows=both.rows,
        card_share=card.rows / both.rows if both.rows else 0.0,
        tip_share=float(card.positives.sum()) / card.rows if labelled and card.rows else None,
        metrics=metrics.compute_metrics(both) if labelled else None,
        card_auc=metrics.auc(card.negatives, card.positives) if labelled else None,
        estimated=cbpe.estimate_metrics(both, np.zeros(SLICE_BINS) if share is None else share),
        prevalence=prevalence,
        f1=f1,
        log_loss=log_loss,
    )


def _performance_measurements(
    did: MonthPerformance, then: MonthPerformance, bounds: AlertThresholds, *, labelled: bool
) -> list[Measurement]:
    assert then.metrics is not None, "a reference has labels"
    shares = [{"card": each.card_share, "high_tips_by_card": each.tip_share} for each in (did, then)]
    known = [{name: share for name, share in each.items() if share is not None} for each in shares]
    found = list(alerts.share_measurements(did.month, known[0], known[1], bounds))
    if did.metrics is not None:
        found += alerts.performance_measurements(did.month, did.metrics, then.metrics)
        aucs = did.card_auc, then.card_auc
        found += alerts.skill_measurements(did.month, did.f1, did.log_loss, aucs, bounds)
    found += alerts.estimate_measurements(did.month, did.estimated, then.metrics, bounds, has_labels=labelled)
    return found


def _daily_metrics(days: Mapping[str, TallyPair], asked: MonitoringPlan) -> list[dict[str, Any]]:
    """Return for every day of the reference and the watched months how it was, and how the week that it ends was."""
    shown = {str(month) for month in (*asked.performance_reference, *asked.months) if asked.has_labels(month)}
    names = [day for day in days if day[:7] in shown]
    whole = [days[day][0].merge(days[day][1]) for day in names]
    found = []
    for place, (day, tally) in enumerate(zip(names, whole, strict=True)):
        week = reduce(Tally.merge, whole[max(place + 1 - ROLLING_DAYS, 0) : place + 1])
        found.append({"day": day, **_brief_metrics(tally), "rolling": _brief_metrics(week)})
    return found


def _brief_metrics(tally: Tally) -> Metrics:
    told = metrics.compute_metrics(tally)
    return {name: told[name] for name in ("rows", "prevalence", "f1", "f1_always_yes", "auc", "log_loss")}


def monitoring_json(report: MonitoringReport) -> dict[str, Any]:
    """Return plain values."""
    plan_ = report.plan
    return {
        "model": report.model.version,
        "population": report.model.encoding.population,
        "months": [str(month) for month in plan_.months],
        "reference": [str(month) for month in plan_.feature_reference],
        "reference_of_skill": [str(month) for month in plan_.performance_reference],
        "warnings": list(plan_.warnings),
        "bounds": asdict(report.thresholds),
        "alerts": [alert.to_json() for alert in report.current_alerts],
        "rang": [alert.to_json() for alert in report.all_alerts],
        "gains": report.gains,
        "drift": {month: [asdict(each) for each in told] for month, told in report.drift.items()},
        "performance": [_performance_json(each) for each in (report.reference, *report.performance)],
        "rates": [asdict(each) for each in report.measurements if each.kind in ("missing", "rejects")],
        "days": report.days,
    }


def _performance_json(did: MonthPerformance) -> dict[str, Any]:
    told = asdict(did)
    for name in ("prevalence", "f1", "log_loss"):
        parts: attribution.ChangeParts | None = getattr(did, name)
        told[name] = parts._asdict() if parts is not None else None
    return told
