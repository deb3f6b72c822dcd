"""The stages that learn: `features` to an encoding, and both to a model. What was learned from the very same is reused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import reduce
from typing import Any

from toytip import barrier, cluster, flow, metrics, packing
from toytip import train as training
from toytip.config import Settings
from toytip.keeper import StoreCheckpoints
from toytip.pipeline import models
from toytip.pipeline.context import PublishedTables, RunContext, version_reference
from toytip.pipeline.identity import code_digest, fingerprint
from toytip.splits import overlaps, plan_split
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.stages import preprocess as encodings
from toytip.stages.rates import zone_rates_for
from toytip.store import Manifest
from toytip.tally import tally_of
from toytip.values import BoosterParams, DataFile, Encoding, TrainedModel


def preprocess(
    context: RunContext, features: Manifest, *, reuse: bool = False
) -> tuple[PublishedTables, Encoding]:
    """`features` -> the encoding, fitted on the training rows only.

    With `reuse`, one that was fitted on the very same rows, by the same code, is taken instead.
    """
    settings = context.settings
    months = tuple(dict.fromkeys(record.key.month for record in features.parts))
    split = plan_split(months, settings.train, settings.valid, settings.test)
    names = features_of.feature_set(settings.features)
    records = [record for record in features.parts if overlaps(record.key.month, split.train)]
    rate_names = zone_rates_for(settings.features)
    config = {"features": settings.features, "population": settings.population, "split": asdict(split)}
    made_from = fingerprint("preprocess", [record.checksum for record in records], config)
    there = _find_reusable(context, "preprocess", "encodings", made_from) if reuse else None
    if there is not None:
        _warn_of_leaks(context, there)
        return {"encodings": there}, load_encoding(context, there)
    lazy = flow.read_version(context.store, features_of.feature_table(names), features.version, records)
    counted, of = flow.count_partitions(lazy, names, split, settings.population), _month_names(records)
    with context.progress.stage("preprocess", len(records), of) as stage:
        done = barrier.compute_partitions(context.client, counted, stage, months=of)
    censuses = [item.census for item in done if item.census is not None]
    census = reduce(encodings.ValueCounts.merge, censuses, encodings.ValueCounts.empty(names))
    encoding = encodings.fit_encoding(census, split, settings.population, rate_names)
    content = json.dumps(encoding.to_json()).encode()
    record = context.store.write_file("encodings", context.version, "encoding.json", content)
    single = {
        name: metrics.single_feature_auc(counts, positives, census.rows, census.positives)
        for name, (_, counts, positives) in census.by_value.items()
    }
    manifest = context.publish(
        "encodings", [record], config, [version_reference(features)],
        code=code_digest("preprocess"), fingerprint=made_from, metrics={"auc_alone": single},
    )  # fmt: skip
    _warn_of_leaks(context, manifest)
    return {"encodings": manifest}, encoding


def _month_names(records: list[DataFile]) -> list[str]:
    return [str(record.key.month) for record in records]


def find_leaking_features(encoding_manifest: Manifest) -> dict[str, float]:
    """Return the features that alone tell the label too well, with their AUC on the training rows."""
    told = encoding_manifest.metrics.get("auc_alone", {})
    return {name: value for name, value in told.items() if value is not None and value >= metrics.LEAKAGE_AUC}


def _warn_of_leaks(context: RunContext, encoded: Manifest) -> None:
    for name, value in find_leaking_features(encoded).items():
        context.progress.warn(
            f"feature {name} alone reaches an AUC of {value:.4f}: it knows the tip, or nearly; "
            "is it known at its moment?"
        )


def _find_reusable(context: RunContext, stage: str, table: str, made_from: str) -> Manifest | None:
    """Return the version of an artifact that was made from the very same; None where it must be made."""
    if context.settings.fresh:
        context.record_reason(stage, "everything is made anew, as asked (--fresh)")
        return None
    before = context.store.list_manifests(table)
    for manifest in reversed(before):
        if manifest.identity == made_from:
            context.record_reason(stage, f"same input, code and config: {manifest.version} is reused")
            context.progress.skip(stage, f"{manifest.version} is reused")
            return manifest
    if not before:
        reason = "first of its kind"
    elif before[-1].code != code_digest(stage):
        reason = f"its code or packages are not those of {before[-1].version}"
    else:
        reason = f"its input or config are not those of {before[-1].version}"
    context.record_reason(stage, reason)
    return None


def train(
    context: RunContext,
    features: Manifest,
    encoding: Encoding,
    encoding_manifest: Manifest,
    *,
    reuse: bool = False,
) -> tuple[PublishedTables, TrainedModel]:
    """`features` and the encoding -> the model, with the threshold tuned on the validation rows.

    With `reuse`, a model that was trained on the very same, by the same code, is taken instead.
    """
    settings = context.settings
    params = params_from_settings(settings)
    learned = [span for name, span in encoding.split.time_ranges().items() if name != "test"]
    records = [r for r in features.parts if any(overlaps(r.key.month, span) for span in learned)]
    made_from = fingerprint(
        "train", [part.checksum for part in (*encoding_manifest.parts, *records)], asdict(params)
    )
    there = _find_reusable(context, "train", "models", made_from) if reuse else None
    if there is not None:
        context.progress.skip("tune", "")
        return {"models": there}, models.read_model(context.store, there)

    def frame_of(parts: list[DataFile]) -> Any:
        return flow.read_version(
            context.store, features_of.feature_table(encoding.feature_names), features.version, parts
        )

    keeper = StoreCheckpoints(context.store, context.version, made_from)
    if settings.fresh:
        keeper.delete()
    elif keeper.load() is not None:
        context.progress.info("train: goes on from the checkpoint of a run that was not finished")
    fitted = fit_classifier(context, list(features.parts), frame_of, encoding, params, checkpoints=keeper)
    model = TrainedModel(
        version=context.version,
        booster=fitted.booster_,
        encoding=encoding,
        rounds=fitted.rounds_,
        taxi=str(features.config["taxi"]),
    )
    model = replace(model, threshold=_tune_threshold(context, features, model))
    # What every round brought: of the booster itself, only the best ones are left.
    metrics = {"log_loss_by_round": asdict(fitted.curve_)}
    published = _publish_model(
        context,
        model,
        params,
        [version_reference(features), version_reference(encoding_manifest)],
        made_from,
        metrics,
    )
    keeper.delete()
    return published, model


def params_from_settings(settings: Settings) -> BoosterParams:
    """Return what the settings say of the booster."""
    return BoosterParams(**{each.name: getattr(settings, each.name) for each in fields(BoosterParams)})


def fit_classifier(
    context: RunContext,
    parts: list[DataFile],
    frame_of: Callable[[list[DataFile]], Any],
    encoding: Encoding,
    params: BoosterParams,
    stage_name: str = "train",
    checkpoints: StoreCheckpoints | None = None,
) -> training.TipClassifier:
    """Train on the training rows of parts, and stop by their validation rows; `frame_of` gives lazy features of parts.

    What the `checkpoints` has of it, an earlier run may have left.
    """
    matrices = {}
    for name, span in encoding.split.time_ranges().items():
        records = [record for record in parts if overlaps(record.key.month, span)]
        matrices[name] = flow.encode_split(frame_of(records), encoding, name), records
    matrix, records = matrices["train"]
    with (
        cluster.hold_size(context.client),
        context.progress.stage(stage_name, params.rounds, unit="rounds") as stage,
    ):
        context.progress.curve.clear()

        def show(event: dict[str, Any]) -> None:
            stage.record_round(event["round"], event["log_loss"], event["train_log_loss_before"])

        classifier = training.TipClassifier(**asdict(params), on_round=show)
        valid = matrices.get("valid")
        classifier.fit(
            matrix.drop(columns="high_tip"),
            matrix["high_tip"],
            eval_set=None if valid is None else (valid[0].drop(columns="high_tip"), valid[0]["high_tip"]),
            rows=[record.rows for record in records],
            bin_counts=encoding.bin_counts,
            checkpoints=checkpoints and replace(checkpoints, paths=tuple(record.path for record in records)),
        )
        stage.note = f"{classifier.rounds_} rounds kept"
        stage.work = sum(record.rows for record in records) * stage.done
    return classifier


def _tune_threshold(context: RunContext, features: Manifest, model: TrainedModel) -> float:
    """Return the threshold with the best F1 on the validation rows; the default where there are none."""
    span = model.encoding.split.valid
    if span is None:
        return decisions.DEFAULT_THRESHOLD
    records = [record for record in features.parts if overlaps(record.key.month, span)]
    table = features_of.feature_table(model.encoding.feature_names)
    frame = flow.read_version(context.store, table, features.version, records)
    decided = flow.apply_threshold(flow.score_features(frame, model), decisions.DEFAULT_THRESHOLD)
    summing = flow.SummaryInputs(frame, flow.Summarizer(model.encoding))
    of = _month_names(records)
    with context.progress.stage("tune", len(records), of) as stage:
        done = barrier.compute_partitions(
            context.client, flow.summarize_partitions(decided, summing), stage, months=of
        )
    tally = tally_of(flow.merge_tallies(done), "valid", model.encoding.population)
    return decisions.best_f1_threshold(tally.negatives, tally.positives)


def _publish_model(
    context: RunContext,
    model: TrainedModel,
    params: BoosterParams,
    parents: list[dict[str, Any]],
    made_from: str,
    told: dict[str, Any],
) -> PublishedTables:
    files = {"model.ubj": model.booster, "model.json": packing.model_json(model)}
    records = [
        context.store.write_file("models", context.version, name, content) for name, content in files.items()
    ]
    manifest = context.publish(
        "models",
        records,
        asdict(params),
        parents,
        code=code_digest("train"),
        fingerprint=made_from,
        metrics=told,
    )
    return {"models": manifest}


def load_encoding(context: RunContext, manifest: Manifest) -> Encoding:
    """Read a published encoding."""
    content = context.store.read_file(manifest.table, manifest.version, manifest.parts[0])
    return Encoding.from_json(json.loads(content))
