"""Checkpoints belong to a training, and scores to a run. Both are deleted after their last use."""

import numpy as np
import pytest

from toytip.errors import StoreError
from toytip.store import maintenance
from toytip.store.checkpoints import StoreCheckpoints
from toytip.store.store import Store


@pytest.fixture
def checkpoints(tmp_path):
    return StoreCheckpoints(
        Store(str(tmp_path), "dev"), "v1", "abc", ("year=2023/month=1/part-00000.parquet",)
    )


def test_a_checkpoint_is_available_to_every_equal_training(checkpoints):
    assert checkpoints.load() is None
    checkpoints.save(b"ten rounds")
    checkpoints.save(b"twenty rounds")
    assert StoreCheckpoints(checkpoints.store, "v2", "abc").load() == b"twenty rounds"
    assert StoreCheckpoints(checkpoints.store, "v1", "other").load() is None
    checkpoints.delete()
    checkpoints.delete()
    assert checkpoints.load() is None


def test_scores_are_exact_and_exist_while_the_version_is_written(checkpoints):
    chances = np.random.default_rng(0).random(100).astype(np.float32)
    with checkpoints.store.write_version("v1"):
        assert checkpoints.load_scores(checkpoints.paths[0]) is None
        checkpoints.save_scores(0, chances)
        assert checkpoints.load_scores(checkpoints.paths[0]).tobytes() == chances.tobytes()
    assert checkpoints.load_scores(checkpoints.paths[0]) is None
    assert not checkpoints.store.file_io.list_files("dev/_staging/v1")


def test_gc_deletes_a_checkpoint_if_no_run_is_active(checkpoints):
    checkpoints.save(b"ten rounds")
    with checkpoints.store.write_version("v3"):
        assert maintenance.find_garbage(checkpoints.store, 1).orphaned_files == ()
    waste = maintenance.find_garbage(checkpoints.store, 1)
    assert waste.orphaned_files == ("dev/_checkpoints/abc.checkpoint",)
    maintenance.collect_garbage(checkpoints.store, waste)
    assert checkpoints.load() is None


def test_an_unwritable_store_is_an_error(checkpoints, tmp_path):
    (tmp_path / "dev").write_text("a file in the way")
    with pytest.raises(StoreError, match="cannot write"):
        checkpoints.save(b"ten rounds")
