"""Features to a fitted encoding."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import reduce

from toytip.core.model import Encoding
from toytip.core.splits import overlaps, plan_split
from toytip.core.tables import ENCODINGS
from toytip.engine import compute, graph
from toytip.evaluation import metrics
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.identity import code_digest, fingerprint
from toytip.pipeline.incremental import find_reusable, month_names
from toytip.stages import featurize as features_of
from toytip.stages import preprocess as encodings
from toytip.stages.zone_rates import zone_rates_for
from toytip.store.artifacts import load_encoding
from toytip.store.manifest import Manifest


def preprocess(
    context: RunContext, features: Manifest, *, reuse: bool = False
) -> tuple[PublishedTables, Encoding]:
    """`features` -> the encoding, fitted on the training rows only.

    With `reuse`, one that was fitted on the very same rows, by the same code, is taken instead.
    """
    settings = context.settings
    months = tuple(dict.fromkeys(record.key.month for record in features.files))
    split = plan_split(months, settings.train_months, settings.validation_month, settings.test_months)
    names = features_of.feature_set(settings.feature_set)
    records = [record for record in features.files if overlaps(record.key.month, split.train)]
    rate_names = zone_rates_for(settings.feature_set)
    config = {"feature_set": settings.feature_set, "segment": settings.segment, "split": asdict(split)}
    made_from = fingerprint("preprocess", [record.checksum for record in records], config)
    there = find_reusable(context, "preprocess", ENCODINGS.name, made_from) if reuse else None
    if there is not None:
        _warn_of_leaks(context, there)
        return {ENCODINGS.name: there}, load_encoding(context.store, there)
    lazy = graph.read_version(context.store, features_of.feature_table(names), features.version, records)
    counted, of = graph.count_partitions(lazy, names, split, settings.segment), month_names(records)
    with context.progress.stage("preprocess", len(records), of) as stage:
        done = compute.compute_partitions(context.client, counted, stage, months=of)
    censuses = [item.value_counts for item in done if item.value_counts is not None]
    census = reduce(encodings.ValueCounts.merge, censuses, encodings.ValueCounts.empty(names))
    encoding = encodings.fit_encoding(census, split, settings.segment, rate_names)
    content = json.dumps(encoding.to_json()).encode()
    record = context.store.write_file(ENCODINGS.name, context.version, ENCODINGS.artifact_files[0], content)
    single = {
        name: metrics.single_feature_auc(counts, positives, census.rows, census.positives)
        for name, (_, counts, positives) in census.by_value.items()
    }
    manifest = context.publish(
        ENCODINGS, [record], config, [features.ref],
        code=code_digest("preprocess"), fingerprint=made_from, metrics={"auc_alone": single},
    )  # fmt: skip
    _warn_of_leaks(context, manifest)
    return {ENCODINGS.name: manifest}, encoding


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
