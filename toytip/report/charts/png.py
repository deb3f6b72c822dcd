"""Draw charts as PNG files, in colors that readers with color blindness can distinguish."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toytip.report.charts.style import default_style

if TYPE_CHECKING:
    from toytip.evaluation.report import CalibrationBin, EvaluationReport, SegmentReport
    from toytip.monitoring.aging import AgedPerformance, AgeLoss, BacktestResult
    from toytip.monitoring.report import DayPerformance, MonitoringReport, PeriodMetric

# Colors of Okabe and Ito (2008).
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


def _add_column(figure: Any, column: int, columns: int) -> tuple[Any, Any]:
    """Return two charts of a column, one above the other."""
    return figure.add_subplot(2, columns, 1 + column), figure.add_subplot(2, columns, 1 + columns + column)


@default_style()
def draw_backtest(result: BacktestResult) -> bytes:
    """Draw the AUC loss by model age, and the causes of changes in F1. Returns a PNG file."""
    figure = _figure()
    figure.suptitle(f"Backtest of {result.version}")
    for column, segment in enumerate(result.auc_loss_by_age):
        performance = [row for row in result.performance_by_month if row.segment == segment]
        above, below = _add_column(figure, column, len(result.auc_loss_by_age))
        _draw_loss_by_age(above, result.auc_loss_by_age.get(segment, ()))
        above.set_title(f"Segment {segment}: AUC loss by model age")
        _draw_f1_change(below, performance)
        below.set_title(f"Segment {segment}: change in F1")
    return _png(figure)


def _draw_loss_by_age(axes: Any, losses: Sequence[AgeLoss]) -> None:
    """Draw the mean, smallest and largest AUC loss over the test months, by model age."""
    ages, mean = [loss.age_months for loss in losses], [loss.auc.mean for loss in losses]
    below = [loss.auc.mean - loss.auc.minimum for loss in losses]
    above = [loss.auc.maximum - loss.auc.mean for loss in losses]
    axes.errorbar(ages, mean, yerr=[below, above], color=SERIES_COLORS[0], marker="o", capsize=4)
    axes.axhline(0, color=GRAY, linewidth=0.8)
    axes.set_xticks(ages)
    axes.set_xlabel("model age in months")


def _draw_f1_change(axes: Any, performance: Sequence[AgedPerformance]) -> None:
    """Draw two parts of the change in F1 of the first model by month: prevalence and model."""
    first = performance[0].validation_month if performance else None
    months = [
        (row.month, row.f1_change)
        for row in performance
        if row.validation_month == first and row.age_months and row.f1_change
    ]
    positions = range(len(months))
    parts = {
        "due to prevalence": (-0.2, SERIES_COLORS[1], [change.prevalence for _, change in months]),
        "due to model": (0.2, SERIES_COLORS[0], [change.model for _, change in months]),
    }
    for label, (offset, color, values) in parts.items():
        axes.bar([position + offset for position in positions], values, width=0.4, color=color, label=label)
    axes.axhline(0, color=GRAY, linewidth=0.8)
    axes.set_xticks(list(positions), [month for month, _ in months], rotation=45, fontsize="small")
    axes.set_xlabel(f"month (validation month of the model: {first})")
    axes.legend(fontsize="small")


@default_style()
def draw_evaluation(report: EvaluationReport, title: str) -> bytes:
    """Draw calibration and threshold curves by segment, for the last split. Returns a PNG file."""
    figure = _figure()
    figure.suptitle(title)
    segments = next(reversed(report.values()))
    for column, (segment, evaluation) in enumerate(segments.items()):
        above, below = _add_column(figure, column, len(segments))
        _draw_calibration(above, evaluation.calibration_curve)
        above.set_title(f"{segment} trips: calibration, expected error {evaluation.calibration_error:.3f}")
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
    axes.set_xlabel("predicted probability (dot size: number of trips)")
    axes.set_ylabel("observed share of positive labels")


def _draw_thresholds(axes: Any, evaluation: SegmentReport) -> None:
    for name, color, style in (
        ("precision", SERIES_COLORS[1], "--"),
        ("recall", SERIES_COLORS[2], ":"),
        ("f1", SERIES_COLORS[0], "-"),
    ):
        curve = [(point.threshold, getattr(point, name)) for point in evaluation.threshold_curve]
        points = [point for point in curve if point[1] is not None]
        label = name if name != "f1" else "F1"
        axes.plot(*zip(*points, strict=True), color=color, linestyle=style, label=label)
    baseline = evaluation.f1_always_positive
    if baseline is not None:
        axes.axhline(baseline, color=GRAY, linewidth=0.8)
        label = f"F1 of the always-positive baseline: {baseline:.3f}"
        axes.annotate(label, (0.98, baseline), fontsize="small", ha="right", va="top")
    axes.set_xlabel("threshold")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize="small")


@default_style()
def draw_monitoring(report: MonitoringReport) -> bytes:
    """Draw F1, AUC and log loss by day and over seven days, and drift by month (PNG)."""
    figure = _figure()
    figure.suptitle(f"Monitoring of {report.model}")
    figure.set_figheight(TALL_FIGURE_HEIGHT)
    f1, auc, log_loss, drift = figure.subplots(4, 1, height_ratios=(3, 2, 2, 5))
    days = report.performance_by_day
    _draw_daily(f1, days, lambda metrics: metrics.f1, "F1")
    _draw_always_positive(f1, days)
    _draw_daily(auc, days, lambda metrics: metrics.auc, "AUC")
    _draw_daily(log_loss, days, lambda metrics: metrics.log_loss, "Log loss")
    _draw_heat_map(figure, drift, report.psi_by_feature, report.thresholds.psi)
    return _png(figure)


def _draw_daily(axes: Any, days: Sequence[DayPerformance], value_of: PeriodMetric, name: str) -> None:
    import matplotlib.dates as mdates

    dates = mdates.datestr2num([day.day for day in days])
    daily, weekly = (
        [math.nan if value is None else value for value in map(value_of, periods)]
        for periods in ([day.metrics for day in days], [day.rolling for day in days])
    )
    axes.plot(dates, daily, ".", color=SERIES_COLORS[1], markersize=3, label="one day")
    axes.plot(dates, weekly, color=SERIES_COLORS[0], label="over seven days")
    axes.xaxis.set_major_locator(mdates.AutoDateLocator())
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_title(f"{name} by day", fontsize="medium")


def _draw_always_positive(axes: Any, days: Sequence[DayPerformance]) -> None:
    import matplotlib.dates as mdates

    dates = mdates.datestr2num([day.day for day in days])
    f1 = [day.rolling.f1_always_positive for day in days]
    values = [math.nan if value is None else value for value in f1]
    axes.plot(dates, values, color=GRAY, linestyle="--", label="always-positive baseline over seven days")
    axes.legend(fontsize="small", ncols=3)


HEAT_MAP_FEATURES = 16


def _draw_heat_map(figure: Any, axes: Any, psi: dict[str, dict[str, float | None]], threshold: float) -> None:
    names = list(psi)[:HEAT_MAP_FEATURES]
    months = list(dict.fromkeys(month for values in psi.values() for month in values))
    cells = [[psi[name][month] for month in months] for name in names]
    plain = [[float("nan") if value is None else value for value in row] for row in cells]
    drawn = axes.imshow(plain, aspect="auto", cmap="cividis", vmin=0, vmax=2 * threshold)
    axes.set_xticks(range(len(months)), months, rotation=45, fontsize="small")
    axes.set_yticks(range(len(names)), names, fontsize="small")
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            if value is not None and value >= threshold / 2:
                color = "black" if value > threshold else "white"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color)
    axes.set_title(f"PSI by feature, most important feature first (threshold {threshold:g})")
    figure.colorbar(drawn, ax=axes, extend="max", shrink=0.8)
