"""The table of the wins and losses of toytip in the pages."""

from __future__ import annotations

from docs.generate.markdown import code, table
from docs.generate.page.rows import Origin, engines_by_name, with_defaults
from docs.generate.page.verdicts import LOSS, UNDECIDED, WIN, Verdict, verdicts
from docs.generate.page.views import View, make_view
from docs.generate.results import Results

SERIES = ("defaults", "1.2-million", "24.6-million")
# The metrics of a comparison, and the form of its figure.
METRICS = {"time": "time (ratio)", "memory": "memory (ratio)", "quality": "AUC (difference)"}
OUTCOMES = (WIN, LOSS, UNDECIDED)
NOT_MEASURED = "This version was not measured."


def wins_and_losses(results: Results) -> str:
    """Return the table of the engines compared with which toytip is better, worse or undecided."""
    rows = [
        [
            f"{view.size:,} rows, {view.data_set}",
            label,
            *(_cell(found, metric, outcome) for outcome in OUTCOMES),
        ]
        for view, found in _comparisons(results)
        for metric, label in METRICS.items()
    ]
    head = ("Work", "Metric", "toytip wins", "toytip loses", "Undecided")
    return table(head, rows) if rows else NOT_MEASURED


def _comparisons(results: Results) -> list[tuple[View, list[Verdict]]]:
    engines = engines_by_name()
    views = [
        make_view(Origin("", name), [with_defaults(row) for rows in found.values() for row in rows], engines)
        for name in SERIES
        if (found := results.rows(name))
    ]
    return [(view, found) for view in views if (found := verdicts(view))]


def _cell(found: list[Verdict], metric: str, outcome: str) -> str:
    same = [verdict for verdict in found if (verdict.metric, verdict.outcome) == (metric, outcome)]
    return ", ".join(f"{code(verdict.peer)} {verdict.value}" for verdict in same)
