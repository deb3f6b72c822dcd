"""The validity of results: equal accepted rows, and an AUC close to that of the other contenders.

The reference of toytip is the median of its peers, and that of a peer is the median of the other
peers. Without peers, the reference is the known AUC of toytip on the year.
"""

from __future__ import annotations

import math
from statistics import median, median_low

from benchmarks.results import WORK_COLUMNS, Row, group_by, is_toytip

# AUCs are equal if they differ by at most the tolerance and the sampling error, which is the factor
# divided by the root of the number of trips.
AUC_TOLERANCE, SAMPLING_ERROR_FACTOR = 0.005, 1.5
# A random predictor has 0.5. Twelve months of 2,000 trips and five rounds give 0.567.
MIN_AUC = 0.53
# 1 % of the rows of a synthetic year are invalid.
MIN_ACCEPTED_SHARE = 0.9
# AUC of toytip by rows, seed, rounds and depth.
REFERENCE_AUCS = {(1_200_000, 2020, 100, 8): 0.6299, (24_600_000, 2020, 100, 8): 0.6339}


def validate_rows(rows: list[Row]) -> list[Row]:
    """Return the rows with `valid`, and with the cause in `why` if a row is invalid."""
    checked = [{**row, "why": row.get("why") or _own_problem(row)} for row in rows]
    sound = group_by([row for row in checked if not row["why"]], "run", *WORK_COLUMNS)
    validated = []
    for row in checked:
        same_work = sound.get((row["run"], *(row[name] for name in WORK_COLUMNS)), [])
        others = [other for other in same_work if other["name"] != row["name"]]
        why = row["why"] or _problem_among_others(row, others)
        validated.append({**row, "valid": not why, "why": why})
    return validated


def aucs_differ(auc: float, other: float, accepted_rows: float) -> bool:
    """Return whether two AUCs of a year with this number of accepted rows differ."""
    return not abs(auc - other) <= AUC_TOLERANCE + SAMPLING_ERROR_FACTOR / math.sqrt(accepted_rows)


def _own_problem(row: Row) -> str:
    """Return why a row is invalid independent of the others (or an empty text)."""
    if not row.get("valid", True):
        return "the file marks it as invalid"
    if not row["kept"] >= MIN_ACCEPTED_SHARE * row["rows"]:
        return f"it kept {row['kept']:,} of {row['rows']:,} rows"
    if not row["auc"] >= MIN_AUC:
        return f"AUC {row['auc']:.5f} is below {MIN_AUC}, close to a random predictor"
    reference = REFERENCE_AUCS.get(tuple(row[name] for name in WORK_COLUMNS)) if is_toytip(row) else None
    if reference is not None and aucs_differ(row["auc"], reference, row["kept"]):
        return f"AUC {row['auc']:.5f} differs from {reference:.4f}, the reference of this year"
    return ""


def _problem_among_others(row: Row, others: list[Row]) -> str:
    """Return why a row is invalid compared with the other contenders (peers, if there are any)."""
    peers = [other for other in others if not is_toytip(other)] or others
    if peers and row["kept"] != (median_rows := median_low(other["kept"] for other in peers)):
        return f"it kept {row['kept']:,} rows, the others {median_rows:,}"
    aucs = [other["auc"] for other in peers if other["trains_alike"]]
    aucs = aucs or [other["auc"] for other in others if other["trains_alike"]]
    if row["trains_alike"] and aucs and aucs_differ(row["auc"], auc := median(aucs), row["kept"]):
        return f"AUC {row['auc']:.5f} differs from {auc:.5f}, the median of the others"
    return ""
