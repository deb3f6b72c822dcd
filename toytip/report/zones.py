"""Trips and high tips by pickup zone, from feature histograms and the target encoding."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from toytip.report.facts import ZoneSummary
from toytip.stages.zone_rates import counts_by_pickup_zone


def summarize_zones(
    histograms: pd.DataFrame, names: Sequence[str], boroughs: Sequence[str], history: str
) -> list[ZoneSummary]:
    """Return a summary of each pickup zone in feature histograms, busiest zone first.

    `names` and `boroughs` are indexed by zone ID and can be empty. `history` contains the packed
    counts of the target encoding, or is empty if the model has no target encoding.
    """
    rows = histograms[(histograms["feature"] == "PULocationID") & histograms["value"].notna()]
    trips, card = (part.groupby("value")["trips"].sum().to_dict() for part in (rows, rows[rows["is_card"]]))
    training, high = counts_by_pickup_zone(history) if history else ((), ())
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
                int(card.get(value, 0)),
                training_trips,
                int(high[zone_id]) / training_trips if training_trips else None,
            )
        )
    return zones
