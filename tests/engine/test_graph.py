"""flow: one task a partition, nothing computed while it builds."""

import dask
import dask.dataframe as dd
import distributed
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import raw_table, write_months
from toytip.core.model import Encoding, FeatureEncoding, TrainedModel
from toytip.core.months import Month
from toytip.core.splits import Split, TimeRange
from toytip.core.tables import REJECTS
from toytip.engine import compute, graph
from toytip.engine.locality import LocalityQueue
from toytip.errors import SourceError
from toytip.pipeline.identity import planned_from_slice
from toytip.progress.tracker import Progress
from toytip.sources.discovery import open_source
from toytip.stages.featurize import FEATURES_SCHEMA, feature_set
from toytip.store.store import Store

SPLIT = Split(
    train=TimeRange("2023-01-01", "2023-02-01"), validation=None, test=TimeRange("2023-02-01", "2023-03-01")
)


@pytest.fixture
def parts(tmp_path):
    folder = write_months(tmp_path / "in", {f"2023-0{m}": raw_table(60, Month(2023, m)) for m in (1, 2)})
    return open_source(str(folder)).partitions(20)


@pytest.fixture
def lazy(parts, tmp_path):
    def build():
        store = Store(str(tmp_path / "store"), "dev")
        trips, rejects = graph.clean_trips(graph.read_raw_trips(parts))
        frames = {FEATURES_SCHEMA: graph.build_features(trips), REJECTS: rejects}
        return graph.write_partitions(
            store, "v1", [planned_from_slice("read", part, "sha256:0") for part in parts], frames
        )

    return build


def test_building_computes_nothing(lazy, parts):
    def boom(*args, **kwargs):
        raise AssertionError("computed while building")

    encoding = Encoding(
        features=(FeatureEncoding(name="pickup_hour", exact=True, values=(1.0,)),),
        split=SPLIT,
        segment="all",
        rows=2,
        positives=1,
    )
    with dask.config.set(scheduler=boom):
        lazy().optimize()
        features = graph.build_features(graph.clean_trips(graph.read_raw_trips(parts))[0])
        graph.encode_split(features, encoding, "train").optimize()
        model = TrainedModel(version="v1", booster=b"", encoding=encoding, rounds=1)
        summing = graph.SummaryInputs(features, graph.Summarizer(encoding))
        graph.summarize_partitions(
            graph.apply_threshold(graph.score_features(features, model), 0.5), summing
        ).optimize()
        graph.count_partitions(features, feature_set("payment"), SPLIT, "all").optimize()


def test_from_file_to_written_parts_is_one_task_a_partition(lazy, parts):
    optimized = lazy().optimize()
    assert optimized.npartitions == len(parts) == 6
    assert len(optimized.__dask_graph__()) == len(parts)


def test_every_partition_writes_its_parts(lazy, parts, client):
    with Progress().stage("featurize", len(parts)) as stage:
        done = compute.compute_partitions(client, lazy(), stage)
    assert [item.records["features"].path for item in done] == [part.key.path for part in parts]
    assert sum(item.rows for item in done) == stage.rows == 120
    assert stage.done == len(parts)


def test_an_error_in_a_task_is_our_own(lazy, parts, client, tmp_path):
    (tmp_path / "in" / "yellow_tripdata_2023-01.parquet").write_bytes(b"PAR1 nothing more")
    with pytest.raises(SourceError, match="2023-01"), Progress().stage("featurize", len(parts)) as stage:
        compute.compute_partitions(client, lazy(), stage)


def test_a_worker_goes_on_in_the_file_that_it_is_at(client):
    """Of twenty slices of a file, few follow on one that another worker had."""
    files = [name for name in ("a", "b", "c") for _ in range(20)]
    numbers = dd.from_pandas(pd.DataFrame({"number": range(len(files))}), npartitions=len(files))
    met = numbers.map_partitions(
        lambda frame: pd.Series(
            [graph.PartitionResult(len(frame), distributed.get_worker().address)], dtype=object
        ),
        meta=graph.RESULT_META,
    )
    with Progress().stage("featurize", len(files)) as stage:
        done = compute.compute_partitions(client, met, stage, files=files)
    assert stage.rows == len(done) == 60
    assert len({item.worker for item in done}) == 2
    changes = sum(
        done[n].worker != done[n - 1].worker for n in range(1, len(files)) if files[n] == files[n - 1]
    )
    assert changes <= 8, "by turns it would be about 57"


@given(
    runs=st.lists(st.integers(1, 9), max_size=6),
    lanes=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
)
def test_every_partition_is_handed_out_once(runs, lanes, order):
    files = [number for number, length in enumerate(runs) for _ in range(length)]
    handing, handed = LocalityQueue(files), []
    under_way = [number for _ in range(lanes) if (number := handing.next(None)) is not None]
    handed += under_way
    while under_way:
        done = under_way.pop(order.randrange(len(under_way)))
        if (number := handing.next(done)) is not None:
            under_way.append(number)
            handed.append(number)
    assert sorted(handed) == list(range(len(files)))
