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
from toytip.keeper import StoreKeeper
from toytip.pipeline import models
from toytip.pipeline.context import Context, Published, parent
from toytip.pipeline.identity import code_of, identity
from toytip.splits import overlaps, plan_split
from toytip.stages import featurize as features_of
from toytip.stages import postprocess as decisions
from toytip.stages import preprocess as encodings
from toytip.stages.rates import rate_set
from toytip.store import Manifest
from toytip.tally import select
from toytip.values import Encoding, Model, Params, PartRecord


def preprocess(context: Context, features: Manifest, *, reuse: bool = False) -> tuple[Published, Encoding]:
    """`features` -> the encoding, fitted on the training rows only.

    With `reuse`, one that was fitted on the very same rows, by the same code, is taken instead.
    """
    settings = context.settings
    months = tuple(dict.fromkeys(record.key.month for record in features.parts))
    split = plan_split(months, settings.train, settings.valid, settings.test)
    names = features_of.feature_set(settings.features)
    records = [record for record in features.parts if overlaps(record.key.month, split.train)]
    rate_names = rate_set(settings.features)
    config = {"features": settings.features, "population": settings.population, "split": asdict(split)}
    made_from = identity("preprocess", [record.checksum for record in records], config)
    there = _reused(context, "preprocess", "encodings", made_from) if reuse else None
    if there is not None:
        _warn_of_leaks(context, there)
        return {"encodings": there}, load_encoding(context, there)
    lazy = flow.published(context.store, features_of.table_of(names), features.version, records)
    counted, of = flow.counted(lazy, names, split, settings.population), _months(records)
    with context.progress.stage("preprocess", len(records), of) as stage:
        done = barrier.collect(context.client, counted, stage, months=of)
    censuses = [item.census for item in done if item.census is not None]
    census = reduce(encodings.Census.merge, censuses, encodings.Census.empty(names))
    encoding = encodings.fit(census, split, settings.population, rate_names)
    content = json.dumps(encoding.to_json()).encode()
    record = context.store.put("encodings", context.version, "encoding.json", content)
    single = {
        name: metrics.alone(counts, positives, census.rows, census.positives)
        for name, (_, counts, positives) in census.by_value.items()
    }
    manifest = context.publish(
        "encodings", [record], config, [parent(features)],
        code=code_of("preprocess"), identity=made_from, metrics={"auc_alone": single},
    )  # fmt: skip
    _warn_of_leaks(context, manifest)
    return {"encodings": manifest}, encoding


def _months(records: list[PartRecord]) -> list[str]:
    return [str(record.key.month) for record in records]


def leaks(encoded: Manifest) -> dict[str, float]:
    """Return the features that alone tell the label too well, with their AUC on the training rows."""
    told = encoded.metrics.get("auc_alone", {})
    return {name: value for name, value in told.items() if value is not None and value >= metrics.LEAK}


def _warn_of_leaks(context: Context, encoded: Manifest) -> None:
    for name, value in leaks(encoded).items():
        context.progress.warn(
            f"feature {name} alone reaches an AUC of {value:.4f}: it knows the tip, or nearly; "
            "is it known at its moment?"
        )


def _reused(context: Context, stage: str, table: str, made_from: str) -> Manifest | None:
    """Return the version of an artifact that was made from the very same; None where it must be made."""
    if context.settings.fresh:
        context.tell(stage, "everything is made anew, as asked (--fresh)")
        return None
    before = context.store.versions(table)
    for manifest in reversed(before):
        if manifest.identity == made_from:
            context.tell(stage, f"same input, code and config: {manifest.version} is reused")
            context.progress.skip(stage, f"{manifest.version} is reused")
            return manifest
    if not before:
        reason = "first of its kind"
    elif before[-1].code != code_of(stage):
        reason = f"its code or packages are not those of {before[-1].version}"
    else:
        reason = f"its input or config are not those of {before[-1].version}"
    context.tell(stage, reason)
    return None


def train(
    context: Context, features: Manifest, encoding: Encoding, encoded: Manifest, *, reuse: bool = False
) -> tuple[Published, Model]:
    """`features` and the encoding -> the model, with the threshold tuned on the validation rows.

    With `reuse`, a model that was trained on the very same, by the same code, is taken instead.
    """
    settings = context.settings
    params = params_of(settings)
    learned = [span for name, span in encoding.split.spans().items() if name != "test"]
    records = [r for r in features.parts if any(overlaps(r.key.month, span) for span in learned)]
    made_from = identity("train", [part.checksum for part in (*encoded.parts, *records)], asdict(params))
    there = _reused(context, "train", "models", made_from) if reuse else None
    if there is not None:
        context.progress.skip("tune", "")
        return {"models": there}, models.load(context.store, there)

    def frame_of(parts: list[PartRecord]) -> Any:
        return flow.published(context.store, features_of.table_of(encoding.names), features.version, parts)

    keeper = StoreKeeper(context.store, context.version, made_from)
    if settings.fresh:
        keeper.forget()
    elif keeper.checkpoint() is not None:
        context.progress.say("train: goes on from the checkpoint of a run that was not finished")
    fitted = fit(context, list(features.parts), frame_of, encoding, params, keeper=keeper)
    model = Model(
        version=context.version,
        booster=fitted.booster_,
        encoding=encoding,
        rounds=fitted.rounds_,
        taxi=str(features.config["taxi"]),
    )
    model = replace(model, threshold=_tune(context, features, model))
    # What every round brought: of the booster itself, only the best ones are left.
    metrics = {"log_loss_by_round": asdict(fitted.curve_)}
    published = _save(context, model, params, [parent(features), parent(encoded)], made_from, metrics)
    keeper.forget()
    return published, model


def params_of(settings: Settings) -> Params:
    """Return what the settings say of the booster."""
    return Params(**{each.name: getattr(settings, each.name) for each in fields(Params)})


def fit(
    context: Context,
    parts: list[PartRecord],
    frame_of: Callable[[list[PartRecord]], Any],
    encoding: Encoding,
    params: Params,
    shown_as: str = "train",
    keeper: StoreKeeper | None = None,
) -> training.TipClassifier:
    """Train on the training rows of parts, and stop by their validation rows; `frame_of` gives lazy features of parts.

    What the `keeper` has of it, an earlier run may have left.
    """
    matrices = {}
    for name, span in encoding.split.spans().items():
        records = [record for record in parts if overlaps(record.key.month, span)]
        matrices[name] = flow.encoded(frame_of(records), encoding, name), records
    matrix, records = matrices["train"]
    with (
        cluster.fixed(context.client),
        context.progress.stage(shown_as, params.rounds, unit="rounds") as stage,
    ):
        context.progress.curve.clear()

        def show(event: dict[str, Any]) -> None:
            stage.round(event["round"], event["log_loss"], event["train_log_loss_before"])

        classifier = training.TipClassifier(**asdict(params), on_round=show)
        valid = matrices.get("valid")
        classifier.fit(
            matrix.drop(columns="high_tip"),
            matrix["high_tip"],
            eval_set=None if valid is None else (valid[0].drop(columns="high_tip"), valid[0]["high_tip"]),
            rows=[record.rows for record in records],
            counts=encoding.counts,
            keeper=keeper and replace(keeper, paths=tuple(record.path for record in records)),
        )
        stage.note = f"{classifier.rounds_} rounds kept"
        stage.work = sum(record.rows for record in records) * stage.done
    return classifier


def _tune(context: Context, features: Manifest, model: Model) -> float:
    """Return the threshold with the best F1 on the validation rows; the default where there are none."""
    span = model.encoding.split.valid
    if span is None:
        return decisions.DEFAULT
    records = [record for record in features.parts if overlaps(record.key.month, span)]
    table = features_of.table_of(model.encoding.names)
    frame = flow.published(context.store, table, features.version, records)
    decided = flow.decided(flow.scored(frame, model), decisions.DEFAULT)
    summing = flow.Summing(frame, flow.Rule(model.encoding))
    of = _months(records)
    with context.progress.stage("tune", len(records), of) as stage:
        done = barrier.collect(context.client, flow.tallied(decided, summing), stage, months=of)
    tally = select(flow.merged(done), "valid", model.encoding.population)
    return decisions.tune(tally.negatives, tally.positives)


def _save(
    context: Context,
    model: Model,
    params: Params,
    parents: list[dict[str, Any]],
    made_from: str,
    told: dict[str, Any],
) -> Published:
    files = {"model.ubj": model.booster, "model.json": packing.model_json(model)}
    records = [context.store.put("models", context.version, name, content) for name, content in files.items()]
    manifest = context.publish(
        "models", records, asdict(params), parents, code=code_of("train"), identity=made_from, metrics=told
    )
    return {"models": manifest}


def load_encoding(context: Context, manifest: Manifest) -> Encoding:
    """Read a published encoding."""
    content = context.store.get(manifest.table, manifest.version, manifest.parts[0])
    return Encoding.from_json(json.loads(content))
