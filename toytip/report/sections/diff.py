"""beside: two versions beside each other: how good they are, what they lean on, how far their trips are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from toytip.evaluation.bootstrap import paired_bootstrap
from toytip.evaluation.report import Interval, SegmentReport
from toytip.evaluation.tally import Tally
from toytip.monitoring.drift import measure_drift
from toytip.report import curves as numbers
from toytip.report import formatting
from toytip.report.blocks import Block, MissingBlock, PicturesBlock, Section, TableBlock, TableCell, TextBlock
from toytip.report.charts import model
from toytip.report.curves import CurvePoints
from toytip.report.facts import Facts
from toytip.report.sections.model import REPORTED_METRICS

DIFFERENCE_HEADER = "B \N{MINUS SIGN} A"
# As `toytip monitor` has it, without settings of its own.
DRIFT_PSI = 0.2
MAX_COMPARED_FEATURES = 15
METRIC_DIRECTIONS = {"auc": 1, "pr_auc": 1, "f1": 1, "precision": 1, "recall": 1, "log_loss": -1, "brier": -1}


def reported_metric(facts: Facts, segment: str, metric: str) -> float | None:
    """Return a metric of the shown split; None where it is not known."""
    evaluation = facts.evaluation_of(segment)
    return getattr(evaluation.metrics, metric) if evaluation else None


def difference(a: float | None, b: float | None) -> float | None:
    """Return the second less the first; None where one is not known."""
    return None if a is None or b is None else b - a


def metrics_diff_section(a: Facts, b: Facts) -> Section:
    """Return the metrics of both, with their intervals."""
    lead = (
        "Where both are of the same trips, the intervals are of how much better B is, by whole days drawn anew, the same for both: "
        "what is colored is more than chance. Otherwise each has its own."
    )
    blocks: list[Block] = []
    for population in ("all", "card"):
        x, y = a.evaluation_of(population), b.evaluation_of(population)
        if x and y:
            spans = paired_improvements(a, b, population)
            head = (
                ["A", "B", DIFFERENCE_HEADER, "B is better by, 95 %"]
                if spans
                else ["A", "95 %", "B", "95 %", DIFFERENCE_HEADER]
            )
            body = [
                _paired_row(name, x, y, spans) if spans else _interval_row(name, x, y)
                for name in REPORTED_METRICS
            ]
            caption = f"{population.capitalize()} trips of {a.reported_split}"
            blocks.append(TableBlock(caption=caption, header=[f"{population} trips", *head], rows=body))
    return Section(
        "metrics", "Metrics", lead, blocks or [MissingBlock("One of the versions has no metrics.")]
    )


def paired_improvements(a: Facts, b: Facts, segment: str) -> dict[str, Interval | None]:
    """Return 95 % intervals of how much better B is, below zero where it is worse; empty where the trips are not the same."""
    ours, theirs = (facts.daily_tallies.get(segment, {}) for facts in (b, a))
    counts = [
        {day: (tally.rows, int(tally.positives.sum())) for day, tally in side.items()}
        for side in (ours, theirs)
    ]
    if not ours or counts[0] != counts[1]:
        return {}
    return paired_bootstrap(list(ours.values()), list(theirs.values()))


def _paired_row(
    name: str, x: SegmentReport, y: SegmentReport, intervals: Mapping[str, Interval | None]
) -> list[str | TableCell]:
    values = [getattr(evaluation.metrics, name) for evaluation in (x, y)]
    span = intervals.get(name)
    mood = "" if not span else "good" if span.low > 0 else "bad" if span.high < 0 else ""
    told = (
        f"{formatting.format_signed(span.low)} to {formatting.format_signed(span.high)}"
        if span
        else formatting.NO_VALUE
    )
    return [
        formatting.label(name),
        *map(formatting.format_metric, values),
        TableCell(formatting.format_signed(difference(*values)), tone=mood),
        told,
    ]


def _interval_row(name: str, x: SegmentReport, y: SegmentReport) -> list[str | TableCell]:
    cells: list[str | TableCell] = [formatting.label(name)]
    values = [getattr(evaluation.metrics, name) for evaluation in (x, y)]
    for value, evaluation in zip(values, (x, y), strict=True):
        span = evaluation.intervals.get(name)
        cells += [
            formatting.format_metric(value),
            f"{span.low:.4f} to {span.high:.4f}" if span else formatting.NO_VALUE,
        ]
    return [*cells, formatting.format_signed(difference(*values))]


def curves_diff_section(a: Facts, b: Facts) -> Section:
    """Return the curves of both in one picture each."""
    drawn = []
    for population in ("all", "card"):
        pair = [each.tallies.get(population) for each in (a, b)]
        lines = _curve_pair(pair, numbers.roc_curve)
        if len(lines) == 2:
            says = "Where one line is above the other, that version ranks better."
            drawn.append(model.draw_roc(f"roc-{population}", lines, says, title=f"ROC, {population} trips"))
        lines = _curve_pair(pair, numbers.precision_recall_curve)
        if len(lines) == 2:
            says = "The higher, the fewer trips are flagged in vain."
            title = f"Precision and recall, {population} trips"
            drawn.append(model.draw_precision_recall(f"pr-{population}", lines, {}, says, title=title))
    first, second = a.evaluation_of("all"), b.evaluation_of("all")
    if first and second:
        lines = {
            color: (name, numbers.calibration_curve(evaluation.calibration_curve))
            for color, name, evaluation in (("a", "A", first), ("b", "B", second))
        }
        errors = [evaluation.calibration_error or 0 for evaluation in (first, second)]
        says = f"The closer to the diagonal the better: off by {errors[0]:.3f} in A and {errors[1]:.3f} in B on average."
        drawn.append(model.draw_calibration("calibration", lines, says))
    if a.learning_curve.get("validation") and b.learning_curve.get("validation"):
        lines = {
            c: (n, _losses_by_round(each.learning_curve["validation"]))
            for c, n, each in (("a", "A", a), ("b", "B", b))
        }
        says = f"A keeps {a.rounds} rounds, B {b.rounds}."
        drawn.append(model.draw_learning_curve("training", lines, None, says))
    if not drawn:
        return Section("curves", "Curves", "", [MissingBlock("One of the versions has no scored trips.")])
    return Section("curves", "Curves", "A is drawn whole, B dashed.", [PicturesBlock(drawn)])


def _curve_pair(
    tallies: Sequence[Tally | None], compute_curve: Callable[[Tally], CurvePoints | None]
) -> dict[str, tuple[str, CurvePoints]]:
    found = {}
    for color, name, tally in zip("ab", "AB", tallies, strict=True):
        if tally is not None and (line := compute_curve(tally)) is not None:
            found[color] = (name, line)
    return found


def _losses_by_round(losses: Sequence[float]) -> CurvePoints:
    return [float(k + 1) for k in range(len(losses))], list(losses)


def features_diff_section(a: Facts, b: Facts) -> Section:
    """Return how far the features of one are from those of the other."""
    lead = f"How far the features of B's trips are from those of A's, in effect sizes; a PSI beyond {DRIFT_PSI:g} is a drift."
    if not a.histograms or not b.histograms:
        return Section("features", "Features", lead, [MissingBlock("One of the versions has no profiles.")])
    told = sorted(measure_drift(a.histograms, b.histograms), key=lambda each: -(each.psi or 0.0))[
        :MAX_COMPARED_FEATURES
    ]
    if not any(each.psi or each.ks for each in told):
        return Section(
            "features",
            "Features",
            lead,
            [TextBlock("No feature has moved: the trips are the same, or alike.")],
        )
    body: list[list[str | TableCell]] = [
        [
            each.feature, TableCell(_format_effect(each.psi), level=5 if (each.psi or 0) > DRIFT_PSI else 0), _format_effect(each.ks),
            *(formatting.NO_VALUE if mean is None else formatting.compact(mean) for mean in (each.reference_mean, each.mean)),
            formatting.format_share(each.reference_missing), formatting.format_share(each.missing),
        ]
        for each in told
    ]  # fmt: skip
    head = ["feature", "PSI", "KS", "mean in A", "in B", "missing in A", "in B"]
    return Section(
        "features",
        "Features",
        lead,
        [TableBlock(caption=f"The {len(told)} that have moved most", header=head, rows=body)],
    )


def _format_effect(value: float | None) -> str:
    return formatting.NO_VALUE if value is None else f"{value:.3f}"


def importance_diff_section(a: Facts, b: Facts) -> Section:
    """Return what the models of both lean on."""
    lead = "The mean size of a feature's contribution to the log-odds (SHAP), of a sample of test trips of each version."
    if not a.feature_importance or not b.feature_importance:
        return Section(
            "leaning", "What the models lean on", lead, [MissingBlock("One of the versions has no model.")]
        )
    sides = [{each.name: each.mean_abs_shap for each in facts.feature_importance} for facts in (a, b)]
    names = sorted({**sides[0], **sides[1]}, key=lambda name: -max(side.get(name) or 0.0 for side in sides))[
        :MAX_COMPARED_FEATURES
    ]
    most = max((side.get(name) or 0.0 for side in sides for name in names), default=1.0) or 1.0
    body: list[list[str | TableCell]] = [
        [
            name,
            *(_bar_cell(side.get(name), most) for side in sides),
            formatting.format_signed(difference(sides[0].get(name), sides[1].get(name)), 3),
        ]
        for name in names
    ]
    head = ["feature", "A", "B", DIFFERENCE_HEADER]
    return Section(
        "leaning",
        "What the models lean on",
        lead,
        [TableBlock(caption="Mean |SHAP|", header=head, rows=body)],
    )


def _bar_cell(value: float | None, max_value: float) -> TableCell:
    return TableCell(formatting.NO_VALUE if value is None else f"{value:.3f}", bar=(value or 0.0) / max_value)
