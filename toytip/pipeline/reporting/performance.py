"""The facts about the performance of predictions, for the reports of runs and of judgments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toytip.core.dataset.dataset import Dataset
from toytip.evaluation.tally import Tallies, Tally, slice_tallies, tally_of


def performance_facts(tallies: Tallies | None, dataset: Dataset) -> dict[str, Any]:
    """Return the facts for metrics, curves and slices, and the words of the data set for them."""
    facts, segment = _tally_facts(tallies, dataset.segments), dataset.segment
    segments = facts.get("tallies", {})
    return {
        "value_words": dataset.value_words,
        "listed_slices": dataset.listed_slices,
        "words": dataset.words,
        "segment_note": segment.words.explanation if segment and segment.name in segments else "",
        **facts,
    }


def _tally_facts(tallies: Tallies | None, segments: Sequence[str]) -> dict[str, Any]:
    """Return metric histograms for the curves: of the test split, or the last split with trips."""
    if tallies is None:
        return {}
    splits = (name for name in ("test", "validation", "train") if tally_of(tallies, name, "all").rows)
    split = next(splits, "test")
    by_segment = {segment: tally_of(tallies, split, segment) for segment in segments}
    return {
        "tallies": {segment: tally for segment, tally in by_segment.items() if tally.rows},
        "daily_tallies": {segment: _daily_tallies(tallies, split, segment) for segment in segments},
        "group_mean_tally": tally_of(tallies, split, "all", "group_mean"),
    }


def _daily_tallies(tallies: Tallies, split: str, segment: str) -> dict[str, Tally]:
    slices = slice_tallies(tallies, split, segment)
    return {value: tally for (name, value), tally in sorted(slices.items()) if name == "day"}
