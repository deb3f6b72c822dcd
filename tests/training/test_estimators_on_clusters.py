"""Estimators on Dask frames: the same model as without a cluster, checkpoints, and lost workers."""

import itertools
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.dataframe as dd
import distributed
import numpy as np
import pytest

from tests.training.higgs import FEATURES, make_higgs
from toytip import cluster
from toytip.cluster.workers import HostResources, choose_ranks, workers_by_address
from toytip.config import Settings
from toytip.errors import DataError
from toytip.estimators.exact_xgb import ExactXGBClassifier
from toytip.training import driver, rank
from toytip.training.rank import is_training

pytestmark = pytest.mark.usefixtures("one_thread")
PARAMS = {
    "n_estimators": 12,
    "max_depth": 4,
    "subsample": 0.7,
    "colsample_bytree": 0.6,
    "colsample_bylevel": 0.6,
    "reg_alpha": 0.5,
    "scale_pos_weight": 1.5,
    "max_bin": 40,
    "monotone_constraints": {"column_0": -1},
}


@pytest.fixture(scope="module")
def rows():
    return make_higgs(2_000)


def lazy(frame, partitions):
    return dd.from_pandas(frame, npartitions=partitions, sort=False)


def model_of(fitted):
    return bytes(fitted.booster_.save_raw())


@pytest.fixture(scope="module")
def expected(rows):
    """The model of a training without a cluster."""
    return model_of(ExactXGBClassifier(**PARAMS).fit(rows[[*FEATURES, "label", "weight"]], "label", "weight"))


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_cluster_of_processes_trains_the_same_model(ranks, rows, expected, client, monkeypatch):
    def ranks_of_workers(client):
        workers = workers_by_address(client)
        resources = {
            address: HostResources(frozenset({number}), 1, 2**30) for number, address in enumerate(workers)
        }
        return choose_ranks(workers, resources)[:ranks]

    monkeypatch.setattr(driver, "training_ranks", ranks_of_workers)
    frame = lazy(rows.sample(frac=1, random_state=ranks), 3 * ranks)
    fitted = ExactXGBClassifier(**PARAMS).fit(frame[FEATURES], frame["label"], frame["weight"])
    assert model_of(fitted) == expected
    assert (
        fitted.predict(frame[FEATURES]).compute().tolist()
        == fitted.predict(frame.compute()[FEATURES]).tolist()
    )
    probabilities = fitted.predict_proba(frame[FEATURES]).compute()
    assert probabilities.shape == (len(rows), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # Dask 2026.8 reads files with pandas 3.1
@pytest.mark.parametrize("workers", [1, 8])
def test_a_cluster_of_threads_trains_the_same_model(workers, rows, expected, tmp_path):
    """The rows are the files of a folder, and the labels and weights are columns."""
    lazy(rows[[*FEATURES, "label", "weight"]].sample(frac=1, random_state=workers), 5).to_parquet(tmp_path)
    options = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "processes": False,
        "dashboard_address": "127.0.0.1:0",
    }
    with distributed.LocalCluster(**options) as threads, distributed.Client(threads):
        fitted = ExactXGBClassifier(**PARAMS).fit(tmp_path, "label", "weight")
    assert model_of(fitted) == expected


def test_an_error_of_on_round_is_raised(rows, client):
    def fail(event):
        raise LookupError(f"round {event.round}")

    with pytest.raises(LookupError, match="round 1"):
        ExactXGBClassifier(**PARAMS, on_round=fail).fit(lazy(rows[[*FEATURES, "label"]], 2), "label")


def test_ranks_in_threads_of_a_process_restore_its_stderr():
    """Rank 0 begins first and ends first, so that rank 1 must not restore what rank 0 has set."""
    stderr = os.fstat(2)
    first, second = rank._STDERR.silenced(), rank._STDERR.silenced()
    first.__enter__()
    assert os.path.samestat(os.fstat(2), Path(os.devnull).stat())
    second.__enter__()
    first.__exit__(None, None, None)
    assert os.path.samestat(os.fstat(2), Path(os.devnull).stat())
    second.__exit__(None, None, None)
    assert os.path.samestat(os.fstat(2), stderr)


def test_labels_of_other_partitions_are_refused(rows):
    with pytest.raises(DataError, match="the features have 3 partitions, and the labels have 2"):
        ExactXGBClassifier().fit(lazy(rows[FEATURES], 3), lazy(rows, 2)["label"])
    with pytest.raises(DataError, match="the labels are not lazy"):
        ExactXGBClassifier().fit(lazy(rows[FEATURES], 3), rows["label"])


def test_an_interrupted_training_resumes_to_the_same_model(rows, expected, tmp_path):
    def stop(event):
        if event.round == 11:
            raise KeyboardInterrupt

    seen, frame = [], rows[[*FEATURES, "label", "weight"]]
    estimator = ExactXGBClassifier(**PARAMS, checkpoint_dir=str(tmp_path), on_round=stop)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(frame, "label", "weight")
    assert len(list(tmp_path.iterdir())) == 1
    estimator.set_params(on_round=seen.append)
    other = estimator.set_params(gamma=20.0).fit(frame, "label", "weight")
    assert seen[0].round == 1, "other parameters do not resume from this checkpoint"
    assert model_of(other) != expected
    seen.clear()
    assert model_of(estimator.set_params(gamma=0.0).fit(frame, "label", "weight")) == expected
    assert [event.round for event in seen] == [11, 12]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.volume
def test_a_training_survives_a_lost_worker(tmp_path, caplog):
    """The remaining worker trains the same model, from the latest checkpoint."""
    rows = make_higgs(20_000)[[*FEATURES, "label"]]
    params = {"n_estimators": 400, "subsample": 0.8, "colsample_bytree": 0.8}
    expected = ExactXGBClassifier(**params).fit(rows, "label")
    cluster.prestart_forkserver("forkserver")
    with cluster.connect(Settings.load(workers=2, threads_per_worker=1)) as client:
        pids = client.run(os.getpid)
        kills, rounds = itertools.chain([True], itertools.repeat(False)), []

        def kill_the_rank(event):
            rounds.append(event.round)
            if event.round > 20 and next(kills):
                training = [address for address, trains in client.run(is_training).items() if trains]
                os.kill(pids[training[0]], signal.SIGKILL)

        with ThreadPoolExecutor(1) as executor:
            estimator = ExactXGBClassifier(**params, checkpoint_dir=str(tmp_path))
            estimator.set_params(on_round=lambda event: executor.submit(kill_the_rank, event))
            fitted = estimator.fit(lazy(rows, 4), "label")
        client.wait_for_workers(2, timeout=60)  # a cluster that stops while a worker starts logs errors
    assert model_of(fitted) == model_of(expected)
    assert "training attempt 1 of 3 failed" in caplog.text
    assert rounds.count(1) == 1, "training resumed from a checkpoint"
