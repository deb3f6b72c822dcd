"""monitor: what was read of every month, against bounds -> alerts, by a rule that one odd month does not set off.

An alert rings where an effect was beyond its bound in `times` of the last `windows` months, and is in the latest; where fewer
months are there, in all of them. Effects are sizes, not p-values: see `toytip/effects.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from toytip.metrics import Metrics

if TYPE_CHECKING:
    from toytip.stages.decay import Parts
    from toytip.stages.drift import Band, Drift


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How large an effect may be, and how often it must be larger before it is an alert.

    `psi`, `ks` and `wasserstein` are of features that have at least the share `gain` of the model's gain; `share` is how far
    the shares of card trips and of high tips among them may move; `f1`, `log_loss` and `auc` are what may be lost by skill.
    """

    psi: float = 0.2
    ks: float = 0.15
    wasserstein: float = 0.5
    gain: float = 0.005
    share: float = 0.05
    f1: float = 0.02
    log_loss: float = 0.02
    auc: float = 0.03
    times: int = 2
    windows: int = 3


@dataclass(frozen=True, kw_only=True)
class Reading:
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
    def beyond(self) -> bool:
        """Whether the effect is larger than it may be."""
        return self.bound is not None and self.effect is not None and self.effect > self.bound

    @property
    def key(self) -> tuple[str, str, str]:
        """What is read, in whatever month."""
        return self.kind, self.name, self.measure


@dataclass(frozen=True, kw_only=True)
class Alert:
    """What rings in a month: the reading, and the months of the last few in which it was beyond its bound."""

    reading: Reading
    months: tuple[str, ...]
    windows: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self.reading), "beyond_in": list(self.months), "windows": self.windows}


def alerts(readings: Sequence[Reading], bounds: Bounds) -> list[Alert]:
    """Return every alert that rang, in the order of the readings; those of the last month are what is to be done now."""
    series: dict[tuple[str, str, str], list[Reading]] = {}
    for reading in sorted(readings, key=lambda each: each.month):
        series.setdefault(reading.key, []).append(reading)
    rang = {}
    for key, told in series.items():
        for place, latest in enumerate(told):
            last = told[max(place + 1 - bounds.windows, 0) : place + 1]
            months = tuple(each.month for each in last if each.beyond)
            if latest.beyond and len(months) >= min(bounds.times, len(last)):
                rang[key, latest.month] = Alert(reading=latest, months=months, windows=len(last))
    return [rang[each.key, each.month] for each in readings if (each.key, each.month) in rang]


def of_drift(
    month: str, found: Sequence[Drift], gains: Mapping[str, float], bounds: Bounds
) -> Iterator[Reading]:
    """Read the effect sizes of every feature; bounded are those of features that the model leans on."""
    for each in found:
        leant = gains.get(each.feature, 0.0) >= bounds.gain
        for measure in ("psi", "ks", "wasserstein"):
            value = getattr(each, measure)
            if value is not None:
                yield Reading(
                    month=month, kind="drift", name=each.feature, measure=measure, value=value, effect=value,
                    bound=getattr(bounds, measure) if leant else None,
                )  # fmt: skip
        for measure in ("new", "vanished"):
            share = sum(getattr(each, measure).values())
            if share:
                yield Reading(
                    month=month, kind="drift", name=each.feature, measure=measure, value=share, effect=share,
                    bound=0.0 if leant else None,
                )  # fmt: skip


def of_rates(
    month: str, kind: str, rates: Mapping[str, float], bands: Mapping[str, Band]
) -> Iterator[Reading]:
    """Read how far rates of missing values, or of rejects, are outside of their bands."""
    for name, band in bands.items():
        rate = rates.get(name, 0.0)
        yield Reading(
            month=month, kind=kind, name=name, measure="rate", value=rate, reference=band.mean,
            effect=band.outside(rate), bound=0.0,
        )  # fmt: skip


def of_shares(
    month: str, now: Mapping[str, float], then: Mapping[str, float], bounds: Bounds
) -> Iterator[Reading]:
    """Read how far the share of card trips, and of high tips among them, have moved."""
    for name, value in now.items():
        yield Reading(
            month=month, kind="share", name=name, measure="share", value=value, reference=then[name],
            effect=abs(value - then[name]), bound=bounds.share,
        )  # fmt: skip


LOST = {"f1": -1, "auc": -1, "log_loss": 1}


def of_performance(month: str, now: Metrics, then: Metrics) -> Iterator[Reading]:
    """Read what was realised, without a bound: what it is due to has one."""
    for name, sign in LOST.items():
        value, before = now[name], then[name]
        if value is not None and before is not None:
            yield Reading(
                month=month, kind="performance", name=name, measure="change", value=value, reference=before,
                effect=sign * (value - before),
            )  # fmt: skip


def of_skill(
    month: str,
    f1: Parts | None,
    log_loss: Parts | None,
    card_auc: tuple[float | None, float | None],
    bounds: Bounds,
) -> Iterator[Reading]:
    """Read what was lost by skill: its part in the changes of F1 and log loss, and the AUC among card trips, now and then.

    The AUC of all trips moves with their mix; that among card trips does not.
    """
    for name, parts in (("f1", f1), ("log_loss", log_loss)):
        if parts is not None:
            yield Reading(
                month=month, kind="skill", name=name, measure="part", value=parts.skill,
                effect=LOST[name] * parts.skill, bound=getattr(bounds, name),
            )  # fmt: skip
    now, then = card_auc
    if now is not None and then is not None:
        yield Reading(
            month=month, kind="skill", name="auc", measure="card", value=now, reference=then,
            effect=then - now, bound=bounds.auc,
        )  # fmt: skip


def of_estimate(
    month: str, estimated: Metrics, then: Metrics, bounds: Bounds, *, labelled: bool
) -> Iterator[Reading]:
    """Read what is expected of months; it rings only where there are no labels that could tell."""
    for name, sign in LOST.items():
        value, before = estimated[name], then[name]
        if value is not None and before is not None:
            yield Reading(
                month=month, kind="estimate", name=name, measure="change", value=value, reference=before,
                effect=sign * (value - before), bound=None if labelled or name == "auc" else getattr(bounds, name),
            )  # fmt: skip
