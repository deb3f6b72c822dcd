"""flow: one task a partition, nothing computed while it builds."""

import dask
import pytest

from tests.conftest import raw_table, write_months
from toytip import barrier, flow
from toytip.errors import SourceError
from toytip.pipeline.identity import of_slice
from toytip.progress import Progress
from toytip.schema import REJECTS
from toytip.source import resolve
from toytip.stages.featurize import TABLE as FEATURES
from toytip.stages.featurize import feature_set
from toytip.store import Store
from toytip.values import Encoding, FeatureCodes, Model, Month, Span, Split

SPLIT = Split(train=Span("2023-01-01", "2023-02-01"), valid=None, test=Span("2023-02-01", "2023-03-01"))


@pytest.fixture
def parts(tmp_path):
    folder = write_months(tmp_path / "in", {f"2023-0{m}": raw_table(60, Month(2023, m)) for m in (1, 2)})
    return resolve(str(folder)).parts(20)


@pytest.fixture
def lazy(parts, tmp_path):
    def build():
        store = Store(str(tmp_path / "store"), "dev")
        trips, rejects = flow.cleaned(flow.raw_trips(parts))
        frames = {FEATURES: flow.featurized(trips), REJECTS: rejects}
        return flow.written(store, "v1", [of_slice("read", part, "sha256:0") for part in parts], frames)

    return build


def test_building_computes_nothing(lazy, parts):
    def boom(*args, **kwargs):
        raise AssertionError("computed while building")

    encoding = Encoding(
        features=(FeatureCodes(name="pickup_hour", exact=True, values=(1.0,)),),
        split=SPLIT,
        population="all",
        rows=2,
        positives=1,
    )
    with dask.config.set(scheduler=boom):
        lazy().optimize()
        features = flow.featurized(flow.cleaned(flow.raw_trips(parts))[0])
        flow.encoded(features, encoding, "train").optimize()
        model = Model(version="v1", booster=b"", encoding=encoding, rounds=1)
        summing = flow.Summing(features, flow.Rule(encoding))
        flow.tallied(flow.decided(flow.scored(features, model), 0.5), summing).optimize()
        flow.counted(features, feature_set("payment"), SPLIT, "all").optimize()


def test_from_file_to_written_parts_is_one_task_a_partition(lazy, parts):
    optimized = lazy().optimize()
    assert optimized.npartitions == len(parts) == 6
    assert len(optimized.__dask_graph__()) == len(parts)


def test_every_partition_writes_its_parts(lazy, parts, client):
    with Progress().stage("featurize", len(parts)) as stage:
        done = barrier.collect(client, lazy(), stage)
    assert [item.records["features"].path for item in done] == [part.key.path for part in parts]
    assert sum(item.rows for item in done) == stage.rows == 120
    assert stage.done == len(parts)


def test_an_error_in_a_task_is_our_own(lazy, parts, client, tmp_path):
    (tmp_path / "in" / "yellow_tripdata_2023-01.parquet").write_bytes(b"PAR1 nothing more")
    with pytest.raises(SourceError, match="2023-01"), Progress().stage("featurize", len(parts)) as stage:
        barrier.collect(client, lazy(), stage)
