"""The wins and losses of toytip in the pages, as sentences and as a table."""

from __future__ import annotations

from collections.abc import Iterator

from docs.generate.markdown import code, table
from docs.generate.page.rows import Origin, engines_by_name, with_defaults
from docs.generate.page.verdicts import LOSS, UNDECIDED, WIN, WORDS, Verdict, verdicts
from docs.generate.page.views import View, make_view
from docs.generate.results import Results
from toytip.core.text import join_words

SERIES = ("defaults", "1.2-million", "24.6-million", "fhvhv")
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


def conclusions(results: Results) -> str:
    """Return a list of sentences about the wins and losses of toytip, with an item per workload."""
    items = [
        f"- **{view.size:,} rows, {view.data_set}.** {' '.join(_sentences(found))}"
        for view, found in _comparisons(results)
    ]
    return "\n".join(items) or NOT_MEASURED


def _sentences(found: list[Verdict]) -> Iterator[str]:
    for metric, words in WORDS.items():
        for outcome, word in zip((WIN, LOSS), words, strict=True):
            if peers := _peers(found, metric, outcome):
                yield f"toytip {word} {join_words(peers)}."
    undecided = {metric: _peers(found, metric, UNDECIDED) for metric in METRICS}
    for peers in dict.fromkeys(tuple(peers) for peers in undecided.values() if peers):
        metrics = [f"the {metric}" for metric, others in undecided.items() if tuple(others) == peers]
        yield f"The comparison of {join_words(metrics)} with {join_words(peers)} is undecided."


def _peers(found: list[Verdict], metric: str, outcome: str) -> list[str]:
    return [code(verdict.peer) for verdict in found if (verdict.metric, verdict.outcome) == (metric, outcome)]


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
