"""Which rows are results: those that kept the same trips as the others, and whose AUC is the others'.

toytip is measured from its peers, where the run had any, and each peer from the other ones. Where a run had none, from what
toytip is known to reach on that year. Nothing below the floor counts, whatever the others have.
"""

from __future__ import annotations

import math
from statistics import median, median_low

from benchmarks.results import WORK, Row, groups, ours

# An AUC is the same where it is no farther apart than this, and than chance makes it: so much over the root of the trips.
BAND, CHANCE = 0.005, 1.5
# Guessing has 0.5; twelve months of 2,000 trips and five rounds have 0.567.
FLOOR = 0.53
# A generated year has one bad trip in a hundred.
LEAST_KEPT = 0.9
# toytip's AUC on years of this seed, by rows, seed, rounds and depth.
KNOWN = {(1_200_000, 2020, 100, 8): 0.6299, (24_600_000, 2020, 100, 8): 0.6339}


def judged(rows: list[Row]) -> list[Row]:
    """Return the rows, each with whether it is a result (`valid`) and, where it is none, `why`."""
    first = [{**row, "why": row.get("why") or _alone(row)} for row in rows]
    sound = groups([row for row in first if not row["why"]], "run", *WORK)
    found = []
    for row in first:
        beside = sound.get((row["run"], *(row[name] for name in WORK)), [])
        why = row["why"] or _among(row, [other for other in beside if other["name"] != row["name"]])
        found.append({**row, "valid": not why, "why": why})
    return found


def apart(auc: float, other: float, kept: float) -> bool:
    """Whether two AUCs of a year with so many kept trips are not the same."""
    return not abs(auc - other) <= BAND + CHANCE / math.sqrt(kept)


def _alone(row: Row) -> str:
    """Return why a row is no result, whatever the others say."""
    if not row.get("valid", True):
        return "marked as no result"
    if not row["kept"] >= LEAST_KEPT * row["rows"]:
        return f"it kept {row['kept']:,} of {row['rows']:,} rows"
    if not row["auc"] >= FLOOR:
        return f"AUC {row['auc']:.5f} is below {FLOOR}: little better than guessing"
    known = KNOWN.get(tuple(row[name] for name in WORK)) if ours(row) else None
    if known is not None and apart(row["auc"], known, row["kept"]):
        return f"AUC {row['auc']:.5f}, where this year has {known:.4f}"
    return ""


def _among(row: Row, others: list[Row]) -> str:
    """Return why a row is no result beside the other contenders of its run: peers, where there are any."""
    beside = [other for other in others if not ours(other)] or others
    if beside and row["kept"] != (kept := median_low(other["kept"] for other in beside)):
        return f"it kept {row['kept']:,} rows, the others {kept:,}"
    alike = [o["auc"] for o in beside if o["alike"]] or [o["auc"] for o in others if o["alike"]]
    if row["alike"] and alike and apart(row["auc"], auc := median(alike), row["kept"]):
        return f"AUC {row['auc']:.5f}, the others {auc:.5f}"
    return ""
