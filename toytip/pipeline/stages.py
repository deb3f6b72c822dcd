"""The stages, one function each: from published versions to a published version.

Each runs alone from the command line, and in its place in `run`; the tables are the same either way.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import reduce
from typing import Any

from toytip import flow
from toytip import source as sources
from toytip import train as training
from toytip.config import mask
from toytip.errors import StoreError
from toytip.pipeline.context import Context, parent, parent_version
from toytip.schema import PREDICTIONS, REJECTS, SCORES, TRIPS, Table
from toytip.source import Source
from toytip.splits import overlaps, plan_split
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.stages import preprocess as encodings
from toytip.stages.evaluate import Metrics
from toytip.stages.evaluate import evaluate as measure
from toytip.store import Manifest
from toytip.tally import Summary, Tally
from toytip.values import Encoding, Model, Params, PartRecord

FEATURES = features_of.TABLE
Published = dict[str, Manifest]


def clean(context: Context, source: Source) -> Published:
    """Source -> `trips` and `rejects`."""
    trips, rejects = flow.cleaned(flow.raw_trips(source.parts(context.settings.partition_rows)))
    return _from_source(context, source, "clean", {TRIPS: trips, REJECTS: rejects})


def read(context: Context, source: Source) -> Published:
    """Source -> `features` and `rejects`: conform, clean and featurize in one task a partition."""
    trips, rejects = flow.cleaned(flow.raw_trips(source.parts(context.settings.partition_rows)))
    return _from_source(context, source, "featurize", {FEATURES: flow.featurized(trips), REJECTS: rejects})


def _from_source(context: Context, source: Source, name: str, frames: dict[Table, Any]) -> Published:
    parts = source.parts(context.settings.partition_rows)
    sums = context.client.map(sources.checksum, [file.uri for file in source.files], pure=False)
    lazy = flow.written(context.store, context.version, [part.key for part in parts], frames)
    with context.progress.stage(name, len(parts)) as stage:
        done = flow.collect(context.client, lazy, stage)
    written = {table.name: [item.records[table.name] for item in done] for table in frames}
    _account(source, written)
    parents = [
        {
            "uri": mask(file.uri),
            "rows": file.rows,
            "bytes": file.bytes,
            "modified": file.modified,
            "checksum": checksum,
        }
        for file, checksum in zip(source.files, context.client.gather(sums), strict=True)
    ]
    config = {"taxi": source.taxi, "partition_rows": context.settings.partition_rows}
    return {table.name: context.publish(table, written[table.name], config, parents) for table in frames}


def _account(source: Source, written: dict[str, list[PartRecord]]) -> None:
    """Check the law of the rows before anything is published: read = kept + rejected."""
    out = sum(record.rows for records in written.values() for record in records)
    if out != source.rows:
        raise StoreError(
            f"{source.rows} rows were read but {out} written; nothing was published: report this"
        )
    if not any(
        record.rows for name, records in written.items() for record in records if name != REJECTS.name
    ):
        raise StoreError("not one trip is left after cleaning; look at what --source holds")


def featurize(context: Context, trips: Manifest) -> Published:
    """`trips` -> `features`."""
    lazy = flow.featurized(flow.published(context.store, TRIPS, trips.version, trips.parts))
    records = _write(context, "featurize", trips, {FEATURES: lazy})[0][FEATURES.name]
    return {FEATURES.name: context.publish(FEATURES, records, trips.config, [parent(trips)])}


def preprocess(context: Context, features: Manifest) -> tuple[Published, Encoding]:
    """`features` -> the encoding, fitted on the training rows only."""
    settings = context.settings
    months = tuple(dict.fromkeys(record.key.month for record in features.parts))
    split = plan_split(months, settings.train, settings.valid, settings.test)
    names = features_of.feature_set(settings.features)
    records = [record for record in features.parts if overlaps(record.key.month, split.train)]
    lazy = flow.published(context.store, FEATURES, features.version, records)
    with context.progress.stage("preprocess", len(records)) as stage:
        done = flow.collect(context.client, flow.counted(lazy, names, split, settings.population), stage)
    censuses = [item.census for item in done if item.census is not None]
    census = reduce(encodings.Census.merge, censuses, encodings.Census.empty(names))
    encoding = encodings.fit(census, split, settings.population)
    config = {"features": settings.features, "population": settings.population, "split": asdict(split)}
    content = json.dumps(encoding.to_json()).encode()
    record = context.store.put("encodings", context.version, "encoding.json", content)
    return {"encodings": context.publish("encodings", [record], config, [parent(features)])}, encoding


def train(
    context: Context, features: Manifest, encoding: Encoding, encoded: Manifest
) -> tuple[Published, Model]:
    """`features` and the encoding -> the model, with the threshold tuned on the validation rows."""
    settings = context.settings
    params = Params(
        rounds=settings.rounds, max_depth=settings.max_depth, eta=settings.eta, early_stop=settings.early_stop
    )
    fitted = _fit(context, features, encoding, params)
    model = Model(version=context.version, booster=fitted.booster_, encoding=encoding, rounds=fitted.rounds_)
    model = replace(model, threshold=_tune(context, features, model))
    return _save(context, model, params, [parent(features), parent(encoded)]), model


def _fit(context: Context, features: Manifest, encoding: Encoding, params: Params) -> training.TipClassifier:
    matrices = {}
    for name, span in encoding.split.spans().items():
        records = [record for record in features.parts if overlaps(record.key.month, span)]
        frame = flow.published(context.store, FEATURES, features.version, records)
        matrices[name] = flow.encoded(frame, encoding, name), records
    matrix, records = matrices["train"]
    with context.progress.stage("train", params.rounds) as stage:

        def show(event: dict[str, Any]) -> None:
            loss = event["log_loss"]
            stage.advance(
                note=f"valid log loss {loss:.5f}" if loss is not None else "",
                parts=event["round"] - stage.done,
            )

        classifier = training.TipClassifier(**asdict(params), max_bin=max(encoding.max_bin, 2), on_round=show)
        valid = matrices.get("valid")
        classifier.fit(
            matrix.drop(columns="high_tip"),
            matrix["high_tip"],
            eval_set=None if valid is None else (valid[0].drop(columns="high_tip"), valid[0]["high_tip"]),
            rows=[record.rows for record in records],
        )
        stage.note = f"{classifier.rounds_} rounds kept"
    return classifier


def _tune(context: Context, features: Manifest, model: Model) -> float:
    """Return the threshold with the best F1 on the validation rows; the default where there are none."""
    span = model.encoding.split.valid
    if span is None:
        return decisions.DEFAULT
    records = [record for record in features.parts if overlaps(record.key.month, span)]
    scores = flow.scored(flow.published(context.store, FEATURES, features.version, records), model)
    with context.progress.stage("tune", len(records)) as stage:
        done = flow.collect(context.client, flow.tallied(flow.decided(scores, decisions.DEFAULT)), stage)
    tally = flow.merged(done).get("valid", Tally.empty())
    return decisions.tune(tally.negatives, tally.positives)


def _save(context: Context, model: Model, params: Params, parents: list[dict[str, Any]]) -> Published:
    about = {
        "version": model.version,
        "rounds": model.rounds,
        "threshold": model.threshold,
        "encoding": model.encoding.to_json(),
    }
    files = {"model.ubj": model.booster, "model.json": json.dumps(about).encode()}
    records = [context.store.put("models", context.version, name, content) for name, content in files.items()]
    return {"models": context.publish("models", records, asdict(params), parents)}


def load_encoding(context: Context, manifest: Manifest) -> Encoding:
    """Read a published encoding."""
    return Encoding.from_json(json.loads(context.store.get("encodings", manifest.version, "encoding.json")))


def load_model(context: Context, manifest: Manifest) -> Model:
    """Read a published model."""
    about = json.loads(context.store.get("models", manifest.version, "model.json"))
    booster = context.store.get("models", manifest.version, "model.ubj")
    return Model(**{**about, "encoding": Encoding.from_json(about["encoding"])}, booster=booster)


def infer(context: Context, features: Manifest, model: Model) -> Published:
    """`features` and the model -> `scores`."""
    scores = flow.scored(flow.published(context.store, FEATURES, features.version, features.parts), model)
    records = _write(context, "infer", features, {SCORES: scores})[0][SCORES.name]
    return {SCORES.name: context.publish(SCORES, records, {}, [parent(features), _model_parent(model)])}


def postprocess(context: Context, scores: Manifest, model: Model) -> Published:
    """`scores` -> `predictions`."""
    frame = flow.decided(flow.published(context.store, SCORES, scores.version, scores.parts), model.threshold)
    records = _write(context, "postprocess", scores, {PREDICTIONS: frame})[0][PREDICTIONS.name]
    parents = [parent(scores), _model_parent(model)]
    return {PREDICTIONS.name: context.publish(PREDICTIONS, records, {"threshold": model.threshold}, parents)}


def predict(context: Context, features: Manifest, model: Model) -> tuple[Published, Summary]:
    """`features` and the model -> `predictions`: infer and postprocess in one task a partition, summed up."""
    scores = flow.scored(flow.published(context.store, FEATURES, features.version, features.parts), model)
    frame = flow.decided(scores, model.threshold)
    written, summary = _write(context, "infer", features, {PREDICTIONS: frame}, summed=True)
    parents = [parent(features), _model_parent(model)]
    config = {"threshold": model.threshold}
    return {
        PREDICTIONS.name: context.publish(PREDICTIONS, written[PREDICTIONS.name], config, parents)
    }, summary


def evaluate(context: Context, predictions: Manifest) -> dict[str, Metrics]:
    """`predictions` -> the metrics of every split."""
    lazy = flow.tallied(flow.published(context.store, PREDICTIONS, predictions.version, predictions.parts))
    with context.progress.stage("evaluate", len(predictions.parts)) as stage:
        return measure(flow.merged(flow.collect(context.client, lazy, stage)))


def model_of(context: Context, manifest: Manifest) -> Model:
    """Read the model that a version was made with."""
    return load_model(context, context.store.resolve("models", parent_version(manifest, "models")))


def _model_parent(model: Model) -> dict[str, Any]:
    return {"table": "models", "version": model.version}


def _write(
    context: Context, name: str, upstream: Manifest, frames: dict[Table, Any], *, summed: bool = False
) -> tuple[dict[str, list[PartRecord]], Summary]:
    keys = [record.key for record in upstream.parts]
    lazy = flow.written(context.store, context.version, keys, frames, summed=summed)
    with context.progress.stage(name, len(keys)) as stage:
        done = flow.collect(context.client, lazy, stage)
    rows = sum(item.rows for item in done)
    if rows != upstream.rows:
        raise StoreError(
            f"{upstream.rows} rows were read but {rows} written; nothing was published: report this"
        )
    return {table.name: [item.records[table.name] for item in done] for table in frames}, flow.merged(done)
