"""Watching a model: its months against its reference, of profiles and tallies that were read. No store, no trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from toytip import metrics
from toytip.errors import ConfigError
from toytip.metrics import Metrics
from toytip.scoring import NEEDS
from toytip.splits import overlaps
from toytip.stages import decay, drift, estimate, infer, monitor, profile
from toytip.stages.drift import Drift
from toytip.stages.monitor import Alert, Bounds, Reading
from toytip.stages.rates import BY_NAME
from toytip.tally import COARSE, Summary, Tally, by_day
from toytip.values import Model, Month, Span, parse_months

# A week: days of the week differ more than weeks do.
ROLLING = 7
Both = tuple[Tally, Tally]
NOTHING: Both = (Tally.empty(COARSE), Tally.empty(COARSE))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is compared with what: the months that are watched, and the reference for features, and for skill."""

    months: tuple[Month, ...]
    features: tuple[Month, ...]
    skill: tuple[Month, ...]
    labels_until: Month | None = None
    warnings: tuple[str, ...] = ()

    def labelled(self, month: Month) -> bool:
        """Tell whether a month's labels may be looked at."""
        return self.labels_until is None or month <= self.labels_until


@dataclass(frozen=True, kw_only=True)
class Performance:
    """How the model did in a month: realised, expected without labels, and what changed it since the reference."""

    month: str
    rows: int
    card_share: float
    tip_share: float | None
    metrics: Metrics | None
    card_auc: float | None
    estimated: Metrics
    prevalence: decay.Parts | None = None
    f1: decay.Parts | None = None
    log_loss: decay.Parts | None = None


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """What monitoring found."""

    model: Model
    plan: Plan
    bounds: Bounds
    gains: dict[str, float]
    readings: list[Reading]
    alerts: list[Alert]
    drift: dict[str, list[Drift]]
    reference: Performance
    performance: list[Performance]
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
    def ringing(self) -> list[Alert]:
        """The alerts of the last month."""
        last = str(self.plan.months[-1])
        return [alert for alert in self.alerts if alert.reading.month == last]


def plan(
    model: Model,
    there: Sequence[Month],
    reference: str | None = None,
    months: str | None = None,
    labels_until: str | None = None,
) -> Plan | None:
    """Return what is compared with what; None where there is no month to watch.

    Features are compared with the training months, skill with the validation month, which the model has not learned from;
    or both with a `reference`. Watched are all months after the training, but for the reference.
    Raises ConfigError where a month that is asked for is not there, or would be compared with itself, and where the labels of
    the reference are not there.
    """
    split = model.encoding.split
    learned = tuple(month for month in there if overlaps(month, split.train))
    of_features = _there(reference, there) if reference else learned
    of_skill = of_features if reference else _within(there, split.valid)
    if months:
        watched = _there(months, there)
    else:
        watched = tuple(m for m in there if m not in learned and not (reference and m in of_features))
    if not of_features:
        raise ConfigError("no month that the model has learned from was scored; name --reference")
    if reference and set(watched) <= set(of_features):
        raise ConfigError(
            f"all months to watch are in the reference, {_span(of_features)}, and none differs from itself; "
            "name others with --months, or fewer with --reference"
        )
    if not watched:
        return None
    of_skill = of_skill or learned
    until = Month.parse(labels_until) if labels_until else None
    if until and until < max(of_skill):
        raise ConfigError(
            f"--labels-until {until}: the reference, {_span(of_skill)}, needs its labels; name a later month, "
            "or an earlier --reference"
        )
    return Plan(
        months=watched,
        features=of_features,
        skill=of_skill,
        labels_until=until,
        warnings=_doubts(model, watched, of_features, of_skill),
    )


def _span(months: Sequence[Month]) -> str:
    first, last = min(months), max(months)
    return str(first) if first == last else f"{first} to {last}"


def kept_plan(model: Model, config: Mapping[str, Any], months: Sequence[Month]) -> Plan:
    """Return the plan that a version of `monitors` was made by: of its manifest, and its months."""
    of_features, of_skill = (
        tuple(map(Month.parse, config[name])) for name in ("reference", "reference_of_skill")
    )
    return Plan(
        months=tuple(months),
        features=of_features,
        skill=of_skill,
        labels_until=Month.parse(config["labels_until"]) if config["labels_until"] else None,
        warnings=_doubts(model, months, of_features, of_skill),
    )


def _doubts(
    model: Model, watched: Sequence[Month], of_features: Sequence[Month], of_skill: Sequence[Month]
) -> tuple[str, ...]:
    """Return why what comes out may look better than it is."""
    train, said = model.encoding.split.train, []
    known = [month for month in watched if overlaps(month, train)]
    if both := [month for month in watched if month in of_features and month not in known]:
        said.append(f"{_span(both)} is in the reference too, and moves less beside itself")
    if any(overlaps(month, train) for month in of_skill):
        said.append("the model has learned from the reference: its skill there is flattering")
    if known:
        said.append(f"the model has learned from {_span(known)}: its skill there is flattering")
    return tuple(said)


def _within(there: Sequence[Month], span: Span | None) -> tuple[Month, ...]:
    return tuple(month for month in there if span is not None and overlaps(month, span))


def _there(text: str, there: Sequence[Month]) -> tuple[Month, ...]:
    asked = parse_months(text)
    if lacking := [month for month in asked if month not in there]:
        raise ConfigError(
            f"{lacking[0]} is not among the months that the model has scored ({there[0]}:{there[-1]}); "
            "score it first, or ask for others"
        )
    return asked


def watch(
    model: Model,
    asked: Plan,
    bounds: Bounds,
    summary: Summary,
    profiles: Mapping[Month, pd.DataFrame],
    rejects: Mapping[Month, Mapping[str, float]],
) -> Monitored:
    """Read every month, and judge by the bounds. Pure: of profiles, tallies and reject rates by month."""
    population, gains = model.encoding.population, leaning(model)
    days = by_day(summary)
    if population == "card":
        days = {day: (card, NOTHING[1]) for day, (card, _) in days.items()}
    then = _sum(days, asked.skill)
    share = estimate.calibrate(then[0].merge(then[1]))
    reference = _performance("reference", then, then, share, labelled=True)
    readings: list[Reading] = []
    found: dict[str, list[Drift]] = {}
    seen = {
        month: drift.histograms(profiles[month], population) for month in {*asked.features, *asked.months}
    }
    whole = drift.histograms(profile.merge(profiles[month] for month in asked.features), population)
    bands = _bands([{n: told.missing for n, told in seen[month].items()} for month in asked.features])
    reject_bands = _bands([rejects.get(month, {}) for month in asked.features])
    performance = []
    for month in asked.months:
        name = str(month)
        told = [each for each in drift.drift(whole, seen[month]) if each.feature in gains]
        found[name] = sorted(told, key=lambda each: -gains[each.feature])
        readings += monitor.of_drift(name, found[name], gains, bounds)
        rates = {each.feature: each.missing for each in told}
        readings += monitor.of_rates(
            name, "missing", rates, {n: band for n, band in bands.items() if n in rates}
        )
        readings += monitor.of_rates(name, "rejects", rejects.get(month, {}), reject_bands)
        if month not in asked.skill:
            did = _performance(name, _sum(days, (month,)), then, share, labelled=asked.labelled(month))
            performance.append(did)
            readings += _of_performance(did, reference, bounds, labelled=asked.labelled(month))
    return Monitored(
        model=model,
        plan=asked,
        bounds=bounds,
        gains=gains,
        readings=readings,
        alerts=monitor.alerts(readings, bounds),
        drift=found,
        reference=reference,
        performance=performance,
        days=_days(days, asked),
    )


def leaning(model: Model) -> dict[str, float]:
    """Return how much the model leans on each natural feature: a rate by zone is looked up by zones, which share its gain."""
    found: dict[str, float] = {}
    for name, gain in infer.gains(model).items():
        natural = NEEDS[name] if name in BY_NAME else (name,)
        for each in natural:
            found[each] = found.get(each, 0.0) + gain / len(natural)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _bands(rates: Sequence[Mapping[str, float]]) -> dict[str, drift.Band]:
    names = dict.fromkeys(name for each in rates for name in each)
    return {name: drift.band([each.get(name, 0.0) for each in rates]) for name in names}


def _sum(days: Mapping[str, Both], months: Sequence[Month]) -> Both:
    names = {str(month) for month in months}
    told = [both for day, both in days.items() if day[:7] in names]
    return reduce(lambda a, b: (a[0].merge(b[0]), a[1].merge(b[1])), told, NOTHING)


def _performance(month: str, now: Both, then: Both, share: Any, *, labelled: bool) -> Performance:
    card, other = now
    both = card.merge(other)
    prevalence, f1, log_loss = decay.parts(then, now) if labelled else (None, None, None)
    return Performance(
        month=month,
        rows=both.rows,
        card_share=card.rows / both.rows if both.rows else 0.0,
        tip_share=float(card.positives.sum()) / card.rows if labelled and card.rows else None,
        metrics=metrics.measure(both) if labelled else None,
        card_auc=metrics.auc(card.negatives, card.positives) if labelled else None,
        estimated=estimate.estimate(both, np.zeros(COARSE) if share is None else share),
        prevalence=prevalence,
        f1=f1,
        log_loss=log_loss,
    )


def _of_performance(did: Performance, then: Performance, bounds: Bounds, *, labelled: bool) -> list[Reading]:
    assert then.metrics is not None, "a reference has labels"
    shares = [{"card": each.card_share, "high_tips_by_card": each.tip_share} for each in (did, then)]
    known = [{name: share for name, share in each.items() if share is not None} for each in shares]
    found = list(monitor.of_shares(did.month, known[0], known[1], bounds))
    if did.metrics is not None:
        found += monitor.of_performance(did.month, did.metrics, then.metrics)
        aucs = did.card_auc, then.card_auc
        found += monitor.of_skill(did.month, did.f1, did.log_loss, aucs, bounds)
    found += monitor.of_estimate(did.month, did.estimated, then.metrics, bounds, labelled=labelled)
    return found


def _days(days: Mapping[str, Both], asked: Plan) -> list[dict[str, Any]]:
    """Return for every day of the reference and the watched months how it was, and how the week that it ends was."""
    shown = {str(month) for month in (*asked.skill, *asked.months) if asked.labelled(month)}
    names = [day for day in days if day[:7] in shown]
    whole = [days[day][0].merge(days[day][1]) for day in names]
    found = []
    for place, (day, tally) in enumerate(zip(names, whole, strict=True)):
        week = reduce(Tally.merge, whole[max(place + 1 - ROLLING, 0) : place + 1])
        found.append({"day": day, **_briefly(tally), "rolling": _briefly(week)})
    return found


def _briefly(tally: Tally) -> Metrics:
    told = metrics.measure(tally)
    return {name: told[name] for name in ("rows", "prevalence", "f1", "f1_always_yes", "auc", "log_loss")}


def to_json(found: Monitored) -> dict[str, Any]:
    """Return plain values."""
    plan_ = found.plan
    return {
        "model": found.model.version,
        "population": found.model.encoding.population,
        "months": [str(month) for month in plan_.months],
        "reference": [str(month) for month in plan_.features],
        "reference_of_skill": [str(month) for month in plan_.skill],
        "warnings": list(plan_.warnings),
        "bounds": asdict(found.bounds),
        "alerts": [alert.to_json() for alert in found.ringing],
        "rang": [alert.to_json() for alert in found.alerts],
        "gains": found.gains,
        "drift": {month: [asdict(each) for each in told] for month, told in found.drift.items()},
        "performance": [_flat(each) for each in (found.reference, *found.performance)],
        "rates": [asdict(each) for each in found.readings if each.kind in ("missing", "rejects")],
        "days": found.days,
    }


def _flat(did: Performance) -> dict[str, Any]:
    told = asdict(did)
    for name in ("prevalence", "f1", "log_loss"):
        parts: decay.Parts | None = getattr(did, name)
        told[name] = parts._asdict() if parts is not None else None
    return told
