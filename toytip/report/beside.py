"""beside: two versions beside each other: how good they are, what they lean on, how far their trips are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toytip.metrics import paired
from toytip.report import facts as numbers
from toytip.report import pictures, say
from toytip.report.blocks import Block, Cell, Missing, Pictures, Section, Table, Text
from toytip.report.facts import Facts, Line
from toytip.report.quality import METRICS
from toytip.stages.drift import drift
from toytip.tally import Tally

LESS = "B \N{MINUS SIGN} A"
# As `toytip monitor` has it, without settings of its own.
PSI = 0.2
TOP = 15
BETTER = {"auc": 1, "pr_auc": 1, "f1": 1, "precision": 1, "recall": 1, "log_loss": -1, "brier": -1}


def value(facts: Facts, population: str, key: str) -> float | None:
    """Return a metric of the shown split; None where it is not known."""
    told = facts.told(population)
    return told["metrics"].get(key) if told else None


def less(a: float | None, b: float | None) -> float | None:
    """Return the second less the first; None where one is not known."""
    return None if a is None or b is None else b - a


def metrics(a: Facts, b: Facts) -> Section:
    """Return the metrics of both, with their intervals."""
    lead = (
        "Where both are of the same trips, the intervals are of how much better B is, by whole days drawn anew, the same for both: "
        "what is coloured is more than chance. Otherwise each has its own."
    )
    blocks: list[Block] = []
    for population in ("all", "card"):
        x, y = a.told(population), b.told(population)
        if x and y:
            spans = gained(a, b, population)
            head = ["A", "B", LESS, "B is better by, 95 %"] if spans else ["A", "95 %", "B", "95 %", LESS]
            body = [_paired(name, x, y, spans) if spans else _metric(name, x, y) for name in METRICS]
            caption = f"{population.capitalize()} trips of {a.split_shown}"
            blocks.append(Table(caption=caption, head=[f"{population} trips", *head], rows=body))
    return Section("metrics", "Metrics", lead, blocks or [Missing("One of the versions has no metrics.")])


def gained(a: Facts, b: Facts, population: str) -> dict[str, list[float] | None]:
    """Return 95 % intervals of how much better B is, below zero where it is worse; empty where the trips are not the same."""
    ours, theirs = (facts.days.get(population, {}) for facts in (b, a))
    counts = [
        {day: (tally.rows, int(tally.positives.sum())) for day, tally in side.items()}
        for side in (ours, theirs)
    ]
    if not ours or counts[0] != counts[1]:
        return {}
    return paired(list(ours.values()), list(theirs.values()))


def _paired(
    name: str, x: Mapping[str, Any], y: Mapping[str, Any], spans: Mapping[str, list[float] | None]
) -> list[str | Cell]:
    values = [told["metrics"][name] for told in (x, y)]
    span = spans.get(name)
    mood = "" if not span else "good" if span[0] > 0 else "bad" if span[1] < 0 else ""
    told = f"{say.signed(span[0])} to {say.signed(span[1])}" if span else say.NONE
    return [say.word(name), *map(say.metric, values), Cell(say.signed(less(*values)), mood=mood), told]


def _metric(name: str, x: Mapping[str, Any], y: Mapping[str, Any]) -> list[str | Cell]:
    cells: list[str | Cell] = [say.word(name)]
    for told in (x, y):
        span = told["intervals"].get(name)
        cells += [say.metric(told["metrics"][name]), f"{span[0]:.4f} to {span[1]:.4f}" if span else say.NONE]
    change = less(x["metrics"][name], y["metrics"][name])
    return [*cells, say.signed(change)]


def curves(a: Facts, b: Facts) -> Section:
    """Return the curves of both in one picture each."""
    drawn = []
    for population in ("all", "card"):
        pair = [each.tallies.get(population) for each in (a, b)]
        lines = _pair(pair, numbers.roc)
        if len(lines) == 2:
            says = "Where one line is above the other, that version ranks better."
            drawn.append(pictures.roc(f"roc-{population}", lines, says, title=f"ROC, {population} trips"))
        lines = _pair(pair, numbers.precision_recall)
        if len(lines) == 2:
            says = "The higher, the fewer trips are flagged in vain."
            title = f"Precision and recall, {population} trips"
            drawn.append(pictures.precision_recall(f"pr-{population}", lines, {}, says, title=title))
    if a.told("all") and b.told("all"):
        lines = {
            c: (n, numbers.bands(each.told("all")["calibration"]))
            for c, n, each in (("a", "A", a), ("b", "B", b))
        }
        errors = [each.told("all")["ece"] or 0 for each in (a, b)]
        says = f"The closer to the diagonal the better: off by {errors[0]:.3f} in A and {errors[1]:.3f} in B on average."
        drawn.append(pictures.calibration("calibration", lines, says))
    if a.curve.get("valid") and b.curve.get("valid"):
        lines = {c: (n, _losses(each.curve["valid"])) for c, n, each in (("a", "A", a), ("b", "B", b))}
        says = f"A keeps {a.rounds} rounds, B {b.rounds}."
        drawn.append(pictures.training("training", lines, None, says))
    if not drawn:
        return Section("curves", "Curves", "", [Missing("One of the versions has no scored trips.")])
    return Section("curves", "Curves", "A is drawn whole, B dashed.", [Pictures(drawn)])


def _pair(tallies: Sequence[Tally | None], of: Callable[[Tally], Line | None]) -> dict[str, tuple[str, Line]]:
    found = {}
    for colour, name, tally in zip("ab", "AB", tallies, strict=True):
        if tally is not None and (line := of(tally)) is not None:
            found[colour] = (name, line)
    return found


def _losses(told: Sequence[float]) -> Line:
    return [float(k + 1) for k in range(len(told))], list(told)


def features(a: Facts, b: Facts) -> Section:
    """Return how far the features of one are from those of the other."""
    lead = f"How far the features of B's trips are from those of A's, in effect sizes; a PSI beyond {PSI:g} is a drift."
    if not a.histograms or not b.histograms:
        return Section("features", "Features", lead, [Missing("One of the versions has no profiles.")])
    told = sorted(drift(a.histograms, b.histograms), key=lambda each: -(each.psi or 0.0))[:TOP]
    if not any(each.psi or each.ks for each in told):
        return Section(
            "features", "Features", lead, [Text("No feature has moved: the trips are the same, or alike.")]
        )
    body: list[list[str | Cell]] = [
        [
            each.feature, Cell(_number(each.psi), level=5 if (each.psi or 0) > PSI else 0), _number(each.ks),
            *(say.NONE if mean is None else say.rough(mean) for mean in (each.reference_mean, each.mean)),
            say.share(each.reference_missing), say.share(each.missing),
        ]
        for each in told
    ]  # fmt: skip
    head = ["feature", "PSI", "KS", "mean in A", "in B", "missing in A", "in B"]
    return Section(
        "features",
        "Features",
        lead,
        [Table(caption=f"The {len(told)} that have moved most", head=head, rows=body)],
    )


def _number(value: float | None) -> str:
    return say.NONE if value is None else f"{value:.3f}"


def leaning(a: Facts, b: Facts) -> Section:
    """Return what the models of both lean on."""
    lead = "The mean size of a feature's contribution to the log-odds (SHAP), of a sample of test trips of each version."
    if not a.leaning or not b.leaning:
        return Section(
            "leaning", "What the models lean on", lead, [Missing("One of the versions has no model.")]
        )
    sides = [{each.name: each.shap for each in facts.leaning} for facts in (a, b)]
    names = sorted({**sides[0], **sides[1]}, key=lambda name: -max(side.get(name) or 0.0 for side in sides))[
        :TOP
    ]
    most = max((side.get(name) or 0.0 for side in sides for name in names), default=1.0) or 1.0
    body: list[list[str | Cell]] = [
        [
            name,
            *(_bar(side.get(name), most) for side in sides),
            say.signed(less(sides[0].get(name), sides[1].get(name)), 3),
        ]
        for name in names
    ]
    head = ["feature", "A", "B", LESS]
    return Section(
        "leaning", "What the models lean on", lead, [Table(caption="Mean |SHAP|", head=head, rows=body)]
    )


def _bar(value: float | None, most: float) -> Cell:
    return Cell(say.NONE if value is None else f"{value:.3f}", bar=(value or 0.0) / most)
