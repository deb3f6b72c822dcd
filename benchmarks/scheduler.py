"""Measure the cost of the scheduler with empty tasks, which run like the tasks of a stage.

    python -m benchmarks.scheduler --partitions 1000,10000,100000

The workers are threads of this process. Only the work on the graph, in the scheduler and in the
client takes time.
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
    """Print how many seconds it takes to build and to run the graph, by number of partitions."""
    options = _parser().parse_args()
    cluster = distributed.LocalCluster(
        n_workers=options.workers, threads_per_worker=1, processes=False, dashboard_address=None
    )
    progress = Progress()
    with cluster, distributed.Client(cluster) as client, dask.config.set({"dataframe.convert-string": False}):
        for count in options.partitions:
            start = time.perf_counter()
            lazy = dd.from_map(_do_nothing, range(count), meta=graph.RESULT_META, enforce_metadata=False)
            built = time.perf_counter()
            files = _partition_files(count, options.partitions_per_file)
            with progress.stage("nothing", count) as stage:
                compute.compute_partitions(client, lazy, stage, files=files)
            end = time.perf_counter()
            memory_mb = psutil.Process().memory_info().rss / 1e6
            print(
                f"{count:>9,} partitions: built in {built - start:.1f} s, run in {end - built:.1f} s, "
                f"{(end - start) / count * 1e3:.2f} ms per partition, {memory_mb:,.0f} MB",
                flush=True,
            )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scheduler", description=__doc__)
    parser.add_argument(
        "--partitions",
        type=distinct_counts,
        default=[1_000, 10_000, 100_000],
        help="one or more numbers of partitions, for example 1000,10000",
    )
    parser.add_argument("--workers", type=positive_int, default=2, help="number of workers")
    parser.add_argument(
        "--partitions-per-file",
        type=int,
        default=0,
        help="number of partitions per file; one worker processes a file in order (0: no files)",
    )
    return parser


def _partition_files(count: int, partitions_per_file: int) -> list[str]:
    if not partitions_per_file:
        return []
    return [str(index // partitions_per_file) for index in range(count)]


def _do_nothing(_index: int) -> pd.Series:
    return graph.PartitionResult(1, distributed.get_worker().address).to_series()


if __name__ == "__main__":
    sys.exit(main())
