"""Benchmark toytip: `python -m benchmarks run|compare|aa|plot`. `make bench` runs a small suite.

The contenders take turns on the same months. Compare only results of the same run of this
command, because the speed of a machine changes over time. Each result has the AUC of the
predictions. If the AUC of a contender differs from the AUC of the others, the result is invalid and
the command exits with 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from benchmarks import plots, results
from benchmarks.aa import run_aa
from benchmarks.arguments import (
    add_output_option,
    add_source_options,
    at_least_two,
    distinct_counts,
    distinct_names,
    positive_float,
    positive_int,
)
from benchmarks.comparison import compare_results, quality_changes
from benchmarks.harness import exit_on_sigterm
from benchmarks.quality import validate_rows
from benchmarks.results import RESULTS_FILE
from benchmarks.run import print_line, run_benchmarks
from benchmarks.workloads import PEER_NAMES, WORKLOADS


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds the default value to the help of an option, if the option has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def main() -> int:
    """Run a command and return its exit code.

    It is 1 if toytip is slower or a result is invalid, and 2 if the input is invalid.
    """
    parser = make_parser()
    options = parser.parse_args()
    exit_on_sigterm()
    try:
        return int(options.command(options))
    except (results.InvalidInputError, OSError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(128 + signal.SIGINT, f"{parser.prog}: interrupted\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the commands."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    details = {"formatter_class": _HelpFormatter}
    _add_run_command(
        commands.add_parser("run", help="measure toytip and the other contenders (peers)", **details)
    )
    compare = commands.add_parser("compare", help="compare toytip in two result files")
    compare.add_argument("old", type=Path, help="result file of the earlier measurement")
    compare.add_argument("new", type=Path, help="result file of the later measurement")
    compare.set_defaults(command=_compare)
    _add_aa_command(commands.add_parser("aa", help="compare toytip with itself (A/A)", **details))
    plot = commands.add_parser("plot", help="draw charts of a result file", **details)
    plot.add_argument("results", type=Path, nargs="?", default=RESULTS_FILE, help="result file")
    plot.add_argument(
        "--output", "-o", type=Path, default=Path("benchmarks/plots"), help="folder for the charts"
    )
    plot.set_defaults(command=_plot)
    return parser


def _add_aa_command(aa: argparse.ArgumentParser) -> None:
    aa.add_argument("--trials", type=positive_int, default=20, help="number of comparisons")
    aa.add_argument("--repeats", type=at_least_two, default=3, help="pairs of measurements per comparison")
    aa.add_argument("--rows", type=positive_int, default=2_000, help="mean number of trips per month")
    aa.add_argument("--seed", type=int, default=2020, help="random seed of the synthetic year")
    aa.add_argument("--rounds", type=positive_int, default=5, help="number of boosting rounds")
    aa.add_argument("--workers", type=positive_int, default=2, help="number of toytip workers")
    aa.add_argument(
        "--data", type=Path, default=Path("toytip-data/bench"), help="folder for the synthetic year"
    )
    add_output_option(aa, RESULTS_FILE)
    aa.set_defaults(command=run_aa)


def _add_run_command(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--workloads",
        type=_parse_workloads,
        default="eleven-features",
        help=f"comma-separated list of {', '.join(WORKLOADS)}",
    )
    add_source_options(run)
    run.add_argument(
        "--rounds", type=positive_int, help="maximum number of boosting rounds (default: of the workload)"
    )
    run.add_argument(
        "--max-depth", type=positive_int, help="maximum depth of a tree (default: of the workload)"
    )
    run.add_argument(
        "--workers",
        type=distinct_counts,
        default="2",
        help="one or more numbers of toytip workers, for example 1,2,4,8",
    )
    run.add_argument(
        "--peers",
        type=_parse_peers,
        help=f"comma-separated list of {', '.join(PEER_NAMES)}, or every, or none (default: all that are "
        "not optional)",
    )
    run.add_argument(
        "--weak",
        action="store_true",
        help="measure weak scaling: multiply the rows by the number of workers, and run no peers",
    )
    run.add_argument(
        "--repeats", type=positive_int, default=3, help="number of measurements of each contender"
    )
    run.add_argument("--series", default="", help="name of the measurement in the tables of the pages")
    run.add_argument(
        "--cold", action="store_true", help="drop the page cache before each measurement (needs root)"
    )
    run.add_argument("--price", type=positive_float, help="price of one core for an hour, for the cost")
    run.add_argument(
        "--conformance-rows",
        type=int,
        default=2_000,
        help="mean number of trips per month of the year on which the values of the features are checked, "
        "or 0 for no check",
    )
    run.add_argument("--timeout", type=positive_float, help="limit of the time of a contender in seconds")
    run.add_argument(
        "--memory-mb", type=positive_int, help="limit of the memory of all processes of a contender in MB"
    )
    run.add_argument(
        "--environments",
        type=Path,
        default=Path("toytip-data/bench/environments"),
        help="folder for the environments of engines whose packages are not installed",
    )
    add_output_option(run, RESULTS_FILE)
    run.set_defaults(command=run_benchmarks)


def _parse_workloads(text: str) -> list[str]:
    return distinct_names(text, WORKLOADS)


def _parse_peers(text: str) -> list[str]:
    named = {"none": [], "every": list(PEER_NAMES)}
    return named[text] if text in named else distinct_names(text, (*PEER_NAMES, *named))


def _compare(options: argparse.Namespace) -> int:
    """Print the changes of toytip. Return 1 if it is slower, or if its rows or AUC changed."""
    old, new = (validate_rows(results.load_results(file)) for file in (options.old, options.new))
    for file, rows in ((options.old, old), (options.new, new)):
        for row in (row for row in rows if not row["valid"]):
            print_line(
                f"excluded from {file}: {row['name']}, {row['rows']:,} rows, "
                f"repeat {row['repeat']}: {row['why']}"
            )
    quality = quality_changes(old, new)
    changes = compare_results(old, new)
    for line in (*quality, *changes):
        print_line(str(line))
    if quality or any(results.is_toytip(row) and not row["valid"] for row in new):
        return 1
    if not changes:
        raise results.InvalidInputError(
            f"cannot compare {options.old} and {options.new}: both need results of toytip for the "
            "same work and workers, and a common peer or the same machine"
        )
    return int(any(change.is_slower for change in changes))


def _plot(options: argparse.Namespace) -> int:
    rows = [row for row in validate_rows(results.load_results(options.results)) if row["valid"]]
    if not rows:
        raise results.InvalidInputError(f"cannot plot {options.results}: it has no valid result")
    for file in plots.draw_all(rows, options.output):
        print_line(str(file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
