"""What is timed: each workload yields rows of plain values, time beside quality."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Rows = Iterator[dict[str, Any]]


def toytip(store: Path, options: Namespace, *more: Any) -> dict[str, Any]:
    """Run the pipeline in a process of its own; return its summary."""
    source = ("--source", options.source) if options.source else ()
    command = [
        sys.executable,
        "-m",
        "toytip",
        "run",
        "--fresh",
        "--gate",
        "off",
        "--store",
        store,
        "--rounds",
        options.rounds,
        *source,
        *more,
    ]
    done = subprocess.run([*map(str, command), "--json"], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def run(options: Namespace, folder: Path) -> Rows:
    """Time the whole pipeline on different numbers of workers; the models' bytes must be the same."""
    toytip(folder, options, "--rounds", 1)  # the synthetic year is made, and files are in the system's cache
    for workers in options.workers.split(","):
        summary = toytip(folder, options, "--workers", workers)
        model = (Path(summary["model"]["path"]) / "model.ubj").read_bytes()
        yield {
            "workers": int(workers),
            "rows": summary["rows"]["read"],
            "source": "synthetic" if options.source is None else Path(options.source).name,
            "seconds": summary["seconds"],
            "rows_per_s": summary["rows_per_s"],
            "peak_memory_mb": summary["peak_memory_mb"],
            **{f"{name}_s": seconds for name, seconds in summary["stages"].items()},
            "test_auc": round(summary["metrics"]["test"]["auc"], 5),
            "model": hashlib.sha256(model).hexdigest()[:12],
        }


def plain(options: Namespace, folder: Path) -> Rows:
    """Time a single process: pandas and XGBoost on raw features, no Dask, no codes, no store."""
    import pandas as pd
    import xgboost as xgb
    from sklearn.metrics import roc_auc_score

    features, names, told, booster = _prepared(options, folder)
    del booster
    start = time.perf_counter()
    train, valid, test = (features[told == split] for split in ("train", "valid", "test"))
    model = xgb.XGBClassifier(
        n_estimators=options.rounds, max_depth=6, learning_rate=0.1, max_bin=256, early_stopping_rounds=20
    )
    model.fit(train[names], train["high_tip"], eval_set=[(valid[names], valid["high_tip"])], verbose=False)
    chance = pd.Series(model.predict_proba(test[names])[:, 1])
    seconds = time.perf_counter() - start
    yield {
        "what": "train and infer alone, raw features in one process",
        "rows": len(features),
        "seconds": round(seconds, 3),
        "test_auc": round(float(roc_auc_score(test["high_tip"], chance)), 5),
    }


def inference(options: Namespace, folder: Path) -> Rows:
    """Compare ways to score lazily: our map over partitions, dask-ml's ParallelPostFit, and `xgboost.dask`."""
    import dask
    import dask.dataframe as dd
    import distributed
    import numpy as np
    import xgboost as xgb
    from dask_ml.wrappers import ParallelPostFit
    from xgboost import dask as dxgb

    from toytip.stages.infer import probability
    from toytip.stages.preprocess import encode

    features, _, _, model = _prepared(options, folder)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
        dask.config.set({"dataframe.convert-string": False}),
    ):
        codes = dd.from_pandas(encode(features, model.encoding), npartitions=12, sort=False).persist()
        distributed.wait(codes)
        classifier, booster = xgb.XGBClassifier(n_jobs=1), xgb.Booster()
        classifier.load_model(bytearray(model.booster))
        booster.load_model(bytearray(model.booster))
        wrapped = ParallelPostFit(classifier)
        empty = np.empty(0, np.float32)
        ways: dict[str, Callable[[], Any]] = {
            "map_partitions": lambda: codes.map_partitions(
                probability, model.booster, meta=empty, enforce_metadata=False
            ).compute(),
            "ParallelPostFit": lambda: wrapped.predict_proba(codes)[:, 1].compute(),
            "xgboost.dask": lambda: dxgb.inplace_predict(client, booster, codes).compute(),
        }
        for way in (*ways, *ways):  # twice: the first round warms up, the second counts
            start = time.perf_counter()
            chance = np.asarray(ways[way]())
            yield {
                "way": way,
                "rows": len(features),
                "seconds": round(time.perf_counter() - start, 3),
                "mean_probability": round(float(np.mean(chance)), 6),
            }


def _prepared(options: Namespace, folder: Path) -> tuple[Any, list[str], Any, Any]:
    """Return the features of a run with the names of the natural ones, the split of every row, and the model."""
    import pandas as pd

    from toytip.history import resolve
    from toytip.pipeline.models import load
    from toytip.splits import assign
    from toytip.stages.featurize import TABLE
    from toytip.store import Store

    summary = toytip(folder, options)
    store = Store(str(folder), "dev")
    manifest = resolve(store, "features", summary["version"])
    features = pd.concat(
        [store.read(TABLE, manifest.version, part) for part in manifest.parts], ignore_index=True
    )
    model = load(store, resolve(store, "models", summary["version"]))
    names = [name for name in model.encoding.names if name in features]
    return features, names, assign(features, model.encoding.split, model.encoding.population), model


ALL: dict[str, Callable[[Namespace, Path], Rows]] = {"run": run, "plain": plain, "inference": inference}
