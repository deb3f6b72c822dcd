"""The stages, one function each: from published versions to a published version.

Each runs alone from the command line, and in its place in `run`; the tables are the same either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from toytip import barrier, flow, zones
from toytip.config import mask_credentials
from toytip.errors import StoreError
from toytip.history import METRIC_HISTOGRAMS, resolve_version
from toytip.keeper import StoreCheckpoints
from toytip.metrics import Baseline, Metrics
from toytip.pipeline import rows
from toytip.pipeline.context import PublishedTables, RunContext, parent_version, version_reference
from toytip.pipeline.identity import code_digest, planned_from_part, planned_from_slice
from toytip.schema import FEATURE_HISTOGRAMS, PREDICTIONS, REJECTS, SCORES, TRIPS, Table
from toytip.source import Source
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.stages.evaluate import evaluation_report
from toytip.stages.evaluate import metrics_by_split
from toytip.store import Manifest
from toytip.tally import Tallies, tallies_to_parquet, tally_of
from toytip.values import DataFile, SourcePartition, TrainedModel

FEATURES_SCHEMA = features_of.FEATURES_SCHEMA


class Evaluation(NamedTuple):
    """The metrics of every split, of the population that was learned from; the whole report; what it was told from."""

    metrics: dict[str, Metrics]
    report: dict[str, dict[str, Any]]
    tallies: Tallies
    baseline: Baseline


def clean(context: RunContext, source: Source) -> PublishedTables:
    """Source -> `trips` and `rejects`."""

    def frames(parts: list[SourcePartition]) -> dict[Table, Any]:
        trips, rejects = flow.clean_trips(flow.read_raw_trips(parts))
        return {TRIPS: trips, REJECTS: rejects}

    return _build_from_source(context, source, "clean", (TRIPS, REJECTS), frames)


def read_source(context: RunContext, source: Source) -> PublishedTables:
    """Source -> `features`, their `profiles`, and `rejects`: conform, clean and featurize in one task a partition."""

    def frames(parts: list[SourcePartition]) -> dict[Table, Any]:
        trips, rejects = flow.clean_trips(flow.read_raw_trips(parts))
        features = flow.build_features(trips)
        return {
            FEATURES_SCHEMA: features,
            REJECTS: rejects,
            FEATURE_HISTOGRAMS: flow.build_feature_histograms(features),
        }

    return _build_from_source(context, source, "read", (FEATURES_SCHEMA, REJECTS, FEATURE_HISTOGRAMS), frames)


def _build_from_source(
    context: RunContext,
    source: Source,
    stage: str,
    tables: tuple[Table, ...],
    frames: Callable[[list[SourcePartition]], dict[Table, Any]],
) -> PublishedTables:
    contents = _file_checksums(context, source)
    parts = source.partitions(context.settings.partition_rows)
    planned = [planned_from_slice(stage, part, contents[part.uri]) for part in parts]
    written, _ = rows.build_parts(
        context, stage, tables, planned, lambda todo: frames([parts[n] for n in todo]),
        descriptions=[f"{mask_credentials(part.uri)}, rows {part.start:,} to {part.stop:,}," for part in parts],
        source_files=[part.uri for part in parts],
    )  # fmt: skip
    rows.check_row_balance(source.rows, written)
    if not any(record.rows for record in written[tables[0].name]):
        raise StoreError("not one trip is left after cleaning; look at what --source holds")
    parents = [
        {
            "uri": mask_credentials(file.uri),
            "rows": file.rows,
            "bytes": file.bytes,
            "modified": file.modified,
            "checksum": contents[file.uri],
        }
        for file in source.files
    ]
    config = {"taxi": source.taxi, "partition_rows": context.settings.partition_rows}
    return {
        table.name: context.publish(table, written[table.name], config, parents, code=code_digest(stage))
        for table in tables
    }


def _file_checksums(context: RunContext, source: Source) -> dict[str, str]:
    """Return what names the content of every file; a file that an earlier run has summed up is not read again."""
    known = {
        (parent["uri"], parent["bytes"], parent["modified"]): parent["checksum"]
        for manifest in context.store.list_manifests()
        for parent in manifest.parents
        if "uri" in parent
    }
    contents = {
        file.uri: file.content_tag or known.get((mask_credentials(file.uri), file.bytes, file.modified), "")
        for file in source.files
    }
    unknown = [file for file in source.files if not contents[file.uri]]
    if unknown:
        with context.progress.stage("checksum", len(unknown)) as shown:
            sums = flow.compute_checksums(context.client, unknown, shown)
        contents |= {file.uri: value for file, value in zip(unknown, sums, strict=True)}
    return contents


def featurize(context: RunContext, trips: Manifest) -> PublishedTables:
    """`trips` -> `features`, and their `profiles`."""

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        features = flow.build_features(flow.read_version(context.store, TRIPS, trips.version, parts))
        return {FEATURES_SCHEMA: features, FEATURE_HISTOGRAMS: flow.build_feature_histograms(features)}

    written, _ = _build_from_parts(
        context, "featurize", trips, (FEATURES_SCHEMA, FEATURE_HISTOGRAMS), frames, None
    )
    return {
        name: context.publish(
            table, written[name], trips.config, [version_reference(trips)], code=code_digest("featurize")
        )
        for name, table in (
            (FEATURE_HISTOGRAMS.name, FEATURE_HISTOGRAMS),
            (FEATURES_SCHEMA.name, FEATURES_SCHEMA),
        )
    }


def infer(context: RunContext, features: Manifest, model: TrainedModel) -> PublishedTables:
    """`features` and the model -> `scores`."""

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        read = flow.read_version(context.store, _model_input_table(model), features.version, parts)
        return {SCORES: flow.score_features(read, model)}

    written, _ = _build_from_parts(context, "infer", features, (SCORES,), frames, _prediction_config(model))
    parents, records = [version_reference(features), _model_reference(model)], written[SCORES.name]
    return {SCORES.name: context.publish(SCORES, records, {}, parents, code=code_digest("infer"))}


def postprocess(context: RunContext, scores: Manifest, model: TrainedModel) -> PublishedTables:
    """`scores` -> `predictions`."""

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        read = flow.read_version(context.store, SCORES, scores.version, parts)
        return {PREDICTIONS: flow.apply_threshold(read, model.threshold)}

    features = resolve_version(context.store, "features", parent_version(scores, "features"))
    made = _build_from_parts(
        context, "postprocess", scores, (PREDICTIONS,), frames, model.threshold,
        summing=_summary_inputs(context, features, model, [part.path for part in scores.parts]),
    )  # fmt: skip
    parents = [version_reference(scores), _model_reference(model)]
    return _publish_predictions(context, "postprocess", parents, model, *made)[0]


def _summary_inputs(
    context: RunContext,
    features: Manifest,
    model: TrainedModel,
    paths: list[str],
    champion: TrainedModel | None = None,
) -> Callable[[list[int]], flow.SummaryInputs]:
    """Return what sums up the parts of those paths: the features that they were made of, and the rule."""
    settings = context.settings
    found = Path(settings.zones) if settings.zones else zones.find_zone_lookup(settings.source, settings.data)
    rule = flow.Summarizer(model.encoding, zones.read_boroughs(found) if found else (), champion)
    table = _model_input_table(model, champion)
    by_path = {part.path: part for part in features.parts}

    def summing(numbers: list[int]) -> flow.SummaryInputs:
        parts = [by_path[paths[number]] for number in numbers]
        return flow.SummaryInputs(flow.read_version(context.store, table, features.version, parts), rule)

    return summing


def _model_input_table(model: TrainedModel, champion: TrainedModel | None = None) -> Table:
    """Return what must be read of `features`."""
    return features_of.feature_table(
        model.encoding.feature_names, champion.encoding.feature_names if champion else ()
    )


def predict(
    context: RunContext, features: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> tuple[PublishedTables, Evaluation]:
    """`features` and the model -> `predictions`: infer, postprocess and summary in one task a partition.

    What training left of its own rows' scores is taken as it is. A champion is evaluated on the same test rows; nothing
    of it is published.
    """
    keeper = StoreCheckpoints(context.store, context.version)

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        read = flow.read_version(context.store, _model_input_table(model, champion), features.version, parts)
        known = flow.TrainingScores(keeper, tuple(part.path for part in parts))
        return {PREDICTIONS: flow.apply_threshold(flow.score_features(read, model, known), model.threshold)}

    made = _build_from_parts(
        context, "predict", features, (PREDICTIONS,), frames, _prediction_config(model),
        summing=_summary_inputs(context, features, model, [part.path for part in features.parts], champion),
    )  # fmt: skip
    return _publish_predictions(
        context, "predict", [version_reference(features), _model_reference(model)], model, *made
    )


def _publish_predictions(
    context: RunContext,
    stage: str,
    parents: list[dict[str, Any]],
    model: TrainedModel,
    written: rows.RecordsByTable,
    summary: Tallies,
) -> tuple[PublishedTables, Evaluation]:
    with context.progress.stage("evaluate", 1) as shown:
        found = evaluate_tallies(summary, model)
        shown.advance()
    config, code = {"threshold": model.threshold}, code_digest(stage)
    # The tallies first: where predictions are, a run is whole. What a champion said beside is no part of the version.
    own = {cell: tally for cell, tally in summary.items() if cell.predictor != "champion"}
    record = context.store.write_file(
        METRIC_HISTOGRAMS, context.version, "tallies.parquet", tallies_to_parquet(own)
    )
    tallies = context.publish(METRIC_HISTOGRAMS, [record], config, parents, code=code)
    manifest = context.publish(
        PREDICTIONS, written[PREDICTIONS.name], config, parents, code=code, metrics=found.metrics
    )
    return {METRIC_HISTOGRAMS: tallies, PREDICTIONS.name: manifest}, found


def compute_baseline(summary: Tallies, model: TrainedModel) -> Baseline:
    """Return what the trivial predictors know: the rate of the training rows, and a threshold of the valid month."""
    rated = tally_of(summary, "valid", model.encoding.population, "hour_zone")
    return Baseline(
        rate=model.encoding.positives / model.encoding.rows,
        threshold=decisions.best_f1_threshold(rated.negatives, rated.positives),
    )


def evaluate_tallies(summary: Tallies, model: TrainedModel) -> Evaluation:
    """Return the metrics that a summary of a model's predictions tells."""
    trivial = compute_baseline(summary, model)
    measured = metrics_by_split(summary, model.encoding.population)
    return Evaluation(measured, evaluation_report(summary, trivial), summary, trivial)


def evaluate(
    context: RunContext, predictions: Manifest, model: TrainedModel, champion: TrainedModel | None = None
) -> Evaluation:
    """`predictions` -> the metrics of every split, of all trips and of those paid by card."""
    features = resolve_features(context, predictions)
    summing = _summary_inputs(context, features, model, [part.path for part in predictions.parts], champion)
    frame = flow.read_version(context.store, PREDICTIONS, predictions.version, predictions.parts)
    lazy = flow.summarize_partitions(frame, summing(list(range(len(predictions.parts)))))
    months = [str(part.key.month) for part in predictions.parts]
    with context.progress.stage("evaluate", len(predictions.parts), months) as stage:
        done = barrier.compute_partitions(context.client, lazy, stage, months=months)
        return evaluate_tallies(flow.merge_tallies(done), model)


def resolve_features(context: RunContext, predictions: Manifest) -> Manifest:
    """Return the features that predictions were made of, directly or over scores."""
    behind = predictions
    if any(item.get("table") == "scores" for item in predictions.parents):
        behind = resolve_version(context.store, "scores", parent_version(predictions, "scores"))
    return resolve_version(context.store, "features", parent_version(behind, "features"))


def _model_reference(model: TrainedModel) -> dict[str, Any]:
    return {"table": "models", "version": model.version}


def _prediction_config(model: TrainedModel) -> list[Any]:
    """Return what of a model decides its predictions."""
    return [
        model.version,
        hashlib.sha256(model.booster).hexdigest(),
        model.threshold,
        model.encoding.to_json(),
    ]


def _build_from_parts(
    context: RunContext,
    stage: str,
    upstream: Manifest,
    tables: tuple[Table, ...],
    frames: Callable[[list[DataFile]], dict[Table, Any]],
    config: Any,
    summing: Callable[[list[int]], flow.SummaryInputs] | None = None,
) -> tuple[rows.RecordsByTable, Tallies]:
    planned = [planned_from_part(stage, record, config) for record in upstream.parts]
    written, summary = rows.build_parts(
        context,
        stage,
        tables,
        planned,
        lambda todo: frames([upstream.parts[n] for n in todo]),
        summing,
    )
    rows.check_row_balance(upstream.rows, written)
    return written, summary
