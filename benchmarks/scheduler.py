"""What the scheduler costs: tasks that do nothing, handed in and collected as a run's are.

    python -m benchmarks.scheduler --partitions 1000,10000,100000

The workers are threads of this process, so that nothing but the graph, the scheduler and the driver takes time.
"""

from __future__ import annotations

import argparse
import sys
import time

import dask
import dask.dataframe as dd
import distributed
import pandas as pd
import psutil

from benchmarks.arguments import distinct_counts, positive_int
from toytip.engine import compute, graph
from toytip.progress.tracker import Progress


def main() -> int:
    """Print for every number of partitions what it takes to build their graph and to run it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduler", description=__doc__)
    parser.add_argument("--partitions", type=distinct_counts, default=[1_000, 10_000, 100_000])
    parser.add_argument("--workers", type=positive_int, default=2)
    parser.add_argument(
        "--slices", type=int, default=0, help="of a file, handed in one after the other; 0: all at once"
    )
    options = parser.parse_args()
    cluster = distributed.LocalCluster(
        n_workers=options.workers, threads_per_worker=1, processes=False, dashboard_address=None
    )
    progress = Progress()
    with cluster, distributed.Client(cluster) as client, dask.config.set({"dataframe.convert-string": False}):
        for count in options.partitions:
            start = time.perf_counter()
            lazy = dd.from_map(_do_nothing, range(count), meta=graph.RESULT_META, enforce_metadata=False)
            built = time.perf_counter()
            with progress.stage("nothing", count) as stage:
                compute.compute_partitions(client, lazy, stage, files=_make_files(count, options.slices))
            ran = time.perf_counter()
            memory = psutil.Process().memory_info().rss / 1e6
            sys.stdout.write(
                f"{count:>9,} partitions: built in {built - start:.1f} s, run in {ran - built:.1f} s, "
                f"{(ran - start) / count * 1e3:.2f} ms each, {memory:,.0f} MB\n"
            )
            sys.stdout.flush()
    return 0


def _make_files(count: int, slices: int) -> list[str]:
    return [str(number // slices) for number in range(count)] if slices else []


def _do_nothing(_number: int) -> pd.Series:
    return graph.PartitionResult(1, distributed.get_worker().address).to_series()


if __name__ == "__main__":
    sys.exit(main())
