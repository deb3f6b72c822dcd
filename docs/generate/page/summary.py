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
        if any(verdict.metric == metric for verdict in found)
    ]
    head = ("Work", "Metric", "toytip wins", "toytip loses", "Undecided")
    return table(head, rows) if rows else NOT_MEASURED


def conclusions(results: Results) -> str:
    """Return sentences about the wins and losses of toytip, as a list with an item per workload.

    A contender without a result has the cause.
    """
    items = [
        f"- **{view.size:,} rows, {view.data_set}.** {' '.join((*_sentences(found), *_failures(view)))}"
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


def _failures(view: View) -> Iterator[str]:
    """Yield a sentence for each contender that has no result in any repeat, with the cause."""
    failed = [contestant for contestant in view.contestants if contestant.seconds is None]
    if len(failed) == len(view.contestants):
        yield "No contender has a result."
    for contestant in failed:
        failure = contestant.failures[0]
        cause = code(failure.cause.replace("`", "'"))
        yield f"{code(contestant.name)} has no result ({failure.outcome}): {cause}."


def _peers(found: list[Verdict], metric: str, outcome: str) -> list[str]:
    return [code(verdict.peer) for verdict in found if (verdict.metric, verdict.outcome) == (metric, outcome)]


def _comparisons(results: Results) -> list[tuple[View, list[Verdict]]]:
    """Return the views of all series with their verdicts. A run of toytip alone has none."""
    engines = engines_by_name()
    views = [
        make_view(Origin("", name), [with_defaults(row) for rows in found.values() for row in rows], engines)
        for name in SERIES
        if (found := results.all_rows(name))
    ]
    compared = [(view, verdicts(view)) for view in views]
    return [(view, found) for view, found in compared if found or any(_failures(view))]


def _cell(found: list[Verdict], metric: str, outcome: str) -> str:
    same = [verdict for verdict in found if (verdict.metric, verdict.outcome) == (metric, outcome)]
    return ", ".join(f"{code(verdict.peer)} {verdict.value}" for verdict in same)
