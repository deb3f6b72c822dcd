"""Trips and positive labels by zone, from feature histograms and the target encoding."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from toytip.core.dataset.dataset import Dataset
from toytip.report.facts import ZoneSummary
from toytip.stages.target_encoding import counts_by_first_key


def summarize_zones(
    histograms: pd.DataFrame,
    names: Sequence[str],
    boroughs: Sequence[str],
    dataset: Dataset,
    history: str,
) -> list[ZoneSummary]:
    """Return a summary of each pickup zone in feature histograms, busiest zone first.

    `names` and `boroughs` are indexed by zone ID and can be empty. `history` has the packed counts
    of the target encoding, or is empty if the model has no target encoding.
    """
    if not dataset.zone_columns:
        return []
    rows = histograms[(histograms["feature"] == dataset.zone_columns[0]) & histograms["value"].notna()]
    trips, inside = (
        part.groupby("value")["trips"].sum().to_dict() for part in (rows, rows[rows["in_segment"]])
    )
    training, high = _training_counts(dataset, history)
    zones = []
    for value, count in sorted(trips.items(), key=lambda item: (-item[1], item[0])):
        zone_id = int(value)
        training_trips = int(training[zone_id]) if 0 <= zone_id < len(training) else None
        zones.append(
            ZoneSummary(
                zone_id,
                names[zone_id] if 0 <= zone_id < len(names) else "",
                boroughs[zone_id] if 0 <= zone_id < len(boroughs) else "",
                int(count),
                int(inside.get(value, 0)),
                training_trips,
                int(high[zone_id]) / training_trips if training_trips else None,
            )
        )
    return zones


def _training_counts(dataset: Dataset, history: str) -> tuple[Sequence[int], Sequence[int]]:
    """Return the training trips and the positive training trips, by zone."""
    if not history or dataset.target_encoding is None:
        return (), ()
    trips, positives = counts_by_first_key(history, dataset.target_encoding)
    return trips.tolist(), positives.tolist()
