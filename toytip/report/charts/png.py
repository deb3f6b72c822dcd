"""Pictures: drawn by matplotlib without a screen, in colours that the colour-blind can tell apart."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from toytip.evaluation.report import CalibrationBin, EvaluationReport, SegmentReport
from toytip.monitoring.aging import AgeLoss, MonthResult

# Okabe and Ito (2008).
SERIES_COLORS = ("#0072B2", "#E69F00", "#009E73")
GRAY = "#777777"
FIGURE_SIZE = (10.0, 7.0)
TALL_FIGURE_HEIGHT = 10.0
DPI = 110


def _figure() -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=FIGURE_SIZE, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def draw_backtest(rows: Sequence[MonthResult], ages: dict[str, list[AgeLoss]], title: str) -> bytes:
    """Draw what age costs in AUC, and the change of F1 in its two parts, of all trips and of card trips: a PNG."""
    figure = _figure()
    figure.suptitle(title)
    for column, population in enumerate(("all", "card")):
        told = [row for row in rows if row.population == population]
        above, below = figure.add_subplot(2, 2, 1 + column), figure.add_subplot(2, 2, 3 + column)
        _draw_loss_by_age(above, ages.get(population, []))
        above.set_title(f"{population} trips: AUC lost to a model tuned last month")
        _draw_f1_change(below, told)
        below.set_title(f"{population} trips: change of F1 since the tuning month")
    return _png(figure)


def _draw_loss_by_age(axes: Any, ages: Sequence[AgeLoss]) -> None:
    """Draw what each age costs: the mean over test months, and the least and most in one."""
    mean = [age.auc[0] for age in ages]
    reach = [[age.auc[0] - age.auc[1] for age in ages], [age.auc[2] - age.auc[0] for age in ages]]
    axes.errorbar([age.age for age in ages], mean, yerr=reach, color=SERIES_COLORS[0], marker="o", capsize=4)
    axes.axhline(0, color=GRAY, linewidth=0.8)
    axes.set_xticks([age.age for age in ages])
    axes.set_xlabel("months since the model was tuned")


def _draw_f1_change(axes: Any, rows: list[MonthResult]) -> None:
    """Draw the model that is oldest: its F1 changes, split into prevalence and skill, month by month."""
    first = next(iter(dict.fromkeys(row.trained for row in rows)), None)
    line = [row for row in rows if row.trained == first and row.age and row.f1]
    places = range(len(line))
    for offset, name, colour in ((-0.2, "prevalence", SERIES_COLORS[1]), (0.2, "skill", SERIES_COLORS[0])):
        values = [getattr(row.f1, name) for row in line]
        axes.bar([p + offset for p in places], values, width=0.4, color=colour, label=f"by {name}")
    axes.axhline(0, color=GRAY, linewidth=0.8)
    axes.set_xticks(list(places), [row.month for row in line], rotation=45, fontsize="small")
    axes.set_xlabel(f"month; the model was tuned on {first}")
    axes.legend(fontsize="small")


def draw_evaluation(report: EvaluationReport, title: str) -> bytes:
    """Draw calibration, and precision, recall and F1 by threshold, of the last split's all and card trips: a PNG."""
    figure = _figure()
    figure.suptitle(title)
    for column, (segment, evaluation) in enumerate(next(reversed(report.values())).items()):
        above, below = figure.add_subplot(2, 2, 1 + column), figure.add_subplot(2, 2, 3 + column)
        _draw_calibration(above, evaluation.calibration_curve)
        above.set_title(f"{segment} trips: calibration, error {evaluation.calibration_error:.3f}")
        _draw_thresholds(below, evaluation)
        below.set_title(f"{segment} trips: precision, recall, F1 by threshold")
    return _png(figure)


def _draw_calibration(axes: Any, bins: Sequence[CalibrationBin]) -> None:
    most_trips = max(item.trips for item in bins)
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8)
    axes.scatter(
        [item.predicted for item in bins],
        [item.observed for item in bins],
        s=[10 + 150 * item.trips / most_trips for item in bins],
        color=SERIES_COLORS[0],
    )
    axes.set_xlabel("predicted; the dot's size is the number of trips")
    axes.set_ylabel("observed")


def _draw_thresholds(axes: Any, evaluation: SegmentReport) -> None:
    for name, colour, style in (
        ("precision", SERIES_COLORS[1], "--"),
        ("recall", SERIES_COLORS[2], ":"),
        ("f1", SERIES_COLORS[0], "-"),
    ):
        curve = [(point.threshold, getattr(point, name)) for point in evaluation.threshold_curve]
        points = [point for point in curve if point[1] is not None]
        label = name if name != "f1" else "F1"
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, label=label)
    baseline = evaluation.always_positive_f1
    if baseline is not None:
        axes.axhline(baseline, color=GRAY, linewidth=0.8)
        label = f"F1 of always-positive {baseline:.3f}"
        axes.annotate(label, (0.98, baseline), fontsize="small", ha="right", va="top")
    axes.set_xlabel("threshold")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize="small")


def draw_monitoring(
    days: Sequence[dict[str, Any]], psi: dict[str, dict[str, float | None]], threshold: float, title: str
) -> bytes:
    """Draw F1, AUC and log loss of every day and of the week that it ends, F1 beside always-positive; and how far features moved: a PNG.

    `psi` is by feature, most important first, and month.
    """
    figure = _figure()
    figure.suptitle(title)
    figure.set_figheight(TALL_FIGURE_HEIGHT)
    *above, below = figure.subplots(4, 1, height_ratios=(3, 2, 2, 5))
    for axes, (metric, name) in zip(above, DAILY_METRICS.items(), strict=True):
        _draw_daily(axes, days, metric, name)
    _draw_heat_map(figure, below, psi, threshold)
    return _png(figure)


DAILY_METRICS = {"f1": "F1", "auc": "AUC", "log_loss": "Log loss"}


def _draw_daily(axes: Any, days: Sequence[dict[str, Any]], metric: str, name: str) -> None:
    import matplotlib.dates as mdates

    when = mdates.datestr2num([day["day"] for day in days])
    weeks = [day["rolling"] for day in days]
    nothing = float("nan")

    def line(told: Sequence[dict[str, Any]], name: str) -> list[float]:
        return [nothing if each[name] is None else each[name] for each in told]

    axes.plot(when, line(days, metric), ".", color=SERIES_COLORS[1], markersize=3, label="of the day")
    axes.plot(when, line(weeks, metric), color=SERIES_COLORS[0], label="of seven days")
    if metric == "f1":
        axes.plot(
            when,
            line(weeks, "always_positive_f1"),
            color=GRAY,
            linestyle="--",
            label="always-positive, seven days",
        )
        axes.legend(fontsize="small", ncols=3)
    axes.xaxis.set_major_locator(mdates.AutoDateLocator())
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_title(f"{name}, day by day", fontsize="medium")


HEAT_MAP_FEATURES = 16


def _draw_heat_map(figure: Any, axes: Any, psi: dict[str, dict[str, float | None]], threshold: float) -> None:
    names = list(psi)[:HEAT_MAP_FEATURES]
    months = list(dict.fromkeys(month for told in psi.values() for month in told))
    cells = [[psi[name][month] for month in months] for name in names]
    plain = [[float("nan") if value is None else value for value in row] for row in cells]
    drawn = axes.imshow(plain, aspect="auto", cmap="cividis", vmin=0, vmax=2 * threshold)
    axes.set_xticks(range(len(months)), months, rotation=45, fontsize="small")
    axes.set_yticks(range(len(names)), names, fontsize="small")
    for row, told in enumerate(cells):
        for column, value in enumerate(told):
            if value is not None and value >= threshold / 2:
                colour = "black" if value > threshold else "white"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_title(
        f"PSI of the features, those that the model leans on most above; the bound is {threshold:g}"
    )
    figure.colorbar(drawn, ax=axes, extend="max", shrink=0.8)
