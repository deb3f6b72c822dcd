"""The promotion gate: compare a model with the champion, check, register and promote it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from toytip.config import Settings
from toytip.core.model import TrainedModel
from toytip.core.redact import mask_credentials
from toytip.core.tables import MODELS, PREDICTIONS
from toytip.errors import CodeError, RegistryError, StoreError
from toytip.evaluation.gate import Decision, GateCheck, GateDecision, GateResult, evaluate_gate
from toytip.evaluation.report import summarize_report
from toytip.models import resolve
from toytip.models.card import ModelCard
from toytip.models.package import PACKAGE_FILES_FOLDER, load_package, write_package
from toytip.models.package_check import Verify, verify_in_interpreter
from toytip.models.registered_model import SEGMENT_TAG, STORE_TAG, RegisteredModel, find_run
from toytip.models.registry import CHAMPION, ChampionChangedError, Registry, open_registry
from toytip.monitoring.history import MonitoringHistory
from toytip.pipeline import evaluate
from toytip.pipeline.context import open_reader
from toytip.pipeline.evaluate import Evaluation
from toytip.pipeline.monitor import find_monitoring_inputs
from toytip.progress.tracker import Progress
from toytip.store.artifacts import with_split_of
from toytip.store.lineage import trace_lineage
from toytip.store.manifest import Manifest, VersionRef
from toytip.store.reports import pin_version
from toytip.store.store import Store, store_from_settings

COMPARABLE_CHECK = "comparable with the champion"
GOLDEN_SET_CHECK = "scores the golden set in a separate process"


@dataclass(frozen=True, kw_only=True)
class Challenger:
    """A trained model, its manifest, its evaluation, and the histograms of its months."""

    model: TrainedModel
    manifest: Manifest
    evaluation: Evaluation
    history: MonitoringHistory


@dataclass(frozen=True, kw_only=True)
class ChampionMatch:
    """The champion that a challenger is compared with.

    `registered` is None if there is no champion. `model` is None if there is no champion other than
    the challenger itself. `model` is also None if the champion is not comparable, for the reason
    `incomparable_reason`.
    """

    registered: RegisteredModel | None = None
    model: TrainedModel | None = None
    incomparable_reason: str = ""


def match_champion(registry: Registry, model: TrainedModel) -> ChampionMatch:
    """Return the champion with which a model is compared on the model's test rows."""
    registered = registry.champion()
    if registered is None or registered.run_version == model.version:
        return ChampionMatch(registered=registered)
    try:
        with registry.open_files(registered) as folder:
            champion = load_package(folder)
    except CodeError as error:
        return ChampionMatch(registered=registered, incomparable_reason=str(error))
    reason = incomparable_reason(champion, model)
    return ChampionMatch(
        registered=registered, model=None if reason else champion, incomparable_reason=reason
    )


def incomparable_reason(champion: TrainedModel, model: TrainedModel) -> str:
    """Return why a champion cannot be compared with a model, or "" if it can."""
    theirs, ours = champion.encoding.dataset, model.encoding.dataset
    if removed := sorted(set(champion.encoding.feature_names) - set(ours.feature_availability)):
        return f"the champion has features that toytip no longer computes: {', '.join(removed)}"
    if theirs.label.name != ours.label.name:
        return f"the champion predicts {theirs.label.name}, and the model predicts {ours.label.name}"
    features = champion.encoding.feature_names
    inputs = (name for feature in features for name in ours.feature_inputs[feature])
    names = dict.fromkeys((*features, *inputs, ours.label.name, *ours.label.needs))
    if changed := [name for name in names if theirs.part_code.get(name) != ours.part_code.get(name)]:
        return f"the module of the project now computes {', '.join(changed)} in another way than the champion"
    test = model.encoding.split.test
    for name, span in champion.encoding.split.time_ranges().items():
        if name != "test" and span.start < test.stop and test.start < span.stop:
            return (
                f"the champion was trained or tuned on {span.start[:10]} to {span.stop[:10]}, which overlaps "
                "the test months (test on later months, or force the promotion)"
            )
    return ""


def run_gate(
    store: Store,
    registry: Registry,
    match: ChampionMatch,
    challenger: Challenger,
    *,
    verify: Verify = verify_in_interpreter,
    dry_run: bool = False,
    force_reason: str = "",
    raise_if_champion_changed: bool = False,
) -> GateDecision:
    """Check a challenger, register it, and promote it if it passes or if promotion is forced.

    `verify` scores the golden set in a separate process. A dry run changes nothing. If another
    model becomes the champion during the evaluation, the gate rejects the challenger. With
    `raise_if_champion_changed`, the function then raises ChampionChangedError instead. Raises
    RegistryError if the registry does not answer.
    """
    if match.registered and is_champion(match, challenger.model) and not force_reason:
        return _gate_decision(registry, match.registered, Decision.ALREADY_CHAMPION)
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "package")
        write_package(package, challenger.model, _model_card(store, challenger), challenger.history)
        gate = _evaluate(challenger, match, package, verify)
        passed = gate.passed or bool(force_reason)
        if dry_run:
            decision = Decision.WOULD_PROMOTE if passed else Decision.WOULD_REJECT
            return _gate_decision(registry, None, decision, gate.rejection_reasons, gate)
        registered = _find_or_register(store, registry, package, challenger)
    decision = Decision.FORCED if force_reason else Decision.PROMOTED if passed else Decision.REJECTED
    reasons = (*([f"forced: {force_reason}"] if force_reason else ()), *gate.rejection_reasons)
    if passed:
        try:
            registry.promote(registered, expected_champion=match.registered)
        except ChampionChangedError as error:
            if raise_if_champion_changed:
                raise
            decision, reasons = Decision.REJECTED, (str(error),)
    registry.record_decision(registered, decision, reasons)
    current = registry.find_model(str(registered.number))
    return _gate_decision(registry, current, decision, reasons, gate)


def is_champion(match: ChampionMatch, model: TrainedModel) -> bool:
    """Return whether a model is the champion already, so that the gate has nothing to decide."""
    return match.registered is not None and match.registered.run_version == model.version


def promote(
    settings: Settings,
    name: str,
    taxi: str | None,
    segment: str | None,
    progress: Progress,
    *,
    dry_run: bool,
    force_reason: str,
) -> GateDecision:
    """Run the promotion gate on an existing model, with the model's predictions in the store.

    The gate compares the model with the champion of the same taxi type and segment. Raises
    StoreError or RegistryError if no model has the name, or if the model has no predictions.
    """
    model = resolve.load_model(settings, name, taxi, segment=segment)
    registry = open_registry(settings, model.taxi, model.encoding.segment)
    registry.require_usable(write=not dry_run)
    store = store_from_settings(settings)
    predictions = [
        manifest
        for manifest in store.list_manifests(PREDICTIONS.name)
        if VersionRef(MODELS.name, model.version) in manifest.parents
    ]
    trained = store.get_manifest(MODELS.name, model.version)
    if not predictions or trained is None:
        raise StoreError(
            f"cannot evaluate {model.version}: {store.display_uri} has no predictions of this model",
            hint=f"Run `toytip stage infer --model {model.version}` and `toytip stage postprocess`.",
        )
    # A later version can have predictions of new months only.
    own = [manifest for manifest in predictions if manifest.version == model.version]
    scored = (own or predictions)[-1]
    model, inputs = with_split_of(model, scored), find_monitoring_inputs(settings, store, model)
    with open_reader(settings, progress) as context:
        match = match_champion(registry, model)
        evaluation = evaluate.evaluate_predictions(context, scored, model, match.model)
        with context.progress.stage("gate", 1) as stage:
            decision = run_gate(
                store,
                registry,
                match,
                Challenger(model=model, manifest=trained, evaluation=evaluation, history=inputs.history),
                dry_run=dry_run,
                force_reason=force_reason,
                raise_if_champion_changed=True,
            )
            stage.advance()
        return decision


def _evaluate(challenger: Challenger, match: ChampionMatch, package: Path, verify: Verify) -> GateResult:
    """Return the result of all checks, including the comparability and the golden set."""
    evaluation, encoding = challenger.evaluation, challenger.model.encoding
    gate = evaluate_gate(evaluation.tallies, evaluation.baselines, encoding.segment, encoding.dataset)
    checks = [*gate.checks]
    if match.incomparable_reason:
        checks.append(GateCheck(name=COMPARABLE_CHECK, passed=False, message=match.incomparable_reason))
    checks.append(_check_golden_set(package / PACKAGE_FILES_FOLDER, verify))
    return replace(gate, checks=tuple(checks))


def _check_golden_set(folder: Path, verify: Verify) -> GateCheck:
    """Score the golden set in a separate process that has only the packaged files."""
    try:
        passed, message = True, verify(folder)
    except RegistryError as error:
        passed, message = False, str(error)
    return GateCheck(name=GOLDEN_SET_CHECK, passed=passed, message=message)


def _find_or_register(
    store: Store, registry: Registry, package: Path, challenger: Challenger
) -> RegisteredModel:
    model = challenger.model
    if registered := find_run(registry.list_models(), model.version):
        return registered
    tags = {STORE_TAG: store.display_uri, SEGMENT_TAG: model.encoding.segment}
    pin_version(store, model.version, registry.display_name)
    metrics = _flatten_metrics(challenger.evaluation)
    return registry.register(package, model.version, tags=tags, metrics=metrics)


def _flatten_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return metrics by name, such as `test.card.auc` or `test.card.auc.over_group_mean`."""
    flat = {}
    for split, segments in evaluation.report.items():
        for segment, report in segments.items():
            for name, value in asdict(report.metrics).items():
                flat[f"{split}.{segment}.{name}"] = value
            for baseline, improvement in report.improvement.items():
                for name, value in asdict(improvement).items():
                    flat[f"{split}.{segment}.{name}.over_{baseline}"] = value
    return {name: float(value) for name, value in flat.items() if value is not None}


def _model_card(store: Store, challenger: Challenger) -> ModelCard:
    model, manifest = challenger.model, challenger.manifest
    availability = model.encoding.dataset.feature_availability
    return ModelCard(
        run_version=model.version,
        taxi=model.taxi,
        segment=model.encoding.segment,
        features={name: availability[name] for name in model.encoding.feature_names},
        split=model.encoding.split.time_ranges(),
        rounds=model.rounds,
        threshold=model.threshold,
        params=manifest.config,
        environment=manifest.environment,
        lineage=trace_lineage(store, manifest),
        evaluation=summarize_report(challenger.evaluation.report),
    )


def _gate_decision(
    registry: Registry,
    registered: RegisteredModel | None,
    decision: Decision,
    reasons: tuple[str, ...] = (),
    gate: GateResult | None = None,
) -> GateDecision:
    aliases = registered.aliases if registered else ()
    return GateDecision(
        name=registry.name,
        uri=mask_credentials(registry.uri),
        number=registered.number if registered else None,
        aliases=aliases,
        decision=decision,
        is_champion=CHAMPION in aliases,
        promotion_reasons=reasons,
        checks=gate.checks if gate else (),
    )
