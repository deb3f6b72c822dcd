"""keeper: a checkpoint goes by what is trained, scores by the run; neither outlives its use."""

import numpy as np
import pytest

from toytip.errors import StoreError
from toytip.store import maintenance
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.store import Store


@pytest.fixture
def keeper(tmp_path):
    return StoreCheckpoints(
        Store(str(tmp_path), "dev"), "v1", "abc", ("year=2023/month=1/part-00000.parquet",)
    )


def test_a_checkpoint_is_found_by_whoever_trains_the_same(keeper):
    assert keeper.load() is None
    keeper.save(b"ten rounds")
    keeper.save(b"twenty rounds")
    assert StoreCheckpoints(keeper.store, "v2", "abc").load() == b"twenty rounds"
    assert StoreCheckpoints(keeper.store, "v1", "other").load() is None
    keeper.delete()
    keeper.delete()
    assert keeper.load() is None


def test_scores_come_back_to_the_bit_while_the_version_is_made(keeper):
    chances = np.random.default_rng(0).random(100).astype(np.float32)
    with keeper.store.write_version("v1"):
        assert keeper.load_scores(keeper.paths[0]) is None
        keeper.save_scores(0, chances)
        assert keeper.load_scores(keeper.paths[0]).tobytes() == chances.tobytes()
    assert keeper.load_scores(keeper.paths[0]) is None
    assert not keeper.store.file_io.list_files("dev/_staging/v1")


def test_gc_takes_a_checkpoint_that_no_live_run_can_want(keeper):
    keeper.save(b"ten rounds")
    with keeper.store.write_version("v3"):
        assert maintenance.find_garbage(keeper.store, 1).orphaned_files == ()
    waste = maintenance.find_garbage(keeper.store, 1)
    assert waste.orphaned_files == ("dev/_checkpoints/abc.ubj",)
    maintenance.collect_garbage(keeper.store, waste)
    assert keeper.load() is None


def test_a_store_that_cannot_be_written_says_so(keeper, tmp_path):
    (tmp_path / "dev").write_text("a file in the way")
    with pytest.raises(StoreError, match="cannot write"):
        keeper.save(b"ten rounds")
