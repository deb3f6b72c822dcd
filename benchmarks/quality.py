"""The validity of results: the same accepted rows, and a similar AUC as the other contenders.

The AUC of toytip is compared with the median AUC of the peers. The AUC of a peer is compared with
the median AUC of the other peers. If the AUC of toytip on the synthetic year is known, the AUC of
toytip is also compared with this value.
"""

from __future__ import annotations

import math
from statistics import median, median_low

from benchmarks.results import WORK_COLUMNS, Row, group_by, is_toytip

# Two AUCs count as equal if they differ by at most the tolerance plus the sampling error. The
# sampling error is the factor divided by the square root of the number of trips.
AUC_TOLERANCES = {"eleven-features": 0.005, "defaults": 0.003, "reruns": 0.003}
SAMPLING_ERROR_FACTOR = 1.5
# A random predictor has an AUC of 0.5. Five rounds on twelve months of 2,000 trips give 0.567.
MIN_AUC = 0.53
# Minimum share of accepted rows. In a synthetic year, 1 % of the rows are invalid.
MIN_ACCEPTED_SHARE = 0.9
# Known AUC of toytip by workload, source, rows, rounds and depth.
REFERENCE_AUCS = {
    ("eleven-features", "synthetic-100000-2020", 1_200_000, 100, 8): 0.6299,
    ("eleven-features", "synthetic-2050000-2020", 24_600_000, 100, 8): 0.6339,
}


def validate_rows(rows: list[Row]) -> list[Row]:
    """Return the rows with the column `valid`, and with the reason in `why` if a row is invalid."""
    checked = [{**row, "why": row.get("why") or _own_problem(row)} for row in rows]
    sound = group_by([row for row in checked if not row["why"]], "run", *WORK_COLUMNS)
    validated = []
    for row in checked:
        same_work = sound.get((row["run"], *(row[name] for name in WORK_COLUMNS)), [])
        others = [other for other in same_work if other["name"] != row["name"]]
        why = row["why"] or _problem_among_others(row, others)
        validated.append({**row, "valid": not why, "why": why})
    return validated


def aucs_differ(row: Row, auc: float) -> bool:
    """Return whether the AUC of a row differs from another AUC of the same work."""
    tolerance = AUC_TOLERANCES[row["workload"]] + SAMPLING_ERROR_FACTOR / math.sqrt(row["kept"])
    return not abs(row["auc"] - auc) <= tolerance


def _own_problem(row: Row) -> str:
    """Return why a row is invalid, without a comparison with other rows, or an empty text."""
    if not row.get("valid", True):
        return "the file marks it as invalid"
    if not row["kept"] >= MIN_ACCEPTED_SHARE * row["rows"]:
        return f"it kept {row['kept']:,} of {row['rows']:,} rows"
    if not row["auc"] >= MIN_AUC:
        return f"AUC {row['auc']:.5f} is below {MIN_AUC}, close to a random predictor"
    reference = REFERENCE_AUCS.get(tuple(row[name] for name in WORK_COLUMNS)) if is_toytip(row) else None
    if reference is not None and aucs_differ(row, reference):
        return f"AUC {row['auc']:.5f} differs from {reference:.4f}, the reference of this year"
    return ""


def _problem_among_others(row: Row, others: list[Row]) -> str:
    """Return why a row is invalid, compared with its peers, or with all others without peers."""
    peers = [other for other in others if not is_toytip(other)] or others
    if peers and row["kept"] != (median_rows := median_low(other["kept"] for other in peers)):
        return f"it kept {row['kept']:,} rows, the others {median_rows:,}"
    aucs = [other["auc"] for other in peers if other["trains_alike"]]
    aucs = aucs or [other["auc"] for other in others if other["trains_alike"]]
    if row["trains_alike"] and aucs and aucs_differ(row, auc := median(aucs)):
        return f"AUC {row['auc']:.5f} differs from {auc:.5f}, the median of the others"
    return ""
