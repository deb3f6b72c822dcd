"""Tests of the Dask graph: lazy frames, one task per partition, and file affinity."""

import time

import dask
import dask.dataframe as dd
import distributed
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.trips import raw_table, write_months
from toytip.cluster.workers import TaskCapacity
from toytip.core.model import Encoding, FeatureEncoding, TrainedModel
from toytip.core.months import Month
from toytip.core.splits import Split, TimeRange
from toytip.core.tables import FEATURES, REJECTS
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.engine import compute, graph
from toytip.engine.locality import LocalityQueue
from toytip.errors import SourceError
from toytip.pipeline.fingerprints import plan_file_of_partition
from toytip.progress.tracker import Progress
from toytip.sources.discovery import open_source
from toytip.store.store import Store

SPLIT = Split(
    train=TimeRange("2023-01-01", "2023-02-01"), validation=None, test=TimeRange("2023-02-01", "2023-03-01")
)


@pytest.fixture
def partitions(tmp_path):
    folder = write_months(tmp_path / "in", {f"2023-0{m}": raw_table(60, Month(2023, m)) for m in (1, 2)})
    return open_source(str(folder)).partitions(20)


@pytest.fixture
def build_graph(partitions, tmp_path):
    def build():
        store = Store(str(tmp_path / "store"), "dev")
        trips, rejects = graph.clean_trips(graph.read_raw_trips(partitions, TLC), TLC)
        frames = {TLC.table(FEATURES): graph.build_features(trips, TLC), TLC.table(REJECTS): rejects}
        records = [
            dict.fromkeys(
                ("features", "rejects"),
                plan_file_of_partition("clean", TLC, partition, {partition.uri: "sha256:0"}),
            )
            for partition in partitions
        ]
        return graph.write_partitions(store, "v1", records, frames)

    return build


def test_building_the_graph_computes_nothing(build_graph, partitions):
    def fail(*args, **kwargs):
        raise AssertionError("computed while building")

    encoding = Encoding(
        features=(FeatureEncoding(name="pickup_hour", exact=True, values=(1.0,)),),
        split=SPLIT,
        segment="all",
        rows=2,
        positives=1,
        dataset=TLC,
    )
    with dask.config.set(scheduler=fail):
        build_graph().optimize()
        features = graph.build_features(graph.clean_trips(graph.read_raw_trips(partitions, TLC), TLC)[0], TLC)
        graph.select_split(features, encoding, "train")[0].optimize()
        model = TrainedModel(version="v1", booster=b"", encoding=encoding, rounds=1)
        predictions = graph.apply_threshold(graph.score_features(features, model), 0.5, TLC)
        inputs = graph.SummaryInputs(features, graph.Summarizer(encoding))
        graph.summarize_partitions(predictions, inputs).optimize()
        graph.count_partitions(features, TLC.feature_set("payment"), SPLIT, "all", TLC).optimize()


def test_a_partition_is_one_task_from_the_source_to_the_written_files(build_graph, partitions):
    optimized = build_graph().optimize()
    assert optimized.npartitions == len(partitions) == 6
    assert len(optimized.__dask_graph__()) == len(partitions)


def test_every_partition_writes_its_files(build_graph, partitions, client):
    with Progress().stage("featurize", len(partitions)) as stage:
        results = compute.compute_partitions(client, build_graph(), stage)
    paths = [result.records["features"].path for result in results]
    assert paths == [partition.key.path for partition in partitions]
    assert sum(result.rows for result in results) == stage.rows == 120
    assert stage.done == len(partitions)


def test_an_error_in_a_task_keeps_its_type(build_graph, partitions, client, tmp_path):
    (tmp_path / "in" / "yellow_tripdata_2023-01.parquet").write_bytes(b"PAR1 nothing more")
    with (
        pytest.raises(SourceError, match="2023-01"),
        Progress().stage("featurize", len(partitions)) as stage,
    ):
        compute.compute_partitions(client, build_graph(), stage)


def test_a_worker_continues_in_the_file_that_it_reads(client):
    """Few of the twenty partitions of a file follow one that another worker computed."""
    files = [name for name in ("a", "b", "c") for _ in range(20)]
    frame = dd.from_pandas(pd.DataFrame({"index": range(len(files))}), npartitions=len(files))

    def compute_slowly(part):
        time.sleep(0.02)  # otherwise one worker could compute all partitions before the other starts
        return graph.PartitionResult(len(part), distributed.get_worker().address).to_series()

    lazy = frame.map_partitions(compute_slowly, meta=graph.RESULT_META)
    with Progress().stage("featurize", len(files)) as stage:
        results = compute.compute_partitions(client, lazy, stage, files=files)
    assert stage.rows == len(results) == 60
    assert len({result.worker for result in results}) == 2
    neighbors = [(index - 1, index) for index in range(1, len(files)) if files[index] == files[index - 1]]
    changes = sum(results[first].worker != results[second].worker for first, second in neighbors)
    assert changes <= 8, "about 57 if the workers took turns"


@given(
    runs=st.lists(st.integers(1, 9), max_size=6),
    lanes=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_the_queue_returns_every_partition_once(runs, lanes, order):
    files = [file for file, length in enumerate(runs) for _ in range(length)]
    queue = LocalityQueue(files)
    running = [index for _ in range(lanes) if (index := queue.next(None)) is not None]
    returned = list(running)
    while running:
        finished = running.pop(order.randrange(len(running)))
        if (index := queue.next(finished)) is not None:
            running.append(index)
            returned.append(index)
    assert sorted(returned) == list(range(len(files)))


def test_a_computation_waits_while_no_worker_is_connected(client, monkeypatch):
    """If all workers restart at once, the capacity is zero for some time."""
    capacities = iter([TaskCapacity(4, 2), TaskCapacity(0, 0)])
    monkeypatch.setattr(compute.cluster, "task_capacity", lambda _: next(capacities, TaskCapacity(4, 2)))
    frame = dd.from_pandas(pd.DataFrame({"index": range(4)}), npartitions=4)
    lazy = frame.map_partitions(
        lambda part: graph.PartitionResult(len(part)).to_series(), meta=graph.RESULT_META
    )
    with Progress().stage("featurize", 4) as stage:
        results = compute.compute_partitions(client, lazy, stage)
    assert [result.rows for result in results] == [1, 1, 1, 1]
