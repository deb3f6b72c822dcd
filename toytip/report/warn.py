"""warn: what a reader should know before all else, from what is known already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from toytip.report import rings, say
from toytip.report.facts import Facts

# Of so many trips rejected, somebody should look why; a month that rejects so many times the usual share, too.
MANY_REJECTS = 0.05
UNUSUAL = 3
LEAST = 0.01
# With fewer test trips, metrics say little.
FEW_TRIPS = 5_000
CALIBRATION = 0.05
# An AUC so much better on the training months than on the test months: the model knows its rows by heart.
BY_HEART = 0.05
# A baseline that is so much better in AUC is better, whatever the interval.
CLEAR = 0.01

# Always yes is told by its F1, the champion by the gate.
TOLD = ("always_yes", "champion")

# What the version has, and could not be told: in words, and the section that would tell it.
PARTS = {
    "model": ("the model", "ran"), "evaluation": ("metrics", "metrics"), "features": ("features by month", "features"),
    "training": ("the training curve", "training"), "time": ("time and memory", "time"),
    "leaning": ("what the model leans on", "leaning"),
}  # fmt: skip

Warning_ = tuple[str, str]


def warnings(facts: Facts) -> list[Warning_]:
    """Return what to look at first, each line with the section that tells more."""
    found = [
        *_failed(facts),
        *_gate(facts),
        *_alerts(facts),
        *_quality(facts),
        *_rows(facts),
        *_training(facts),
    ]
    return list(dict.fromkeys(found))


def failures(facts: Facts) -> Iterator[Warning_]:
    """Yield what the version has and this page cannot tell: a damaged file, say. What it never had is no fault."""
    for name in facts.failed:
        what, where = PARTS.get(name, (name, name))
        yield f"{what} cannot be told: {facts.missing[name]}", where


def _failed(facts: Facts) -> Iterator[Warning_]:
    for line, where in failures(facts):
        yield f"{say.first(line)}.", where


def _gate(facts: Facts) -> Iterator[Warning_]:
    told = (facts.run or {}).get("registry") or {}
    if told.get("decision") in ("refused", "would stay challenger"):
        yield f"The gate has not promoted the model: {'; '.join(told['reasons'])}.", "ran"


def _alerts(facts: Facts) -> Iterator[Warning_]:
    told = facts.monitor or {}
    for each in told.get("alerts", ()):
        yield f"Monitoring rings in {each['month']}: {rings.alert(each)}.", "drift"
    for line in told.get("warnings", ()):
        yield f"{say.first(line)}.", "drift"


def _quality(facts: Facts) -> Iterator[Warning_]:
    for name, value in facts.leaks.items():
        line = f"Feature {name} alone reaches an AUC of {value:.4f}: it knows the tip, or nearly."
        yield f"{line} Is it known at its moment?", "leaning"
    split = facts.split_shown
    for population, told in facts.evaluation.get(split, {}).items():
        if facts.own == "card" and population == "all":  # cash is none of its business
            continue
        yield from _population(split, population, told)
    train = facts.evaluation.get("train", {}).get(facts.population or "all")
    shown = facts.told(facts.population or "all")
    if train and shown and split != "train":
        a, b = train["metrics"]["auc"], shown["metrics"]["auc"]
        if a is not None and b is not None and a - b > BY_HEART:
            yield (
                f"The AUC is {a:.4f} on the training rows and {b:.4f} on {split}: learned by heart, or the months differ.",
                "metrics",
            )


def _population(split: str, population: str, told: Mapping[str, Any]) -> Iterator[Warning_]:
    values, trips = told["metrics"], f"{population} trips of {split}"
    if values["rows"] < FEW_TRIPS:
        yield f"Only {say.count(values['rows'])} {trips}: the metrics can be off by much.", "metrics"
    if told["intervals"].get("auc") is None:
        yield f"The metrics of {trips} have no intervals: fewer than seven days.", "metrics"
    f1, yes = values["f1"], values["f1_always_yes"]
    if f1 is not None and yes is not None and f1 < yes:
        yield f"F1 of {trips} is {f1:.4f}, below the {yes:.4f} of always yes.", "metrics"
    for baseline, lifts in told["lift"].items():
        if baseline not in TOLD and _clearly_worse(
            values["auc"], lifts.get("auc"), told["intervals"].get("auc")
        ):
            yield (
                f"The baseline {say.word(baseline)} ranks {trips} better than the model, by {-lifts['auc']:.4f} of AUC.",
                "metrics",
            )
    if (told["ece"] or 0) > CALIBRATION:
        yield f"Probabilities of {trips} are {told['ece']:.3f} off on average.", "curves"


def _clearly_worse(auc: float | None, lift: float | None, span: Sequence[float] | None) -> bool:
    """Tell whether a baseline's AUC is above the interval of the model's, or above it by what nobody would call chance."""
    if auc is None or lift is None:
        return False
    return lift <= -CLEAR or (span is not None and auc - lift > span[1])


def _rows(facts: Facts) -> Iterator[Warning_]:
    source = (facts.run or {}).get("source", "")
    if source == "synthetic":
        yield "The trips are synthetic: nothing here says anything of real passengers.", "ran"
    rates = {month: 1 - told.kept / told.read for month, told in facts.rows.items() if told.read}
    if "rejects" in facts.missing or not rates:
        return
    read = sum(told.read for told in facts.rows.values())
    rejected = read - sum(told.kept for told in facts.rows.values())
    if rejected / read > MANY_REJECTS:
        yield f"{say.share(rejected / read)} of the trips were rejected.", "rows"
    usual = sorted(rates.values())[len(rates) // 2]
    for month, rate in rates.items():
        if rate > max(UNUSUAL * usual, LEAST):
            yield (
                f"{month} rejects {say.share(rate)} of its trips, where {say.share(usual)} is usual.",
                "rows",
            )


def _training(facts: Facts) -> Iterator[Warning_]:
    asked = facts.config.get("models", {})
    if facts.rounds is not None and facts.split and "valid" not in facts.split:
        yield "There was no validation month: no early stop, and the threshold is 0.5.", "training"
    elif facts.rounds is not None and facts.rounds == asked.get("rounds"):
        yield f"The last of {facts.rounds} rounds was the best: more rounds may do better.", "training"


def none_of(facts: Facts) -> Sequence[str]:
    """Return what was looked at, for a page without warnings."""
    looked = {
        "the gate": bool((facts.run or {}).get("registry")),
        "monitoring": facts.monitor is not None,
        "baselines": bool(facts.evaluation),
        "leaks": "encodings" in facts.tables,
        "rejects": bool(facts.rows) and "rejects" not in facts.missing,
    }
    return [name for name, done in looked.items() if done]
