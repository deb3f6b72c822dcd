"""train: XGBoost on the Dask cluster, as estimators that stand in a scikit-learn or dask-ml pipeline.

`dask_ml.xgboost` cannot be imported any more (it re-exports the retired dask-xgboost); `xgboost.dask` is its
successor, and is what `TipClassifier` trains with.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any, Self

import dask
import dask.dataframe as dd
import distributed
import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from xgboost import dask as dxgb
from xgboost.collective import Config

from toytip.cluster import training_ranks, workers_of
from toytip.errors import ClusterError
from toytip.stages import infer, preprocess
from toytip.values import Split

TOPIC = "toytip-round"
ATTEMPTS = 3
# So long a worker that died may take to come back before the training goes on without it.
RETURN_S = 30
GRID = np.float32(2**-22)
# A worker that says nothing for so long is lost: training fails, and is tried again on those that are left.
SILENCE_S = 120

log = logging.getLogger(__name__)


class Preprocess(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features to codes: fitted on the training rows of a pandas or Dask frame of `features`."""

    def __init__(
        self,
        names: tuple[str, ...],
        split: Split,
        population: str = "all",
        rate_names: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.rate_names = rate_names
        self.split = split
        self.population = population

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002, N803 - scikit-learn's names
        """Fix the bins from a census of the training rows. Raises ConfigError where there are none."""
        args = (self.names, self.split, self.population)
        if isinstance(X, dd.DataFrame):
            parts = dask.compute(
                [dask.delayed(preprocess.take_census)(part, *args) for part in X.to_delayed()]
            )[0]
        else:
            parts = [preprocess.take_census(X, *args)]
        census = reduce(preprocess.Census.merge, parts, preprocess.Census.empty(self.names))
        self.encoding_ = preprocess.fit(census, self.split, self.population, self.rate_names)
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        """Return the matrix of codes of all rows, lazy where the input is."""
        check_is_fitted(self)
        if isinstance(X, dd.DataFrame):
            meta = preprocess.matrix_table(self.encoding_).empty()
            return X.map_partitions(preprocess.encode, self.encoding_, meta=meta, enforce_metadata=False)
        return preprocess.encode(X, self.encoding_)


class TipClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A binary XGBoost classifier of integer codes, trained on the current Dask cluster.

    The same rows give the same model bytes on any number of workers: every code is a bin, so nothing is left to
    the distributed quantile sketch; and the gradients add up without rounding (`exact_logistic`).
    """

    classes_ = np.array([False, True])

    def __init__(
        self,
        rounds: int = 300,
        max_depth: int = 6,
        eta: float = 0.1,
        early_stop: int = 20,
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        gamma: float = 0.0,
        max_bin: int = 512,
        on_round: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.rounds = rounds
        self.max_depth = max_depth
        self.eta = eta
        self.early_stop = early_stop
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.gamma = gamma
        self.max_bin = max_bin
        self.on_round = on_round

    def fit(
        self,
        X: dd.DataFrame,  # noqa: N803
        y: dd.Series,
        eval_set: tuple[dd.DataFrame, dd.Series] | None = None,
        rows: Sequence[int] | None = None,
    ) -> Self:
        """Train on lazy frames of codes and labels; `eval_set` is what early stopping watches.

        `rows` are the partitions' sizes where they are known (they are counted otherwise): partitions go to the
        workers so that each has about as many rows. Raises ClusterError where training fails three times.
        """
        client = distributed.get_client()
        y = _as_series(X, y)
        data = X.assign(high_tip=y)
        watched = None if eval_set is None else eval_set[0].assign(high_tip=eval_set[1])
        count = len(workers_of(client))
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:  # one that died is started again, and should have its share
                with contextlib.suppress(TimeoutError):
                    client.wait_for_workers(count, timeout=RETURN_S)
            try:
                booster = self._train(client, data, watched, rows)
                break
            except (xgb.core.XGBoostError, RuntimeError, ValueError, distributed.KilledWorker) as error:
                # XGBoost tells of a rank that has lost its rows in any of these ways.
                reason = str(error).strip().splitlines()[-1]
                log.warning("training attempt %d of %d failed: %s", attempt, ATTEMPTS, reason)
                if attempt == ATTEMPTS:
                    raise ClusterError(
                        f"training failed {ATTEMPTS} times, at last with: {reason}; "
                        "give the workers more memory, or use fewer"
                    ) from None
        best = int(booster.attr("best_iteration") or booster.num_boosted_rounds() - 1)
        self.rounds_ = best + 1
        self.booster_ = _canonical(booster[: self.rounds_])
        self.n_features_in_ = len(X.columns)
        self.feature_names_in_ = np.array(X.columns, dtype=object)
        return self

    def _train(
        self, client: Any, data: dd.DataFrame, watched: dd.DataFrame | None, rows: Sequence[int] | None
    ) -> xgb.Booster:
        client.wait_for_workers(1, timeout=SILENCE_S)
        ranks = list(workers_of(client))[: training_ranks(client)]
        train, holders = place(client, data, ranks, rows)
        label = train["high_tip"]
        positive = float(label.mean().compute())
        columns = [name for name in train.columns if name != "high_tip"]
        dtrain = dxgb.DaskQuantileDMatrix(
            client, train[columns], label.astype("float32"), max_bin=self.max_bin
        )
        evals = []
        if watched is not None:
            valid, watchers = place(client, watched, holders)
            if set(watchers) - set(holders):
                raise RuntimeError("a worker was lost while the rows were dealt out")
            dvalid = dxgb.DaskQuantileDMatrix(
                client, valid[columns], valid["high_tip"].astype("float32"), max_bin=self.max_bin, ref=dtrain
            )
            evals = [(dvalid, "valid")]
        callbacks: list[Any] = [RoundEvents()]
        if watched is not None and self.early_stop:
            callbacks.append(
                xgb.callback.EarlyStopping(rounds=self.early_stop, metric_name="logloss", data_name="valid")
            )
        if self.on_round is not None:
            client.subscribe_topic(TOPIC, lambda event: self.on_round(event[1]))
        try:
            # The workers take the driver's verbosity: their ranks and rounds are told by us.
            with xgb.config_context(verbosity=0), _muted(client):
                output = dxgb.train(
                    client,
                    self._params(positive),
                    dtrain,
                    num_boost_round=self.rounds,
                    evals=evals,
                    callbacks=callbacks,
                    obj=exact_logistic,
                    verbose_eval=False,
                    coll_cfg=Config(retry=1, timeout=SILENCE_S),
                )
        finally:
            if self.on_round is not None:
                client.unsubscribe_topic(TOPIC)
        return output["booster"]

    def _params(self, positive: float) -> dict[str, Any]:
        given = ("max_depth", "eta", "min_child_weight", "reg_lambda", "gamma")
        return booster_params({name: getattr(self, name) for name in given}, self.max_bin, positive)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the probabilities of no and yes: an array (rows, 2), lazy where the input is."""
        check_is_fitted(self)
        if isinstance(X, dd.DataFrame):
            meta = np.empty((0, 2), np.float32)
            return X.to_dask_array(meta=X._meta).map_blocks(  # noqa: SLF001
                _both, self.booster_, dtype=np.float32, chunks=(X.to_dask_array().chunks[0], (2,)), meta=meta
            )
        return _both(np.asarray(X), self.booster_)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return whether each row more likely has a high tip than not."""
        return self.predict_proba(X)[:, 1] >= 0.5


def booster_params(given: dict[str, Any], max_bin: int, positive: float) -> dict[str, Any]:
    """Return XGBoost's parameters; `positive` is the share of high tips among the training rows."""
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        **given,
        "max_bin": max_bin,
        # Given, not estimated on the cluster: one number less that could depend on it.
        "base_score": positive,
        "verbosity": 0,
        "seed": 0,
    }


def _both(codes: npt.NDArray[Any], booster: bytes) -> npt.NDArray[np.float32]:
    yes = infer.probability(pd.DataFrame(codes), booster)
    return np.stack([1 - yes, yes], axis=1)


def _as_series(X: dd.DataFrame, y: Any) -> dd.Series:  # noqa: N803
    return y if isinstance(y, dd.Series) else dd.from_dask_array(y, index=X.index)


def _canonical(booster: xgb.Booster) -> bytes:
    """Return the model's bytes without what the path to it left behind: scores of the early stopping."""
    booster.set_attr(best_iteration=None, best_score=None)
    return bytes(booster.save_raw("ubj"))


@contextlib.contextmanager
def _muted(client: Any) -> Iterator[None]:
    """Keep XGBoost's own lines about ranks, which no verbosity turns off, out of the progress display."""
    saved = client.run(_mute)
    try:
        yield
    finally:
        client.run(_unmute, saved, on_error="ignore")


def _mute() -> tuple[int, int]:
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return os.getpid(), saved


def _unmute(saved: dict[str, tuple[int, int]]) -> None:
    for process, descriptor in saved.values():
        if process == os.getpid():
            os.dup2(descriptor, 2)
            os.close(descriptor)


def place(
    client: Any, frame: dd.DataFrame, ranks: list[str], rows: Sequence[int] | None = None
) -> tuple[dd.DataFrame, list[str]]:
    """Compute a frame's partitions on the workers `ranks`, each with about the same number of rows.

    Return it, and the workers that hold it: others than asked for, where one was lost meanwhile.

    Where there are fewer partitions than ranks, each is dealt out over all of them.
    """
    parts = frame.to_delayed()
    sizes = list(rows) if rows is not None else list(frame.map_partitions(len).compute())
    if len(parts) < len(ranks):
        parts = [dask.delayed(_deal)(part, k, len(ranks)) for part in parts for k in range(len(ranks))]
        sizes = [size // len(ranks) for size in sizes for _ in ranks]
    futures: list[Any] = [None] * len(parts)
    load = [(0, number) for number in range(len(ranks))]
    for index in sorted(range(len(parts)), key=lambda i: (-sizes[i], i)):
        total, number = heapq.heappop(load)
        heapq.heappush(load, (total + sizes[index], number))
        # Another worker may take it where this one dies: a lost worker must not block the run.
        futures[index] = client.compute(parts[index], workers=[ranks[number]], allow_other_workers=True)
    distributed.wait(futures)
    holders = sorted({worker for workers in client.who_has(futures).values() for worker in workers})
    return dd.from_delayed(futures, meta=frame._meta, verify_meta=False), holders  # noqa: SLF001


def _deal(frame: pd.DataFrame, number: int, count: int) -> pd.DataFrame:
    return frame.iloc[number::count]


def exact_logistic(
    margin: npt.NDArray[np.float32], matrix: xgb.DMatrix
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return gradient and hessian of the logistic loss, as multiples of 2^-22.

    XGBoost adds them up in doubles: of multiples of 2^-22 below 1, two thousand million add up without rounding,
    in whatever order. So sums, and with them the trees, do not depend on which rows are where. The step is that
    of float32 between 2 and 4, and the noise of a single one is below 2^-23.
    """
    one = np.float32(1)
    chance = one / (one + np.exp(-margin.astype(np.float32, copy=False)))
    gradient = _to_grid(chance - matrix.get_label())
    return gradient, np.maximum(_to_grid(chance * (one - chance)), GRID)


def _to_grid(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round values between -1 and 1 to multiples of GRID: what float32 does by itself between 2 and 4."""
    shift = np.float32(3)
    return (values + shift) - shift


class RoundEvents(xgb.callback.TrainingCallback):  # type: ignore[misc]
    """Tells the driver of every round, from the first rank."""

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, Any]) -> bool:  # noqa: ARG002
        """Send the round and the validation loss; never stop."""
        if xgb.collective.get_rank() == 0:
            losses = evals_log.get("valid", {}).get("logloss", [])
            loss = float(losses[-1]) if losses else None
            distributed.get_worker().log_event(TOPIC, {"round": epoch + 1, "log_loss": loss})
        return False
