"""The runs of a store, read from their run manifests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.tables import FEATURES, MODELS, PREDICTIONS
from toytip.errors import StoreError
from toytip.store.refs import find_current, read_tags
from toytip.store.run_manifest import RunFacts, RunManifest, SettingValue
from toytip.store.store import Store


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """Summary of a run."""

    version: str
    """Version ID of the run."""
    created_at: str
    """Publication time in UTC (ISO 8601)."""
    taxi: str
    """Taxi type, `yellow`, `green` or `fhvhv`."""
    source: str
    """Source as set by the user, without credentials, or `synthetic` for the synthetic year."""
    months: tuple[str, ...]
    """Months of the source, for example `2023-01`."""
    feature_set: str
    """Feature set of the model."""
    segment: str
    """Segment that the model was trained on, such as `all`."""
    model: str | None
    """Version of the run that trained the model. Null if the run has no model."""
    test_auc: dict[str, float | None]
    """AUC on the test trips by segment. Null if the AUC is undefined."""
    status: str
    """`passed`, `not-gated`, `refused` or `failed-check`."""
    reasons: tuple[str, ...]
    """Reasons why the run was refused, or why it failed the data check."""
    is_current: bool
    """Whether readers take the predictions of this run by default."""
    is_champion: bool
    """Whether the model that the run trained is a champion."""
    tags: tuple[str, ...]
    """Tags of the version."""


@dataclass(frozen=True, kw_only=True)
class RunList:
    """The runs of a store, newest first."""

    runs: tuple[RunSummary, ...]
    """Runs, newest first."""


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """The settings and metrics of several runs side by side."""

    versions: tuple[str, ...]
    """Version IDs of the runs, in the order of all other lists."""
    facts: dict[str, tuple[SettingValue, ...]]
    """Facts that differ between the runs, such as `months`, by name."""
    settings: dict[str, tuple[SettingValue, ...]]
    """Settings that differ between the runs, by name."""
    metrics: dict[str, dict[str, tuple[float | None, ...]]]
    """Test metrics by segment and name."""


def list_runs(store: Store, runs: Sequence[RunManifest], champions: frozenset[str]) -> RunList:
    """Return the runs of all stages among run manifests, newest first.

    `champions` are the run versions of the champions.
    """
    predictions = store.list_manifests(PREDICTIONS.name)
    current = find_current(store, predictions)
    existing = {manifest.version for manifest in (*predictions, *store.list_manifests(FEATURES.name))}
    tags = read_tags(store)
    return RunList(
        runs=tuple(
            _summarize(
                run,
                run.run,
                is_current=current is not None and run.tables.get(PREDICTIONS.name) == current.version,
                is_champion=run.tables.get(MODELS.name) == run.version and run.version in champions,
                tags=tuple(sorted(name for name, version in tags.items() if version == run.version)),
            )
            for run in reversed(runs)
            if run.run is not None and run.version in existing
        )
    )


def _summarize(
    run: RunManifest, facts: RunFacts, *, is_current: bool, is_champion: bool, tags: tuple[str, ...]
) -> RunSummary:
    return RunSummary(
        version=run.version,
        created_at=run.created_at,
        taxi=facts.taxi,
        source=facts.source,
        months=facts.months,
        feature_set=facts.feature_set,
        segment=facts.segment,
        model=facts.model,
        test_auc={ALL_ROWS: None, **{name: values.get("auc") for name, values in facts.metrics.items()}},
        status=run.status,
        reasons=run.reasons,
        is_current=is_current,
        is_champion=is_champion,
        tags=tags,
    )


def compare_runs(store: Store, names: Sequence[str]) -> RunComparison:
    """Return the settings that differ, and the test metrics, of several runs.

    Raises StoreError if a version is not a run of all stages.
    """
    runs = [_find_run(store, name) for name in names]
    facts = [run.run for run in runs if run.run is not None]
    segments = list(dict.fromkeys(segment for item in facts for segment in item.metrics))
    metric_names = list(
        dict.fromkeys(name for item in facts for values in item.metrics.values() for name in values)
    )
    return RunComparison(
        versions=tuple(run.version for run in runs),
        facts=_differing(
            {
                "status": [run.status.value for run in runs],
                "taxi": [item.taxi for item in facts],
                "source": [item.source for item in facts],
                "months": [f"{item.months[0]}:{item.months[-1]}" for item in facts],
                "model": [item.model for item in facts],
            }
        ),
        settings=_differing(
            {
                name: [item.settings.get(name) for item in facts]
                for name in sorted({name for item in facts for name in item.settings})
            }
        ),
        metrics={
            segment: {
                name: tuple(item.metrics.get(segment, {}).get(name) for item in facts)
                for name in metric_names
            }
            for segment in segments
        },
    )


def _find_run(store: Store, name: str) -> RunManifest:
    version = read_tags(store).get(name, name)
    run = store.get_run(version)
    if run is None or run.run is None:
        raise StoreError(
            f"cannot compare {name}: {store.display_uri} has no run with this version or tag",
            hint="List the runs with `toytip runs`.",
        )
    return run


def _differing(values: dict[str, list[SettingValue]]) -> dict[str, tuple[SettingValue, ...]]:
    return {name: tuple(items) for name, items in values.items() if len(set(map(str, items))) > 1}
