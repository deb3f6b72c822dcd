"""places: what profiles, and what a model has learned, tell of the pickup zones."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from toytip.report.facts import ZoneSummary
from toytip.stages.zone_rates import counts_by_pickup_zone


def summarize_zones(
    profiles: pd.DataFrame, names: Sequence[str], boroughs: Sequence[str], history: str
) -> list[ZoneSummary]:
    """Return the pickup zones of some profiles, the busiest first.

    `names` and `boroughs` are by number, and may be empty; `history` holds the counts that rates by zone are told from, packed, or is
    empty where the model has no such rates.
    """
    rows = profiles[(profiles["feature"] == "PULocationID") & profiles["value"].notna()]
    trips, card = (side.groupby("value")["trips"].sum().to_dict() for side in (rows, rows[rows["is_card"]]))
    known, high = counts_by_pickup_zone(history) if history else ((), ())
    found = []
    for value, count in sorted(trips.items(), key=lambda item: (-item[1], item[0])):
        number = int(value)
        learned = int(known[number]) if 0 <= number < len(known) else None
        found.append(
            ZoneSummary(
                number,
                names[number] if 0 <= number < len(names) else "",
                boroughs[number] if 0 <= number < len(boroughs) else "",
                int(count),
                int(card.get(value, 0)),
                learned,
                int(high[number]) / learned if learned else None,
            )
        )
    return found
