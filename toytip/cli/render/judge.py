"""A judgment of predictions as text."""

from __future__ import annotations

from rich.console import Console

from toytip.cli.render.evaluation import TITLES, show_evaluation
from toytip.cli.render.tables import make_console, print_wrapped, signed
from toytip.core.text import plural, verb
from toytip.evaluation.judgment import Judgment

LABEL_WIDTH = 12


def show_judgment(judgment: Judgment, *, verbose: bool = False) -> None:
    """Print the judged trips, the metrics, the differences to the champion, and the paths."""
    console, rows, test = make_console(), judgment.rows, judgment.test
    start, stop = test.start[:10], test.stop[:10]
    trips = f"{rows.judged:,} of the test period of {judgment.version} ({start} to {stop}, end exclusive)"
    _print(console, "judged trips", trips)
    if rows.other:
        _print(
            console,
            "other trips",
            f"{plural(rows.other, 'prediction')}, which {verb(rows.other, 'does', 'do')} not count",
        )
    _print(console, "decisions", judgment.decisions.describe())
    show_evaluation(judgment.evaluation, console, verbose=verbose)
    _show_champion(console, judgment, verbose=verbose)
    if judgment.report_path:
        _print_path(console, "report", judgment.report_path)
    if judgment.leaderboard_path:
        _print_path(console, "leaderboard", judgment.leaderboard_path)


def _show_champion(console: Console, judgment: Judgment, *, verbose: bool) -> None:
    comparison = judgment.champion
    if comparison is None:
        _print(console, "champion", f"no comparison: {judgment.not_compared_reason}")
        return
    _print(
        console, "champion", f"model number {comparison.number} of {comparison.version}, paired differences"
    )
    for segment, differences in comparison.differences.items():
        for name, difference in differences.items():
            if not verbose and name not in ("auc", "log_loss"):
                continue
            interval, text = (
                difference.interval,
                f"{TITLES[name]}, {segment} trips: {signed(difference.value)}",
            )
            if interval is not None:
                text += f" (95 % interval {signed(interval.low)} to {signed(interval.high)})"
            _print(console, "", f"{text}, {difference.conclusion.label}")


def _print(console: Console, label: str, text: str) -> None:
    print_wrapped(console, text, " " * (LABEL_WIDTH + 1), f"{label:<{LABEL_WIDTH}} ")


def _print_path(console: Console, label: str, path: str) -> None:
    console.print(f"{label:<{LABEL_WIDTH}} {path}", soft_wrap=True)
