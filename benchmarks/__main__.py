"""The benchmarks: `python -m benchmarks run|compare|plot`; `make bench` runs the small suite, in under five minutes.

Contenders take turns, repeat after repeat, on the same generated year; only ratios of one run of this command mean
anything. Every row carries the AUC beside the time: a run whose AUC is not the others' is no result, and is an error.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import plots, results
from benchmarks.harness import measure
from benchmarks.workloads import PEERS, USUAL, Contender, Task, quality, toytip

RESULTS = Path("benchmarks/results.jsonl")


def main() -> int:
    """Do what was asked for; return the exit code: 1 where something got slower, or is no result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="measure toytip beside its peers")
    run.add_argument("--rows", type=int, default=100_000, help="trips a month in the generated year")
    run.add_argument("--seed", type=int, default=2020, help="its seed")
    run.add_argument("--data", type=Path, default=Path("toytip-data/bench"), help="where it is kept")
    run.add_argument("--rounds", type=int, default=100)
    run.add_argument("--max-depth", type=int, default=8)
    run.add_argument("--workers", default="2", help="numbers of workers to run toytip on, as 1,2,4,8")
    run.add_argument("--peers", default=",".join(USUAL), help=f"of {', '.join(PEERS)}; none")
    run.add_argument(
        "--weak", action="store_true", help="as many times the rows as workers, without peers: weak scaling"
    )
    run.add_argument("--repeats", type=int, default=3)
    run.add_argument("--out", type=Path, default=RESULTS)
    run.set_defaults(do=_run)
    compare = commands.add_parser("compare", help="tell what has changed from one file of results to another")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    compare.set_defaults(do=_compare)
    plot = commands.add_parser("plot", help="draw a file of results")
    plot.add_argument("results", type=Path, nargs="?", default=RESULTS)
    plot.add_argument("--out", type=Path, default=Path("benchmarks/plots"))
    plot.set_defaults(do=_plot)
    options = parser.parse_args()
    return int(options.do(options))


def _run(options: argparse.Namespace) -> int:
    counts = [int(count) for count in options.workers.split(",")]
    names = [] if options.peers == "none" or options.weak else options.peers.split(",")
    years = {count: _year(options, options.rows * (count if options.weak else 1)) for count in counts}
    sides = [(toytip(count), years[count]) for count in counts]
    sides += [(PEERS[name], years[counts[0]]) for name in names]
    rows = []
    for repeat in range(options.repeats):
        for contender, source in sides:
            task = Task(source, rounds=options.rounds, max_depth=options.max_depth)
            rows.append(_measured(contender, task, options, repeat))
            results.append(options.out, rows[-1])
            _say("  ".join(f"{key} {rows[-1][key]}" for key in SHOWN))
    _say("")
    return _told_weak(rows) if options.weak else _told(rows)


def _told_weak(rows: list[dict[str, Any]]) -> int:
    """Say how much of its speed alone a worker keeps among many, stage by stage and in all; years differ, so no AUC is odd."""
    for workers, stage, kept in results.weak(rows):
        _say(f"{workers} workers, {stage}: {kept:.2f}")
    return 0


def _told(rows: list[dict[str, Any]]) -> int:
    """Say the ratios of the first contender to all others; 1 where a row is no result."""
    for value, what in (("seconds", "time"), ("peak_mb", "peak memory")):
        for other, found in results.ratios(rows, rows[0]["name"], value).items():
            _say(f"{what} of {rows[0]['name']} / {other}: {found}")
    odd = results.out_of_band(rows)
    for row in odd:
        _say(f"no result: {row['name']} kept {row['kept']} rows, AUC {row['auc']:.5f}")
    return int(bool(odd))


SHOWN = ("name", "repeat", "seconds", "cpu_s", "peak_mb", "rows_per_s", "auc")


def _year(options: argparse.Namespace, size: int) -> Path:
    """Return the folder of a generated year of so many trips a month; made where it is not there yet, by toytip."""
    folder = options.data / f"synthetic-{size}-{options.seed}"
    if len(list(folder.glob("*.parquet"))) < 12:
        from benchmarks.year import write

        _say(f"making a year of {size:,} trips a month in {folder}")
        write(folder, size, options.seed)
    return Path(folder)


def _measured(contender: Contender, task: Task, options: argparse.Namespace, repeat: int) -> dict[str, Any]:
    from toytip.cluster import cores
    from toytip.pipeline.context import environment

    out = Path(tempfile.mkdtemp(prefix="toytip-bench-"))
    try:
        taken = measure(contender.command(task, out))
        told = contender.told(taken, out)
        auc = quality(Path(told["predictions"]))
    finally:
        shutil.rmtree(out)
    rows = _rows(task.source)
    seconds = taken.wall_s if contender.whole else round(sum(told["stages"].values()), 3)
    return {
        "name": contender.name, "workers": contender.workers, "alike": contender.alike, "repeat": repeat,
        "rows": rows, "seed": options.seed, "synthetic": True, "rounds": task.rounds, "max_depth": task.max_depth,
        "seconds": seconds, "rows_per_s": round(rows / seconds), "stages": told["stages"], "kept": told["kept"],
        "auc": round(auc, 5), "cpu_s": taken.cpu_s, "peak_mb": taken.peak_mb, "read_mb": taken.read_mb,
        "written_mb": taken.written_mb, "spilled_mb": taken.spilled_mb, "memory": taken.memory,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": cores(),
        "machine_gb": round(psutil.virtual_memory().total / 1e9, 1), "machine": platform.machine(),
        "environment": environment(),
    }  # fmt: skip


def _rows(source: Path) -> int:
    from toytip.source import resolve

    return resolve(str(source)).rows


def _compare(options: argparse.Namespace) -> int:
    slower = False
    for change in results.compare(results.load(options.before), results.load(options.after)):
        verdict = "no change" if not change.ratio.changed else "more" if change.ratio.mean > 1 else "less"
        slower |= verdict == "more"
        _say(f"{change.name}, {change.rows:,} rows, {change.value}: {change.ratio}: {verdict}")
    return int(slower)


def _plot(options: argparse.Namespace) -> int:
    for file in plots.draw(results.load(options.results), options.out):
        _say(str(file))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
