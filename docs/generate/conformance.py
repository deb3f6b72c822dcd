"""Tables about the validity of benchmark results: levels, AUC bands and A/A comparisons."""

from __future__ import annotations

from benchmarks.results import LEVELS, Row
from docs.generate.markdown import code, table
from docs.generate.results import Results

NOT_MEASURED = "This version was not measured."


def conformance(results: Results, name: str) -> str:
    """Return the table of the conformance levels of the contenders of a series."""
    rows = [
        [
            code(contender),
            found[0]["kind"],
            *(_status(found, level) for level in LEVELS),
            _difference(found[0]),
            f"{sum(row['noisy'] for row in found)} of {len(found)}",
        ]
        for contender, found in results.all_rows(name).items()
    ]
    head = ("Contender", "Kind", *LEVELS, "Difference in AUC to toytip", "Noisy repeats")
    return table(head, rows) if rows else NOT_MEASURED


def _status(rows: list[Row], level: str) -> str:
    """Return the status of a level, with the cause if the level failed."""
    if rows[0]["outcome"] != "ok":
        return str(rows[0]["outcome"])
    levels = [row["conformance"][level] for row in rows]
    failed = next((found for found in levels if found["status"] == "failed"), None)
    return f"failed: {failed['cause']}" if failed else str(levels[0]["status"])


def _difference(row: Row) -> str:
    """Return the paired difference in AUC to toytip with its interval."""
    found = row["auc_difference"]
    if found is None:
        return ""
    if found["low"] is None:
        return f"{found['difference']:+.4f}"
    return f"{found['difference']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"


def bands(results: Results) -> str:
    """Return the table of models inside and outside of the AUC band."""
    rows = [
        [
            name,
            "yes" if row["is_good"] else "no",
            f"{row['auc']:.4f}",
            "yes" if row["low"] <= row["auc"] <= row["high"] else "no",
        ]
        for name, row in results.single_values("auc-band").items()
    ]
    head = ("Model", "Correct", "AUC", "Inside of the band")
    return table(head, rows) if rows else NOT_MEASURED


def aa(results: Results) -> str:
    """Return the table of comparisons of toytip with itself."""
    rows = [
        [
            name,
            *(str(row[column]) for column in ("comparisons", "pairs", "no_change", "slower", "faster")),
            f"{min(row['ratios']):.2f} to {max(row['ratios']):.2f}",
        ]
        for name, row in results.single_values("aa").items()
    ]
    head = ("Contender", "Comparisons", "Pairs", "No change", "Slower", "Faster", "Mean ratios")
    return table(head, rows) if rows else NOT_MEASURED
