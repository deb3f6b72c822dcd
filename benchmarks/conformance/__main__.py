"""Write the expected output of the job: `python -m benchmarks.conformance --rows 2000,100000`.

The command computes the number of kept rows and the checksums of synthetic years, and of real
months with `--source`, and adds them to `benchmarks/conformance/expected.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.arguments import distinct_counts
from benchmarks.conformance.expected import EXPECTED_FILE, load_expected, record_of
from benchmarks.results import InvalidInputError
from benchmarks.workloads import WORKLOADS, real_source, synthetic_source


def main() -> int:
    """Write the records. Exit with 2 if a source cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance", description=__doc__)
    parser.add_argument("--rows", type=distinct_counts, default=[], help="rows per month of synthetic years")
    parser.add_argument(
        "--workload", choices=WORKLOADS, default="eleven-features", help="workload of the synthetic years"
    )
    parser.add_argument("--seed", type=int, default=2020, help="random seed of the synthetic years")
    parser.add_argument("--source", type=Path, help="folder with real months")
    parser.add_argument("--data", type=Path, default=Path("toytip-data/bench"), help="folder for the years")
    parser.add_argument("--output", type=Path, default=EXPECTED_FILE, help="file with the records")
    options = parser.parse_args()
    try:
        taxi = WORKLOADS[options.workload].taxi
        found = [synthetic_source(options.data, rows, options.seed, taxi) for rows in options.rows]
        found += [source] if options.source and (source := real_source(options.source)) else []
    except InvalidInputError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    records = load_expected(options.output)
    for item in found:
        records[item.name] = record_of(item)
    options.output.write_text(json.dumps(records, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
