"""The validity of results: the same accepted rows, and a similar AUC as the other contenders.

The AUC of toytip is compared with the median AUC of the peers. The AUC of a peer is compared with
the median AUC of the other peers. For the synthetic years that the benchmark publishes, each AUC
must also be in a band.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from statistics import median, median_low

from benchmarks.results import (
    DEFAULTS,
    FAILED,
    PASSED,
    WORK_COLUMNS,
    Level,
    Row,
    group_by,
    is_toytip,
)

# Two AUCs count as equal if they differ by at most the tolerance plus the sampling error. The
# sampling error is the factor divided by the square root of the number of trips.
AUC_TOLERANCES = {"eleven-features": 0.005, "defaults": 0.003, "fhvhv": 0.005, "reruns": 0.003}
SAMPLING_ERROR_FACTOR = 1.5
# A random predictor has an AUC of 0.5. Five rounds on twelve months of 2,000 trips give 0.567.
MIN_AUC = 0.53
# Minimum share of accepted rows. In a synthetic year, 1 % of the rows are invalid.
MIN_ACCEPTED_SHARE = 0.9
# Lowest and highest AUC by workload, source, rows, rounds and depth. `python -m benchmarks.bands`
# measures models inside and outside of these bands.
AUC_BANDS = {
    ("eleven-features", "synthetic-100000-2020", 1_200_000, 100, 8): (0.6235, 0.6335),
    ("eleven-features", "synthetic-2050000-2020", 24_600_000, 100, 8): (0.6280, 0.6360),
}

# Models of the same job differ in AUC by up to this much, because their bins or the order of their
# rows differ. `python -m benchmarks.bands` measures such models (EQUAL_VARIANTS).
AUC_MARGIN = 0.0015


def validate_rows(rows: list[Row]) -> list[Row]:
    """Return the rows with the columns `valid`, `why` and the level `model` of `conformance`."""
    checked = [{**row, "why": row.get("why") or _own_problem(row)} for row in rows]
    sound = group_by([row for row in checked if not row["why"]], "run", *WORK_COLUMNS)
    validated = []
    for row in checked:
        same_work = sound.get((row["run"], *(row[name] for name in WORK_COLUMNS)), [])
        others = [other for other in same_work if other["name"] != row["name"]]
        model = _model_level(row, others)
        why = row["why"] or _rows_problem(row, others) or (model.cause if model.status == FAILED else "")
        conformance = {**row.get("conformance", DEFAULTS["conformance"]), "model": asdict(model)}
        validated.append({**row, "valid": not why, "why": why, "conformance": conformance})
    return validated


def aucs_differ(row: Row, auc: float) -> bool:
    """Return whether the AUC of a row differs from another AUC of the same work."""
    tolerance = AUC_TOLERANCES[row["workload"]] + SAMPLING_ERROR_FACTOR / math.sqrt(row["kept"])
    return not abs(row["auc"] - auc) <= tolerance


def _own_problem(row: Row) -> str:
    """Return why a row is invalid, without a comparison with other rows, or an empty text."""
    if not row.get("valid", True):
        return "the file marks it as invalid"
    for name, level in row.get("conformance", {}).items():
        if name != "model" and level["status"] == FAILED:
            return f"it fails the level {name}: {level['cause']}"
    if not row["kept"] >= MIN_ACCEPTED_SHARE * row["rows"]:
        return f"it kept {row['kept']:,} of {row['rows']:,} rows"
    return _model_problem(row)


def _model_problem(row: Row) -> str:
    """Return why the AUC of a row is wrong, without a comparison with other rows."""
    if not row["auc"] >= MIN_AUC:
        return f"AUC {row['auc']:.5f} is below {MIN_AUC}, close to a random predictor"
    band = AUC_BANDS.get(tuple(row[name] for name in WORK_COLUMNS)) if row["trains_alike"] else None
    if band is not None and not band[0] <= row["auc"] <= band[1]:
        return f"AUC {row['auc']:.5f} is outside of the band of this work, {band[0]:.4f} to {band[1]:.4f}"
    return ""


def _rows_problem(row: Row, others: list[Row]) -> str:
    """Return why a row is invalid, compared with the rows that its peers kept."""
    peers = _peers_of(others)
    if peers and row["kept"] != (median_rows := median_low(other["kept"] for other in peers)):
        return f"it kept {row['kept']:,} rows, the others {median_rows:,}"
    return ""


def _model_level(row: Row, others: list[Row]) -> Level:
    """Return the level `model` of a row, compared with its peers, or else with all others."""
    if row.get("outcome", "ok") != "ok":
        return Level.not_checked("there are no predictions")
    if problem := _model_problem(row):
        return Level(FAILED, problem)
    if not row["trains_alike"]:
        return Level.not_checked("the engine trains another kind of model")
    aucs = [other["auc"] for other in _peers_of(others) if other["trains_alike"]]
    aucs = aucs or [other["auc"] for other in others if other["trains_alike"]]
    if aucs and aucs_differ(row, auc := median(aucs)):
        return Level(FAILED, f"AUC {row['auc']:.5f} differs from {auc:.5f}, the median of the others")
    if not aucs and tuple(row[name] for name in WORK_COLUMNS) not in AUC_BANDS:
        return Level.not_checked("no other contender did this work")
    return Level(PASSED)


def _peers_of(others: list[Row]) -> list[Row]:
    return [other for other in others if not is_toytip(other)] or others
