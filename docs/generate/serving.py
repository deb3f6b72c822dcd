"""Generate the table of the scoring server's speed from the committed result file."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.results import RESULTS_FOLDER, load_single_values
from docs.generate.markdown import table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "serve-a-model.md"
# The benchmark appends one row per kind of request. The last rows are those of the newest run.
BLOCK = re.compile(r"(<!-- results of benchmarks\.serving -->\n).*?(<!-- end of the results -->)", re.DOTALL)
NOT_MEASURED = "This version was not measured."
HEAD = (
    "Request",
    "Trips per request",
    "Median time (ms)",
    "95th percentile (ms)",
    "Trips per second",
    "Trips per CPU second of the server",
)


def serving_page(page: Path = PAGE, results: Path = RESULTS_FOLDER) -> str:
    """Return the page with the newest row of each kind of request."""
    rows = load_single_values(results, "serving")
    lines = [
        [
            name,
            f"{row['trips_per_request']:,}",
            f"{row['p50_ms']:.1f}",
            f"{row['p95_ms']:.1f}",
            f"{row['trips_per_second']:,}",
            f"{row['trips_per_cpu_second']:,}",
        ]
        for name, row in rows.items()
    ]
    content = table(HEAD, lines) if lines else NOT_MEASURED
    return BLOCK.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", page.read_text())
