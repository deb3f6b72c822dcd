"""Measure the scoring server: the latency of single trips, and the throughput of lists of trips.

    python -m benchmarks.serving --output benchmarks/results

Without `--store` and `--trips`, the benchmark runs toytip with default settings on the built-in
year, and serves the champion. One client sends all requests, one after the other. Each probability
must have exactly the value that the batch computes.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

import toytip
from benchmarks.arguments import positive_int
from benchmarks.machine.facts import machine_columns
from benchmarks.results import append_result
from benchmarks.run import print_line
from toytip.core.arrays import Float32Array, Float64Array
from toytip.datasets.tlc.taxis.synthetic import SYNTHETIC_MONTHS, SyntheticSpec, generate_month

# The first requests fill the caches of the server, and are not measured.
WARM_UP_REQUESTS = 20
# Some of the trips are rejected by a cleaning rule, and are not sent.
ROWS_PER_TRIP = 2
MAX_BYTES = 100_000_000


@dataclass(frozen=True, kw_only=True)
class ServingResult:
    """The measured requests of one kind."""

    name: str
    """Kind of the requests."""
    trips_per_request: int
    """Number of trips in each request."""
    requests: int
    """Number of measured requests."""
    p50_ms: float
    """Median time of a request in milliseconds."""
    p95_ms: float
    """Time in milliseconds that 95 % of the requests do not exceed."""
    trips_per_second: int
    """Number of trips that the server scores per second of wall time."""
    trips_per_cpu_second: int
    """Number of trips that the server scores per second of its CPU time, in all its threads."""
    is_exact: bool
    """Whether every probability has exactly the value that the batch computes."""


@dataclass(frozen=True)
class ScoringClient:
    """A client that sends requests to a server on one connection."""

    connection: http.client.HTTPConnection
    server: psutil.Process

    def score(self, path: str, body: bytes) -> bytes:
        """Return the response to a request. Raises RuntimeError if the server does not score it."""
        self.connection.request("POST", path, body)
        response = self.connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"the server answered {response.status}: {content.decode():.300}")
        return content

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server in seconds."""
        times = self.server.cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True)
class ScoredSample:
    """Raw trips that the model scores, and their probabilities in the batch."""

    trips: list[dict[str, Any]]
    probability: Float32Array

    @classmethod
    def of(cls, model: toytip.Model, raw: pa.Table, count: int) -> ScoredSample:
        """Return the first trips of a file that the model scores."""
        predictions = model.predict(raw)
        rows = np.flatnonzero(predictions["reason"].isna())[:count]
        return cls(raw.take(rows).to_pylist(), predictions["probability"].to_numpy()[rows])


def main() -> int:
    """Print the result of each kind of request. Return 1 if a probability is not exact."""
    options = _parse_arguments()
    with contextlib.ExitStack() as stack:
        store = options.store
        if store is None:
            store = _train(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        raw = pq.read_table(options.trips) if options.trips else _synthetic_trips(options.batch_trips)
        sample = ScoredSample.of(toytip.open_store(store).model("champion"), raw, options.batch_trips)
        client = stack.enter_context(_serve(store))
        results = []
        for name, path, size, count in (
            ("one trip", "/score?shap_top=0", 1, options.requests),
            ("one trip, with SHAP values", "/score", 1, options.requests),
            ("list of trips", "/score?shap_top=0", len(sample.trips), options.batches),
        ):
            results.append(_measure(client, name, path, sample, size, count))
            print_line(_format_result(results[-1]))
            if options.output:
                row = {"workload": "serving", **asdict(results[-1]), **machine_columns()}
                append_result(options.output, row)
    return 0 if all(result.is_exact for result in results) else 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--store", help="store whose model is served (default: a new store)")
    parser.add_argument("--trips", type=Path, help="Parquet file with raw trips (default: built-in trips)")
    parser.add_argument("--requests", type=positive_int, default=2_000, help="number of single trips")
    parser.add_argument("--batches", type=positive_int, default=100, help="number of lists of trips")
    parser.add_argument("--batch-trips", type=positive_int, default=1_000, help="number of trips in a list")
    parser.add_argument(
        "--output", type=Path, help="result file, to which the command appends a row per kind"
    )
    options = parser.parse_args()
    if (options.store is None) != (options.trips is None):
        parser.error("set --store and --trips together, because trips must have the taxi type of the model")
    return options


def _train(folder: Path) -> str:
    """Run toytip with default settings on the built-in year, and return the store."""
    store = str(folder / "store")
    command = [sys.executable, "-m", "toytip", "run", "--store", store, "--workers", "2", "--quiet"]
    subprocess.run(command, check=True)
    return store


def _synthetic_trips(count: int) -> pa.Table:
    return generate_month(SYNTHETIC_MONTHS[-1], SyntheticSpec(rows_per_month=ROWS_PER_TRIP * count + 100))


@contextlib.contextmanager
def _serve(store: str) -> Iterator[ScoringClient]:
    """Start `toytip serve` on a free port of the loopback interface, and yield a client."""
    command = [sys.executable, "-m", "toytip", "serve", "--store", store, "--port", "0"]
    limits = ["--max-trips", str(MAX_BYTES), "--max-bytes", str(MAX_BYTES)]
    with subprocess.Popen([*command, *limits], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if match := re.search(r"http://\S+\d", line):
                    break
            else:
                raise RuntimeError("the server did not start")
            address = urlsplit(match[0])
            with contextlib.closing(
                http.client.HTTPConnection(str(address.hostname), address.port)
            ) as connection:
                yield ScoringClient(connection, psutil.Process(process.pid))
        finally:
            process.terminate()


def _measure(
    client: ScoringClient, name: str, path: str, sample: ScoredSample, size: int, count: int
) -> ServingResult:
    """Send requests with `size` trips each, and check all probabilities."""
    groups = [range(start, start + size) for start in range(0, len(sample.trips) - size + 1, size)]
    bodies = [
        json.dumps([sample.trips[row] for row in rows], default=str).encode()
        if size > 1
        else json.dumps(sample.trips[rows[0]], default=str).encode()
        for rows in groups
    ]
    for number in range(WARM_UP_REQUESTS):
        client.score(path, bodies[number % len(bodies)])
    seconds, is_exact, cpu_before = np.empty(count), True, client.cpu_seconds()
    for number in range(count):
        start = time.perf_counter()
        response = client.score(path, bodies[number % len(bodies)])
        seconds[number] = time.perf_counter() - start
        is_exact &= _probabilities(response) == sample.probability[groups[number % len(bodies)]].tolist()
    return _summarize(name, size, seconds, client.cpu_seconds() - cpu_before, is_exact=is_exact)


def _probabilities(response: bytes) -> list[float]:
    answer = json.loads(response)
    return [trip["probability"] for trip in answer.get("trips", [answer])]


def _summarize(
    name: str, size: int, seconds: Float64Array, cpu_seconds: float, *, is_exact: bool
) -> ServingResult:
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1_000
    trips = size * len(seconds)
    return ServingResult(
        name=name,
        trips_per_request=size,
        requests=len(seconds),
        p50_ms=round(float(p50), 2),
        p95_ms=round(float(p95), 2),
        trips_per_second=round(trips / seconds.sum()),
        trips_per_cpu_second=round(trips / max(cpu_seconds, 0.01)),
        is_exact=bool(is_exact),
    )


def _format_result(result: ServingResult) -> str:
    return (
        f"{result.name:27s} {result.trips_per_request:>5,} trips  p50 {result.p50_ms:7.2f} ms  "
        f"p95 {result.p95_ms:7.2f} ms  {result.trips_per_second:>7,} trips/s  "
        f"{result.trips_per_cpu_second:>7,} trips per CPU second"
        f"{'' if result.is_exact else '  not exact'}"
    )


if __name__ == "__main__":
    sys.exit(main())
