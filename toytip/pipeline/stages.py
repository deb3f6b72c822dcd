"""The stages, one function each: from published versions to a published version.

Each runs alone from the command line, and in its place in `run`; the tables are the same either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from toytip import barrier, flow, zones
from toytip.config import mask
from toytip.errors import StoreError
from toytip.history import TALLIES, resolve
from toytip.keeper import StoreKeeper
from toytip.metrics import Baseline, Metrics
from toytip.pipeline import rows
from toytip.pipeline.context import Context, Published, parent, parent_version
from toytip.pipeline.identity import code_of, of_part, of_slice
from toytip.schema import PREDICTIONS, PROFILES, REJECTS, SCORES, TRIPS, Table
from toytip.source import Source
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.stages.evaluate import evaluate as measure
from toytip.stages.evaluate import report
from toytip.store import Manifest
from toytip.tally import Summary, select, to_bytes
from toytip.values import Model, MonthPart, PartRecord

FEATURES = features_of.TABLE


class Evaluation(NamedTuple):
    """The metrics of every split, of the population that was learned from; the whole report; what it was told from."""

    metrics: dict[str, Metrics]
    report: dict[str, dict[str, Any]]
    summary: Summary
    baseline: Baseline


def clean(context: Context, source: Source) -> Published:
    """Source -> `trips` and `rejects`."""

    def frames(parts: list[MonthPart]) -> dict[Table, Any]:
        trips, rejects = flow.cleaned(flow.raw_trips(parts))
        return {TRIPS: trips, REJECTS: rejects}

    return _from_source(context, source, "clean", (TRIPS, REJECTS), frames)


def read(context: Context, source: Source) -> Published:
    """Source -> `features`, their `profiles`, and `rejects`: conform, clean and featurize in one task a partition."""

    def frames(parts: list[MonthPart]) -> dict[Table, Any]:
        trips, rejects = flow.cleaned(flow.raw_trips(parts))
        features = flow.featurized(trips)
        return {FEATURES: features, REJECTS: rejects, PROFILES: flow.profiled(features)}

    return _from_source(context, source, "read", (FEATURES, REJECTS, PROFILES), frames)


def _from_source(
    context: Context,
    source: Source,
    stage: str,
    tables: tuple[Table, ...],
    frames: Callable[[list[MonthPart]], dict[Table, Any]],
) -> Published:
    contents = _contents(context, source)
    parts = source.parts(context.settings.partition_rows)
    planned = [of_slice(stage, part, contents[part.uri]) for part in parts]
    written, _ = rows.make(
        context, stage, tables, planned, lambda todo: frames([parts[n] for n in todo]),
        names=[f"{mask(part.uri)}, rows {part.start:,} to {part.stop:,}," for part in parts],
        files=[part.uri for part in parts],
    )  # fmt: skip
    rows.check_sum(source.rows, written)
    if not any(record.rows for record in written[tables[0].name]):
        raise StoreError("not one trip is left after cleaning; look at what --source holds")
    parents = [
        {
            "uri": mask(file.uri),
            "rows": file.rows,
            "bytes": file.bytes,
            "modified": file.modified,
            "checksum": contents[file.uri],
        }
        for file in source.files
    ]
    config = {"taxi": source.taxi, "partition_rows": context.settings.partition_rows}
    return {
        table.name: context.publish(table, written[table.name], config, parents, code=code_of(stage))
        for table in tables
    }


def _contents(context: Context, source: Source) -> dict[str, str]:
    """Return what names the content of every file; a file that an earlier run has summed up is not read again."""
    known = {
        (parent["uri"], parent["bytes"], parent["modified"]): parent["checksum"]
        for manifest in context.store.versions()
        for parent in manifest.parents
        if "uri" in parent
    }
    contents = {
        file.uri: file.tag or known.get((mask(file.uri), file.bytes, file.modified), "")
        for file in source.files
    }
    unknown = [file for file in source.files if not contents[file.uri]]
    if unknown:
        with context.progress.stage("checksum", len(unknown)) as shown:
            sums = flow.checksums(context.client, unknown, shown)
        contents |= {file.uri: value for file, value in zip(unknown, sums, strict=True)}
    return contents


def featurize(context: Context, trips: Manifest) -> Published:
    """`trips` -> `features`, and their `profiles`."""

    def frames(parts: list[PartRecord]) -> dict[Table, Any]:
        features = flow.featurized(flow.published(context.store, TRIPS, trips.version, parts))
        return {FEATURES: features, PROFILES: flow.profiled(features)}

    written, _ = _from_parts(context, "featurize", trips, (FEATURES, PROFILES), frames, None)
    return {
        name: context.publish(table, written[name], trips.config, [parent(trips)], code=code_of("featurize"))
        for name, table in ((PROFILES.name, PROFILES), (FEATURES.name, FEATURES))
    }


def infer(context: Context, features: Manifest, model: Model) -> Published:
    """`features` and the model -> `scores`."""

    def frames(parts: list[PartRecord]) -> dict[Table, Any]:
        read = flow.published(context.store, _table(model), features.version, parts)
        return {SCORES: flow.scored(read, model)}

    written, _ = _from_parts(context, "infer", features, (SCORES,), frames, _about(model))
    parents, records = [parent(features), _model_parent(model)], written[SCORES.name]
    return {SCORES.name: context.publish(SCORES, records, {}, parents, code=code_of("infer"))}


def postprocess(context: Context, scores: Manifest, model: Model) -> Published:
    """`scores` -> `predictions`."""

    def frames(parts: list[PartRecord]) -> dict[Table, Any]:
        read = flow.published(context.store, SCORES, scores.version, parts)
        return {PREDICTIONS: flow.decided(read, model.threshold)}

    features = resolve(context.store, "features", parent_version(scores, "features"))
    made = _from_parts(
        context, "postprocess", scores, (PREDICTIONS,), frames, model.threshold,
        summing=_summing(context, features, model, [part.path for part in scores.parts]),
    )  # fmt: skip
    parents = [parent(scores), _model_parent(model)]
    return _publish_predictions(context, "postprocess", parents, model, *made)[0]


def _summing(
    context: Context, features: Manifest, model: Model, paths: list[str], champion: Model | None = None
) -> Callable[[list[int]], flow.Summing]:
    """Return what sums up the parts of those paths: the features that they were made of, and the rule."""
    settings = context.settings
    found = Path(settings.zones) if settings.zones else zones.find(settings.source, settings.data)
    rule = flow.Rule(model.encoding, zones.boroughs(found) if found else (), champion)
    table = _table(model, champion)
    by_path = {part.path: part for part in features.parts}

    def summing(numbers: list[int]) -> flow.Summing:
        parts = [by_path[paths[number]] for number in numbers]
        return flow.Summing(flow.published(context.store, table, features.version, parts), rule)

    return summing


def _table(model: Model, champion: Model | None = None) -> Table:
    """Return what must be read of `features`."""
    return features_of.table_of(model.encoding.names, champion.encoding.names if champion else ())


def predict(
    context: Context, features: Manifest, model: Model, champion: Model | None = None
) -> tuple[Published, Evaluation]:
    """`features` and the model -> `predictions`: infer, postprocess and summary in one task a partition.

    What training left of its own rows' scores is taken as it is. A champion is evaluated on the same test rows; nothing
    of it is published.
    """
    keeper = StoreKeeper(context.store, context.version)

    def frames(parts: list[PartRecord]) -> dict[Table, Any]:
        read = flow.published(context.store, _table(model, champion), features.version, parts)
        known = flow.Known(keeper, tuple(part.path for part in parts))
        return {PREDICTIONS: flow.decided(flow.scored(read, model, known), model.threshold)}

    made = _from_parts(
        context, "predict", features, (PREDICTIONS,), frames, _about(model),
        summing=_summing(context, features, model, [part.path for part in features.parts], champion),
    )  # fmt: skip
    return _publish_predictions(context, "predict", [parent(features), _model_parent(model)], model, *made)


def _publish_predictions(
    context: Context,
    stage: str,
    parents: list[dict[str, Any]],
    model: Model,
    written: rows.Records,
    summary: Summary,
) -> tuple[Published, Evaluation]:
    with context.progress.stage("evaluate", 1) as shown:
        found = evaluated(summary, model)
        shown.advance()
    config, code = {"threshold": model.threshold}, code_of(stage)
    # The tallies first: where predictions are, a run is whole. What a champion said beside is no part of the version.
    own = {cell: tally for cell, tally in summary.items() if cell.predictor != "champion"}
    record = context.store.put(TALLIES, context.version, "tallies.parquet", to_bytes(own))
    tallies = context.publish(TALLIES, [record], config, parents, code=code)
    manifest = context.publish(
        PREDICTIONS, written[PREDICTIONS.name], config, parents, code=code, metrics=found.metrics
    )
    return {TALLIES: tallies, PREDICTIONS.name: manifest}, found


def baseline_of(summary: Summary, model: Model) -> Baseline:
    """Return what the trivial predictors know: the rate of the training rows, and a threshold of the valid month."""
    rated = select(summary, "valid", model.encoding.population, "hour_zone")
    return Baseline(
        rate=model.encoding.positives / model.encoding.rows,
        threshold=decisions.tune(rated.negatives, rated.positives),
    )


def evaluated(summary: Summary, model: Model) -> Evaluation:
    """Return the metrics that a summary of a model's predictions tells."""
    trivial = baseline_of(summary, model)
    measured = measure(summary, model.encoding.population)
    return Evaluation(measured, report(summary, trivial), summary, trivial)


def evaluate(
    context: Context, predictions: Manifest, model: Model, champion: Model | None = None
) -> Evaluation:
    """`predictions` -> the metrics of every split, of all trips and of those paid by card."""
    features = features_behind(context, predictions)
    summing = _summing(context, features, model, [part.path for part in predictions.parts], champion)
    frame = flow.published(context.store, PREDICTIONS, predictions.version, predictions.parts)
    lazy = flow.tallied(frame, summing(list(range(len(predictions.parts)))))
    months = [str(part.key.month) for part in predictions.parts]
    with context.progress.stage("evaluate", len(predictions.parts), months) as stage:
        done = barrier.collect(context.client, lazy, stage, months=months)
        return evaluated(flow.merged(done), model)


def features_behind(context: Context, predictions: Manifest) -> Manifest:
    """Return the features that predictions were made of, directly or over scores."""
    behind = predictions
    if any(item.get("table") == "scores" for item in predictions.parents):
        behind = resolve(context.store, "scores", parent_version(predictions, "scores"))
    return resolve(context.store, "features", parent_version(behind, "features"))


def _model_parent(model: Model) -> dict[str, Any]:
    return {"table": "models", "version": model.version}


def _about(model: Model) -> list[Any]:
    """Return what of a model decides its predictions."""
    return [
        model.version,
        hashlib.sha256(model.booster).hexdigest(),
        model.threshold,
        model.encoding.to_json(),
    ]


def _from_parts(
    context: Context,
    stage: str,
    upstream: Manifest,
    tables: tuple[Table, ...],
    frames: Callable[[list[PartRecord]], dict[Table, Any]],
    config: Any,
    summing: Callable[[list[int]], flow.Summing] | None = None,
) -> tuple[rows.Records, Summary]:
    planned = [of_part(stage, record, config) for record in upstream.parts]
    written, summary = rows.make(
        context,
        stage,
        tables,
        planned,
        lambda todo: frames([upstream.parts[n] for n in todo]),
        summing,
    )
    rows.check_sum(upstream.rows, written)
    return written, summary
