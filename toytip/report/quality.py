"""quality: sections of how the model learned, and how good it is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from toytip.metrics import ENOUGH
from toytip.report import facts as numbers
from toytip.report import pictures, say
from toytip.report.blocks import Block, Cell, Missing, Picture, Pictures, Section, Table, Text
from toytip.report.facts import Facts, Line
from toytip.report.lines import Lines
from toytip.tally import SUPPORT

COLOURS = {"all": "a", "card": "b"}
METRICS = ("auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "prevalence")
WHY_TWO = (
    "The meter records card tips only: a cash trip always looks like no tip. “All” is therefore the easier task, much of "
    "which is telling how a trip was paid; “card” asks who tips."
)
SLICES = 8


def training(facts: Facts) -> Section:
    """Return the log loss by round."""
    lead = "Each round adds a tree; the model keeps the rounds up to the one that was best on the validation month."
    lines = curves(facts.curve, "a", "b")
    if not lines:
        return Section(
            "training",
            "Training",
            lead,
            [Missing(f"No curve: {facts.missing.get('training', 'no round was told')}.")],
        )
    valid, best = facts.curve.get("valid", ()), facts.rounds
    if valid and best:
        after = len(valid) - best
        tail = f"; {after} more brought nothing" if after else "; it was the last"
        says = f"Round {best} is the best, with a log loss of {valid[best - 1]:.4f} on the validation month{tail}."
    else:
        says = f"{len(facts.curve.get('train', ()))} rounds, with no validation month to watch."
    blocks: list[Block] = [Pictures([pictures.training("training", lines, best, says)])]
    blocks.append(
        Text(
            "The training curve is told of an even sample of the training trips, some 33,000 of every worker; the other of all "
            "validation trips."
        )
    )
    return Section("training", "Training", lead, blocks)


def curves(told: Mapping[str, Sequence[float]], train: str, valid: str) -> dict[str, tuple[str, Line]]:
    """Return the lines of a training curve: training losses stand before their round, validation losses after it."""
    found = {}
    for colour, name, start in ((train, "train", 0), (valid, "valid", 1)):
        losses = list(told.get(name, ()))
        if losses:
            step = max(len(losses) // numbers.POINTS, 1)
            found[colour] = (name, ([float(k + start) for k in range(0, len(losses), step)], losses[::step]))
    return found


def ranking(facts: Facts) -> Section:
    """Return ROC, precision and recall, calibration, thresholds and probabilities of the test trips."""
    split = facts.split_shown
    lead = (
        f"How the probabilities of the {split} trips rank them, and how far they can be taken at their word."
        if split
        else ""
    )
    if not facts.evaluation or not facts.tallies:
        return Section("curves", "Ranking, calibration, thresholds", lead, [_none(facts)])
    drawn = [
        pictures.roc("roc", *_roc(facts)),
        pictures.precision_recall("pr", *_precision_recall(facts)),
        pictures.calibration("calibration", *_calibration(facts)),
        *_thresholds(facts),
    ]
    tally = facts.tallies.get(facts.own)
    if tally is not None:
        says = f"{say.count(tally.rows)} {facts.own} trips; the further apart the two colours, the easier the decision."
        drawn.append(pictures.probabilities("probabilities", tally, says))
    return Section("curves", "Ranking, calibration, thresholds", lead, [Pictures(drawn)])


def _none(facts: Facts) -> Missing:
    return Missing(
        f"No metrics: {facts.missing.get('evaluation') or facts.missing.get('model', 'there are no scored trips')}."
    )


def _roc(facts: Facts) -> tuple[Lines, str]:
    lines = {
        COLOURS[name]: (f"{name} trips, AUC {facts.told(name)['metrics']['auc'] or 0:.3f}", line)
        for name, tally in facts.tallies.items()
        if (line := numbers.roc(tally)) is not None
    }
    if facts.rated is not None and (line := numbers.roc(facts.rated)) is not None:
        auc = facts.told("all")["baselines"]["hour_zone"]["auc"]
        lines["c"] = (f"rates by hour and zone, AUC {auc or 0:.3f}", line)
    return lines, "The further above the diagonal, which is guessing, the better the trips are ranked."


def _precision_recall(facts: Facts) -> tuple[Lines, dict[str, float], str]:
    lines = {
        COLOURS[name]: (f"{name} trips", line)
        for name, tally in facts.tallies.items()
        if (line := numbers.precision_recall(tally)) is not None
    }
    floors = {COLOURS[name]: facts.told(name)["metrics"]["prevalence"] or 0.0 for name in facts.tallies}
    return lines, floors, "The thin lines are the shares of high tips: what flagging at random reaches."


def _calibration(facts: Facts) -> tuple[Lines, str]:
    lines = {
        COLOURS[name]: (f"{name} trips", numbers.bands(facts.told(name)["calibration"]))
        for name in facts.tallies
    }
    error = facts.told(facts.own)["ece"]
    says = f"On the diagonal, 0.7 means seven in ten; the mean distance from it is {error or 0:.3f}, of {facts.own} trips."
    return lines, says


def _thresholds(facts: Facts) -> list[Picture]:
    drawn = []
    for name in facts.tallies:
        told = facts.told(name)
        best = max((p for p in told["curve"] if p["f1"] is not None), key=lambda p: p["f1"], default=None)
        if best is None:
            continue
        at = facts.threshold or 0.5
        says = (
            f"The upright line is the threshold in use, {at:.3f}; F1 would be highest at {best['threshold']:.2f}, "
            f"with {best['f1']:.3f}."
        )
        title = f"Thresholds, {name} trips"
        yes = told["metrics"]["f1_always_yes"]
        drawn.append(
            pictures.thresholds(f"threshold-{name}", title, told["curve"], yes, facts.threshold, says)
        )
    return drawn


def metrics(facts: Facts) -> Section:
    """Return the metrics with intervals, beside those of trivial predictors, of both populations and all splits."""
    lead = f"A metric says something beside what trivial predictors reach. {WHY_TWO}"
    if not facts.evaluation:
        return Section("metrics", "Metrics", lead, [_none(facts)])
    split = facts.split_shown
    blocks: list[Block] = [_metrics(split, name, told) for name, told in facts.evaluation[split].items()]
    blocks.append(_splits(facts))
    return Section("metrics", "Metrics", lead, blocks)


def _metrics(split: str, population: str, told: Mapping[str, Any]) -> Table:
    body: list[list[str | Cell]] = []
    for name in METRICS:
        span = told["intervals"].get(name)
        cells: list[str | Cell] = [say.word(name), say.metric(told["metrics"][name])]
        cells.append(f"{span[0]:.4f} to {span[1]:.4f}" if span else say.NONE)
        cells += [_lift(lifts.get(name)) for lifts in told["lift"].values()]
        body.append(cells)
    body.append(["calibration error", say.metric(told["ece"]), "", *("" for _ in told["lift"])])
    confusion = told["confusion"]
    note = "Lifts are signed so that + is better, of losses too. Confusion: " + ", ".join(
        f"{say.count(confusion[key])} {say.word(key)}" for key in confusion
    )
    head = [
        f"{population} trips of {split}",
        "value",
        "95 % interval",
        *(f"lift over {say.word(name)}" for name in told["lift"]),
    ]
    caption = f"{population.capitalize()} trips of {split}: {say.count(told['metrics']['rows'])} trips"
    return Table(caption=caption, head=head, rows=body, note=f"{note}.")


def _lift(value: float | None) -> Cell:
    if value is None:
        return Cell("")
    return Cell(say.signed(value), mood="good" if value > 0 else "bad" if value < 0 else "")


def _splits(facts: Facts) -> Table:
    populations = [(s, p) for s, told in facts.evaluation.items() for p in told]
    body = [
        [say.word(name), *(_value(name, facts.evaluation[s][p]["metrics"][name]) for s, p in populations)]
        for name in ("rows", *METRICS, "f1_always_yes")
    ]
    head = ["metric", *(f"{s}, {p}" for s, p in populations)]
    return Table(caption="All splits side by side", head=head, rows=body)


def _value(name: str, value: float | None) -> str:
    return say.count(value) if name == "rows" else say.metric(value)


def slices(facts: Facts) -> Section:
    """Return the slices on which the model ranks worst, and by borough."""
    lead = (
        f"Where the model ranks trips worst, of {facts.own} trips of {facts.split_shown}: among slices of at least {SUPPORT}, "
        f"with {ENOUGH} high tips or more, and as many others. Within a slice an AUC has no help from what sets slices apart."
    )
    told = facts.told(facts.own)
    if not told:
        return Section("slices", "Slices", lead, [_none(facts)])
    worst = ranked(told["slices"])[:SLICES]
    blocks: list[Block] = [
        _slices("The slices with the lowest AUC", worst, named=True)
        if worst
        else Missing("No slice has trips enough to tell how they are ranked.")
    ]
    for name in ("payment_type", "borough", "distance"):
        those = sorted((each for each in told["slices"] if each["slice"] == name), key=_place)
        if len(those) > 1:
            blocks.append(_slices(f"By {say.word(name)}", those, named=False))
        elif name == "borough" and not those:
            blocks.append(
                Missing("No slices by borough: the zone table was not found when these trips were scored.")
            )
    return Section("slices", "Slices", lead, blocks)


def ranked(told: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the slices that have enough trips of both classes for an AUC to say something, the worst first."""
    high = [round(each["rows"] * each["prevalence"]) for each in told]
    enough = [
        each for each, count in zip(told, high, strict=True) if ENOUGH <= count <= each["rows"] - ENOUGH
    ]
    return sorted(enough, key=lambda each: each["auc"])


def _slices(caption: str, told: Sequence[Mapping[str, Any]], *, named: bool) -> Table:
    most = max([each["rows"] for each in told] or [1])
    body: list[list[str | Cell]] = [
        [
            _name(each, named=named),
            Cell(say.count(each["rows"]), bar=each["rows"] / most),
            say.share(each["prevalence"]),
            say.metric(each["auc"]),
            say.metric(each["f1"]),
            say.metric(each["f1_always_yes"]),
            say.metric(each["log_loss"]),
        ]
        for each in told
    ]
    head = ["slice", "trips", "high tips", "AUC", "F1", "F1 of always yes", "log loss"]
    return Table(caption=caption, head=head, rows=body)


def _name(each: Mapping[str, Any], *, named: bool) -> str:
    value = say.meaning(each["slice"], str(each["value"]))
    return f"{say.word(each['slice'])} {value}" if named else value


def _place(each: Mapping[str, Any]) -> tuple[float, str]:
    """Return where a slice stands: by the number that it begins with, else by its name."""
    number = re.match(r"\d+", str(each["value"]))
    return (float(number[0]) if number else math.inf), str(each["value"])
