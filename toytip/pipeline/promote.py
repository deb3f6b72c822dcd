"""The gate in a run: the champion is scored on the same test rows, the challenger is registered, judged, and promoted."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from toytip.config import Settings
from toytip.core.jsonable import to_json
from toytip.core.model import TrainedModel
from toytip.core.tables import MODELS, PREDICTIONS
from toytip.errors import StoreError
from toytip.evaluation.gate import GateCheck, GateResult, evaluate_gate
from toytip.evaluation.report import summarize_report
from toytip.models import resolve
from toytip.models.package import PACKAGE_FILES_FOLDER, load_package, write_package
from toytip.models.registry import (
    CHAMPION,
    STORE_TAG,
    ChampionChangedError,
    RegisteredModel,
    Registry,
    open_registry,
)
from toytip.pipeline import evaluate
from toytip.pipeline.context import RunContext, open_reader
from toytip.pipeline.evaluate import Evaluation
from toytip.progress.tracker import Progress
from toytip.stages.catalog import FEATURE_AVAILABILITY
from toytip.store.lineage import trace_lineage
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.reports import pin_version
from toytip.store.store import store_from_settings

GOLDEN_SET_TIMEOUT_S = 120
GOLDEN_SET_CHECK = "scores the golden set in a clean process"


@dataclass(frozen=True)
class ChampionMatch:
    """The champion that a challenger meets: none, one that can be compared, or one that cannot, and why."""

    entry: RegisteredModel | None = None
    model: TrainedModel | None = None
    incomparable_reason: str = ""


def match_champion(registry: Registry, model: TrainedModel) -> ChampionMatch:
    """Return the champion that a model meets on its test rows."""
    entry = registry.champion()
    if entry is None or entry.version == model.version:
        return ChampionMatch(entry)
    with registry.open_files(entry) as folder:
        champion = load_package(folder)
    if gone := sorted(set(champion.encoding.feature_names) - set(FEATURE_AVAILABILITY)):
        return ChampionMatch(
            entry,
            incomparable_reason=f"the champion needs features that there are no more: {', '.join(gone)}",
        )
    test = model.encoding.split.test
    for name, span in champion.encoding.split.time_ranges().items():
        if name != "test" and span.start < test.stop and test.start < span.stop:
            return ChampionMatch(
                entry,
                incomparable_reason=f"the champion has learned from {span.start[:10]} to {span.stop[:10]}, which is in this test; "
                "test on later months, or promote it by force",
            )
    return ChampionMatch(entry, champion)


def judge_and_register(
    context: RunContext,
    registry: Registry,
    match: ChampionMatch,
    model_manifest: Manifest,
    model: TrainedModel,
    evaluation: Evaluation,
    *,
    dry_run: bool = False,
    force_reason: str = "",
    raise_if_champion_changed: bool = False,
) -> dict[str, Any]:
    """Judge a model, register it where it is not yet, and promote it if it passes or is forced; return what was decided.

    Nothing is written if `dry_run`. Raises RegistryError where the registry does not answer, and if `raise_if_champion_changed` where another has
    become the champion in the meantime; a run, which has more to tell, refuses its model then.
    """
    if match.entry is not None and match.entry.version == model.version and not force_reason:
        return _decision_json(registry, match.entry, "champion already", [], None)
    with context.progress.stage("gate", 1) as shown, tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "package")
        card = _model_card(context, model_manifest, model, evaluation)
        write_package(package, model, card)
        verdict = _judge(model, match, evaluation)
        verdict = replace(
            verdict, checks=(*verdict.checks, _check_golden_set(package / PACKAGE_FILES_FOLDER))
        )
        shown.advance()
        passed = verdict.passed or bool(force_reason)
        if dry_run:
            decision = "would be promoted" if passed else "would stay challenger"
            return _decision_json(registry, None, decision, list(verdict.rejection_reasons), verdict)
        entry = _find_or_register(context, registry, package, model, evaluation)
        decision = ("forced" if force_reason else "promoted") if passed else "refused"
        reasons = (
            [f"forced: {force_reason}", *verdict.rejection_reasons]
            if force_reason
            else list(verdict.rejection_reasons)
        )
        if passed:
            try:
                registry.promote(entry, expected_champion=match.entry)
            except ChampionChangedError as error:
                if raise_if_champion_changed:
                    raise
                decision, reasons = "refused", [str(error)]
        registry.record_decision(entry, decision, reasons)
        return _decision_json(registry, registry.find_model(str(entry.number)), decision, reasons, verdict)


def promote(
    settings: Settings, name: str, taxi: str | None, progress: Progress, *, dry_run: bool, force_reason: str
) -> dict[str, Any]:
    """Judge a model that was trained earlier by the predictions made with it; return what was decided.

    Raises StoreError or RegistryError where there is no such model, or nothing was predicted with it.
    """
    model = resolve.load_model(settings, name, taxi)
    registry = open_registry(settings, model.taxi)
    registry.require_reachable()
    store = store_from_settings(settings)
    made = [
        manifest
        for manifest in store.list_manifests(PREDICTIONS.name)
        if VersionRef(MODELS.name, model.version) in manifest.parents
    ]
    trained = store.get_manifest("models", model.version)
    if not made or trained is None:
        raise StoreError(
            f"nothing in {store.display_uri} was predicted with {model.version}; "
            f"`toytip infer --model {model.version}` and `toytip postprocess` first"
        )
    with open_reader(settings, progress) as context:
        rival = match_champion(registry, model)
        evaluation = evaluate.evaluate(context, made[-1], model, rival.model)
        return judge_and_register(
            context,
            registry,
            rival,
            trained,
            model,
            evaluation,
            dry_run=dry_run,
            force_reason=force_reason,
            raise_if_champion_changed=True,
        )


def _judge(model: TrainedModel, rival: ChampionMatch, evaluation: Evaluation) -> GateResult:
    verdict = evaluate_gate(evaluation.tallies, evaluation.baselines, model.encoding.segment)
    if rival.incomparable_reason:
        return replace(
            verdict,
            checks=(
                *verdict.checks,
                GateCheck(
                    name="comparable with the champion", passed=False, message=rival.incomparable_reason
                ),
            ),
        )
    return verdict


def _check_golden_set(folder: Path) -> GateCheck:
    """Ask the packed model in a process that knows nothing of this one for trips whose answers are known."""
    command = [sys.executable, "-m", "toytip.models.package", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=GOLDEN_SET_TIMEOUT_S, check=False
        )
        said = (done.stdout or done.stderr).strip().splitlines()
        told = said[-1] if said else "no answer"
        return GateCheck(name=GOLDEN_SET_CHECK, passed=done.returncode == 0, message=told)
    except subprocess.TimeoutExpired:
        told = f"no answer to the golden set within {GOLDEN_SET_TIMEOUT_S} s"
        return GateCheck(name=GOLDEN_SET_CHECK, passed=False, message=told)


def _find_or_register(
    context: RunContext, registry: Registry, package: Path, model: TrainedModel, evaluation: Evaluation
) -> RegisteredModel:
    there = [entry for entry in registry.list_models() if entry.version == model.version]
    if there:
        return there[-1]
    tags = {STORE_TAG: context.store.display_uri, "toytip.segment": model.encoding.segment}
    pin_version(context.store, model.version, registry.display_name)
    return registry.register(package, model.version, tags=tags, metrics=_flatten_metrics(evaluation))


def _flatten_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return the values by name, such as `test.card.auc` or `test.card.auc.over_hour_zone_mean`."""
    flat = {}
    for split, segments in evaluation.report.items():
        for segment, report in segments.items():
            for name, value in asdict(report.metrics).items():
                flat[f"{split}.{segment}.{name}"] = value
            for baseline, gain in report.improvement.items():
                for name, value in asdict(gain).items():
                    flat[f"{split}.{segment}.{name}.over_{baseline}"] = value
    return {name: float(value) for name, value in flat.items() if value is not None}


def _model_card(
    context: RunContext, trained: Manifest, model: TrainedModel, evaluation: Evaluation
) -> dict[str, Any]:
    """Return what a person or a program should know of a model: what it learned, from what, and how well."""
    return {
        "version": model.version,
        "taxi": model.taxi,
        "population": model.encoding.segment,
        "features": {name: FEATURE_AVAILABILITY[name] for name in model.encoding.feature_names},
        "split": {name: list(span) for name, span in model.encoding.split.time_ranges().items()},
        "rounds": model.rounds,
        "threshold": model.threshold,
        "params": trained.config,
        "environment": trained.environment,
        "data": to_json(trace_lineage(context.store, trained)),
        "evaluation": to_json(summarize_report(evaluation.report)),
    }


def _decision_json(
    registry: Registry,
    entry: RegisteredModel | None,
    decision: str,
    reasons: list[str],
    verdict: GateResult | None,
) -> dict[str, Any]:
    return {
        "name": registry.name,
        "uri": registry.uri,
        "number": entry.number if entry else None,
        "aliases": list(entry.aliases) if entry else [],
        "decision": decision,
        "champion": bool(entry and CHAMPION in entry.aliases),
        "reasons": reasons,
        "checks": to_json(verdict.checks) if verdict else [],
    }
