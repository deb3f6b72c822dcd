"""Fit the encoding of published features, and publish the encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import reduce
from typing import Any

from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.model import Encoding
from toytip.core.partitions import DataFile
from toytip.core.splits import Split
from toytip.core.tables import ENCODINGS, FEATURES
from toytip.engine import compute, graph
from toytip.evaluation import metrics
from toytip.monitoring.required_trips import require_two_labels
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.fingerprints import code_digest, fingerprint
from toytip.pipeline.incremental import find_reusable, month_names, new_recipe, stored_recipe
from toytip.pipeline.plan import split_months
from toytip.pipeline.startup.project import dataset_of_features
from toytip.stages.preprocess import ValueCounts, fit_encoding
from toytip.store.artifacts import encoding_to_bytes, load_encoding
from toytip.store.changes import Recipe, contents_by_month
from toytip.store.manifest import Manifest

ENCODING_SETTINGS = ("feature_set", "segment", "max_bin")


def split_features(settings: Settings, features: Manifest) -> Split:
    """Return the split of the months of `features`. Raises ConfigError if no split is possible."""
    return split_months(settings, tuple(dict.fromkeys(file.key.month for file in features.files)))


def fit_feature_encoding(
    context: RunContext, features: Manifest, split: Split, *, reuse: bool = False
) -> tuple[PublishedTables, Encoding]:
    """Publish the encoding of `features`, which is fitted on the training trips only.

    With `reuse`, an existing encoding with the same fingerprint is returned instead, with the
    test months of `split`.
    """
    settings, dataset = context.settings, dataset_of_features(context.settings, features)
    if split.is_by_day:
        shares = "60 % training, 20 % validation" if split.validation else "80 % training"
        context.progress.info(f"fewer than three months: split by day, {shares}, 20 % test")
    files = [file for file in features.files if split.covers(file.key.month, "train")]
    config = _config_of(settings, dataset)
    inputs = [*(file.checksum for file in files), split.fitted_ranges()]
    input_fingerprint = fingerprint("preprocess", dataset, inputs, config)
    existing = _find_encoding(context, dataset, files, split, input_fingerprint) if reuse else None
    if existing is not None:
        _warn_of_leakage(context, existing)
        return {ENCODINGS.name: existing}, replace(load_encoding(context.store, existing), split=split)
    names = dataset.feature_set(settings.feature_set)
    frame = graph.read_version(context.store, dataset.feature_table(*names), features.version, files)
    counts = count_training_values(context, frame, files, names, split, dataset)
    rate_names = dataset.target_rate_set(settings.feature_set)
    encoding = fit_encoding(counts, split, settings.segment, dataset, rate_names, settings.max_bin)
    content, name = encoding_to_bytes(encoding), ENCODINGS.artifact_files[0]
    manifest = context.add_table(
        ENCODINGS,
        [context.store.write_file(ENCODINGS.name, context.version, name, content)],
        {**config, "split": asdict(split)},
        [features.ref],
        code=code_digest("preprocess", dataset),
        fingerprint=input_fingerprint,
        metrics={"auc_alone": _single_feature_aucs(counts)},
    )
    _warn_of_leakage(context, manifest)
    return {ENCODINGS.name: manifest}, encoding


def _find_encoding(
    context: RunContext, dataset: Dataset, files: Sequence[DataFile], split: Split, input_fingerprint: str
) -> Manifest | None:
    """Return the newest encoding with a fingerprint. `files` are the features to learn from."""
    inputs = contents_by_month(files)
    settings = _recipe_settings(_config_of(context.settings, dataset), split)

    def recipe_of(manifest: Manifest) -> Recipe:
        config, earlier = manifest.config, Split.from_json(manifest.config["split"])
        features = context.store.get_manifest(FEATURES.name, manifest.parent_version("features"))
        return stored_recipe(
            manifest,
            contents_by_month(features.files) if features else inputs,
            settings=_recipe_settings(config, earlier),
        )

    recipe = new_recipe(ENCODINGS, dataset, inputs, settings=settings)
    return find_reusable(context, "preprocess", ENCODINGS, input_fingerprint, recipe, recipe_of)


def _config_of(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """Return the settings that change an encoding, other than the months."""
    config = {name: getattr(settings, name) for name in ENCODING_SETTINGS}
    return {**config, "feature_set": dataset.feature_set_name(settings.feature_set)}


def _recipe_settings(config: Mapping[str, Any], split: Split) -> dict[str, str]:
    """Return the settings that change an encoding, as text. `config` can have other keys too."""
    ranges = {
        f"{name} range": f"{span.start[:10]} until {span.stop[:10]}"
        for name, span in split.fitted_ranges().items()
    }
    return {**{name: str(config.get(name)) for name in ENCODING_SETTINGS}, **ranges}


def count_training_values(
    context: RunContext,
    frame: Any,
    files: Sequence[DataFile],
    names: tuple[str, ...],
    split: Split,
    dataset: Dataset,
) -> ValueCounts:
    """Count the values of features in the training trips of a lazy frame of data files.

    Raises DataCheckError if there are no training trips, or if all have the same label.
    """
    context.require_usable_module(dataset)
    lazy = graph.count_partitions(frame, names, split, context.settings.segment, dataset)
    months = month_names(files)
    with context.progress.stage("preprocess", len(files), months) as stage:
        results = compute.compute_partitions(context.client, lazy, stage, months=months)
    counts = [result.value_counts for result in results if result.value_counts is not None]
    total = reduce(ValueCounts.merge, counts, ValueCounts.empty(names, dataset))
    require_two_labels(dataset, total.rows, total.positives, context.settings.segment)
    return total


def _single_feature_aucs(counts: ValueCounts) -> dict[str, float | None]:
    """Return the AUC that each feature reaches alone, on the training trips."""
    return {
        name: metrics.single_feature_auc(trips, positives, counts.rows, counts.positives)
        for name, (_, trips, positives) in counts.by_value.items()
    }


def find_leaking_features(encodings: Manifest) -> dict[str, float]:
    """Return the features that may leak the label, with their single-feature AUC."""
    aucs = encodings.metrics.get("auc_alone", {})
    return {name: auc for name, auc in aucs.items() if auc is not None and auc >= metrics.LEAKAGE_AUC}


def _warn_of_leakage(context: RunContext, encodings: Manifest) -> None:
    for name, auc in find_leaking_features(encodings).items():
        context.progress.warn(
            f"possible target leakage: feature {name} alone has an AUC of {auc:.4f} "
            "(check that it is available at prediction time)"
        )
