"""Which rows are results: those that kept the same trips as the others, and whose AUC is the others'.

toytip is measured from its peers, where the run had any, and each peer from the other ones. Where a run had none, from what
toytip is known to reach on that year. Nothing below the floor counts, whatever the others have.
"""

from __future__ import annotations

import math
from statistics import median, median_low

from benchmarks.results import WORK_COLUMNS, Row, group_by, is_toytip

# An AUC is the same where it is no farther apart than this, and than chance makes it: so much over the root of the trips.
AUC_TOLERANCE, CHANCE_FACTOR = 0.005, 1.5
# Guessing has 0.5; twelve months of 2,000 trips and five rounds have 0.567.
MIN_AUC = 0.53
# A generated year has one bad trip in a hundred.
MIN_ACCEPTED_SHARE = 0.9
# toytip's AUC on years of this seed, by rows, seed, rounds and depth.
REFERENCE_AUCS = {(1_200_000, 2020, 100, 8): 0.6299, (24_600_000, 2020, 100, 8): 0.6339}


def validate_rows(rows: list[Row]) -> list[Row]:
    """Return the rows, each with whether it is a result (`valid`) and, where it is none, `why`."""
    first = [{**row, "why": row.get("why") or _own_problem(row)} for row in rows]
    sound = group_by([row for row in first if not row["why"]], "run", *WORK_COLUMNS)
    found = []
    for row in first:
        beside = sound.get((row["run"], *(row[name] for name in WORK_COLUMNS)), [])
        why = row["why"] or _problem_among_peers(
            row, [other for other in beside if other["name"] != row["name"]]
        )
        found.append({**row, "valid": not why, "why": why})
    return found


def aucs_differ(auc: float, other: float, accepted_trips: float) -> bool:
    """Whether two AUCs of a year with so many kept trips are not the same."""
    return not abs(auc - other) <= AUC_TOLERANCE + CHANCE_FACTOR / math.sqrt(accepted_trips)


def _own_problem(row: Row) -> str:
    """Return why a row is no result, whatever the others say."""
    if not row.get("valid", True):
        return "marked as no result"
    if not row["kept"] >= MIN_ACCEPTED_SHARE * row["rows"]:
        return f"it kept {row['kept']:,} of {row['rows']:,} rows"
    if not row["auc"] >= MIN_AUC:
        return f"AUC {row['auc']:.5f} is below {MIN_AUC}: little better than guessing"
    known = REFERENCE_AUCS.get(tuple(row[name] for name in WORK_COLUMNS)) if is_toytip(row) else None
    if known is not None and aucs_differ(row["auc"], known, row["kept"]):
        return f"AUC {row['auc']:.5f}, where this year has {known:.4f}"
    return ""


def _problem_among_peers(row: Row, others: list[Row]) -> str:
    """Return why a row is no result beside the other contenders of its run: peers, where there are any."""
    beside = [other for other in others if not is_toytip(other)] or others
    if beside and row["kept"] != (kept := median_low(other["kept"] for other in beside)):
        return f"it kept {row['kept']:,} rows, the others {kept:,}"
    alike = [o["auc"] for o in beside if o["alike"]] or [o["auc"] for o in others if o["alike"]]
    if row["alike"] and alike and aucs_differ(row["auc"], auc := median(alike), row["kept"]):
        return f"AUC {row['auc']:.5f}, the others {auc:.5f}"
    return ""
