"""The benchmarks: `python -m benchmarks run|compare|plot`; `make bench` runs the small suite, in under five minutes.

Contenders take turns, repeat after repeat, on the same generated year; only ratios of one run of this command mean
anything. Every row carries the AUC beside the time: a run whose AUC is not the others' is no result, and is an error.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import plots, results
from benchmarks.arguments import distinct_counts, positive_int
from benchmarks.comparison import compare_results, quality_changes
from benchmarks.quality import validate_rows
from benchmarks.run import print_line, run_benchmarks
from benchmarks.workloads import DEFAULT_CONTENDERS, PEERS

RESULTS_FILE = Path("benchmarks/results.jsonl")


def main() -> int:
    """Do what was asked for; return the exit code: 1 where something got slower, or is no result; 2 where nothing can be said."""
    parser = _parser()
    options = parser.parse_args()
    try:
        return int(options.do(options))
    except (results.InvalidInputError, OSError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run_ = commands.add_parser("run", help="measure toytip beside its peers")
    run_.add_argument(
        "--rows", type=positive_int, default=100_000, help="trips a month in the generated year"
    )
    run_.add_argument("--seed", type=int, default=2020, help="its seed")
    run_.add_argument("--data", type=Path, default=Path("toytip-data/bench"), help="where it is kept")
    run_.add_argument("--rounds", type=positive_int, default=100)
    run_.add_argument("--max-depth", type=positive_int, default=8)
    run_.add_argument(
        "--workers", type=distinct_counts, default=[2], help="numbers of workers to run toytip on, as 1,2,4,8"
    )
    run_.add_argument(
        "--peers", type=_parse_peers, default=DEFAULT_CONTENDERS, help=f"of {', '.join(PEERS)}; none"
    )
    run_.add_argument(
        "--weak", action="store_true", help="as many times the rows as workers, without peers: weak scaling"
    )
    run_.add_argument("--repeats", type=positive_int, default=3)
    run_.add_argument("--out", type=Path, default=RESULTS_FILE)
    run_.set_defaults(do=run_benchmarks)
    compare_ = commands.add_parser(
        "compare", help="tell what has changed from one file of results to another"
    )
    compare_.add_argument("before", type=Path)
    compare_.add_argument("after", type=Path)
    compare_.set_defaults(do=_run_compare)
    plot = commands.add_parser("plot", help="draw a file of results")
    plot.add_argument("results", type=Path, nargs="?", default=RESULTS_FILE)
    plot.add_argument("--out", type=Path, default=Path("benchmarks/plots"))
    plot.set_defaults(do=_run_plot)
    return parser


def _parse_peers(text: str) -> list[str]:
    names = [] if text == "none" else text.split(",")
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PEERS)}; or none")
    return list(dict.fromkeys(names))


def _run_compare(options: argparse.Namespace) -> int:
    """Say what has changed in toytip; 1 where it is surely slower or not as good, 2 where nothing can be compared."""
    before, after = (validate_rows(results.load_results(file)) for file in (options.before, options.after))
    for file, rows in ((options.before, before), (options.after, after)):
        for row in (row for row in rows if not row["valid"]):
            print_line(
                f"left out of {file}: {row['name']}, {row['rows']:,} rows, repeat {row['repeat']}: {row['why']}"
            )
    worse = quality_changes(before, after)
    changes = compare_results(before, after)
    for line in (*worse, *changes):
        print_line(str(line))
    if worse or any(results.is_toytip(row) and not row["valid"] for row in after):
        return 1
    if not changes:
        raise results.InvalidInputError(
            f"{options.before} and {options.after} have nothing to compare: the same work of toytip on the same workers, "
            "beside a peer that both have, or on the same machine"
        )
    return int(any(change.slower for change in changes))


def _run_plot(options: argparse.Namespace) -> int:
    rows = [row for row in validate_rows(results.load_results(options.results)) if row["valid"]]
    if not rows:
        raise results.InvalidInputError(f"{options.results} has no row that is a result")
    for file in plots.draw_all(rows, options.out):
        print_line(str(file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
