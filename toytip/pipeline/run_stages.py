"""The two sequences of stages of `toytip run`: train a model and score, or only score."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toytip.core.model import TrainedModel
from toytip.core.months import Month
from toytip.core.splits import Split, TimeRange
from toytip.core.tables import ENCODINGS, FEATURES, MODELS
from toytip.errors import DataCheckError, RegistryError
from toytip.evaluation.gate import GateDecision
from toytip.models.registry import open_registry
from toytip.monitoring.data_check import DataCheck
from toytip.monitoring.history import MonitoringHistory
from toytip.monitoring.report import MonitoringReport
from toytip.pipeline import monitor
from toytip.pipeline.check_data import (
    check_data,
    describe_held,
    held_test_months,
    require_usable,
    split_without_held,
)
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.evaluate import Evaluation
from toytip.pipeline.fit_encoding import fit_feature_encoding
from toytip.pipeline.history import MonitoringInputs, inputs_of_model, inputs_of_tables
from toytip.pipeline.plan import RunPlan
from toytip.pipeline.predict import predict_trips
from toytip.pipeline.promote import Challenger, ChampionMatch, is_champion
from toytip.pipeline.read_source import read_source
from toytip.pipeline.run_facts import describe_facts
from toytip.pipeline.startup.gate_process import Gate, prepare_gate
from toytip.pipeline.startup.late_imports import REPORT_MODULES, TRAINING_MODULES, import_in_background
from toytip.store.run_manifest import RunStatus

if TYPE_CHECKING:
    from toytip.pipeline.reporting.pages import PreparedReport


@dataclass(frozen=True, kw_only=True)
class ScoringModel:
    """A model that scores new months without training, and the reference that it carries."""

    model: TrainedModel
    """The model."""
    reference: MonitoringHistory | None
    """Histograms of the months from which the model learned. None if the model carries none."""
    is_champion: bool
    """Whether the model is the champion of its taxi type and segment."""


@dataclass(frozen=True, kw_only=True)
class StageOutputs:
    """The outputs of all stages."""

    tables: PublishedTables
    model: TrainedModel
    data_check: DataCheck
    failed_check: tuple[str, ...]
    evaluation: Evaluation
    monitoring: MonitoringReport | None
    promotion: GateDecision | None
    prepare_report: Callable[[], PreparedReport]
    """Collects the facts for the report and draws its charts, on the first call."""


def train_and_score(context: RunContext, plan: RunPlan) -> StageOutputs:
    """Train a model on a source, score all trips, and run the promotion gate.

    Raises DataCheckError if the data check holds a month that training needs. The features are then
    published with the status `failed-check`. If a test month is held, the gate does not run.
    """
    settings = context.settings
    if settings.gate == "off":
        return _train_and_score(context, plan, None)
    registry = open_registry(settings, plan.source.taxi, settings.segment)
    in_process = context.local_workers and settings.start_method == "forkserver"
    with prepare_gate(registry, in_process=in_process, create=settings.gate == "on") as gate:
        return _train_and_score(context, plan, gate)


def _train_and_score(context: RunContext, plan: RunPlan, gate: Gate | None) -> StageOutputs:
    import_in_background(TRAINING_MODULES)
    tables = read_source(context, plan)
    from toytip.pipeline.train import train_model

    import_in_background(REPORT_MODULES)
    features = tables[FEATURES.name]
    check, split = _check_months(context, plan, tables)
    encoded, encoding = fit_feature_encoding(context, features, split, reuse=True)
    trained, model = train_model(
        context, features, encoding, encoded[ENCODINGS.name], plan.params, reuse=True
    )
    held = held_test_months(split, check)
    gate = None if held else gate
    champion = gate.match_champion(model) if gate else ChampionMatch()
    predicted, evaluation = predict_trips(context, features, model, champion.model)
    tables = {**tables, **encoded, **trained, **predicted}
    inputs = inputs_of_tables(context.store, tables, evaluation.tallies)
    monitored, monitoring = _monitor_months(context, model, inputs)
    challenger = Challenger(
        model=model, manifest=trained[MODELS.name], evaluation=evaluation, history=inputs.history
    )
    tables = {**tables, **monitored}
    prepare_report = _report_preparation(context, tables, evaluation, monitoring)
    promotion = _promote(context, gate, champion, challenger, prepare_report) if gate else None
    return StageOutputs(
        tables=tables,
        model=model,
        data_check=check,
        failed_check=tuple(describe_held(month) for month in held),
        evaluation=evaluation,
        monitoring=monitoring,
        promotion=promotion,
        prepare_report=prepare_report,
    )


def score_months(context: RunContext, plan: RunPlan, scoring: ScoringModel) -> StageOutputs:
    """Score the months of a source with an existing model, and monitor them.

    The months after the training and validation months count as test months. Raises DataCheckError
    as `train_and_score` does.
    """
    tables = read_source(context, plan)
    model = scoring.model.with_split(_split_with_test(scoring.model.encoding.split, plan.source.months))
    check = _check_new_months(context, plan, scoring, tables)
    predicted, evaluation = predict_trips(context, tables[FEATURES.name], model)
    trained = context.store.get_manifest(MODELS.name, model.version)
    tables = {**tables, **predicted, **({MODELS.name: trained} if trained else {})}
    inputs = inputs_of_tables(context.store, tables, evaluation.tallies)
    earlier = inputs_of_model(context.store, model)
    if earlier:
        inputs = inputs.extended(earlier.history, earlier.parents)
    if scoring.reference:
        inputs = inputs.extended(scoring.reference)
    monitored, monitoring = _monitor_months(context, model, inputs)
    tables = {**tables, **monitored}
    return StageOutputs(
        tables=tables,
        model=model,
        data_check=check,
        failed_check=(),
        evaluation=evaluation,
        monitoring=monitoring,
        promotion=None,
        prepare_report=_report_preparation(context, tables, evaluation, monitoring),
    )


def _check_months(context: RunContext, plan: RunPlan, tables: PublishedTables) -> tuple[DataCheck, Split]:
    """Return the data check, and the split without the held months."""
    check = check_data(context, tables, plan.split)
    try:
        return check, split_without_held(plan.split, check)
    except DataCheckError as error:
        _publish_failed(context, plan, tables, check, error)
        raise


def _check_new_months(
    context: RunContext, plan: RunPlan, scoring: ScoringModel, tables: PublishedTables
) -> DataCheck:
    """Compare new months with the training months of a model, which the model carries."""
    months = scoring.reference.months if scoring.reference else {}
    split = scoring.model.encoding.split
    reference = {month: summary for month, summary in months.items() if split.covers(month, "train")}
    check = check_data(context, tables, split, reference)
    try:
        require_usable(check)
    except DataCheckError as error:
        _publish_failed(context, plan, tables, check, error)
        raise
    return check


def _publish_failed(
    context: RunContext, plan: RunPlan, tables: PublishedTables, check: DataCheck, error: DataCheckError
) -> None:
    """Publish the features of a run that the data check stops."""
    facts = describe_facts(context.settings, plan.source, check)
    context.store.publish(
        context.run_manifest("run", tables, RunStatus.FAILED_CHECK, reasons=[str(error)], run=facts)
    )


def _split_with_test(split: Split, months: Sequence[Month]) -> Split:
    """Return a split whose test months are the given months that the model has not learned from."""
    new = [month for month in months if not split.fits_on(month) and str(month) not in split.held]
    after = [month for month in new if month.start.isoformat() >= split.test.start]
    if not after:
        return split
    return replace(split, test=TimeRange(after[0].start.isoformat(), after[-1].next.start.isoformat()))


def _monitor_months(
    context: RunContext, model: TrainedModel, inputs: MonitoringInputs
) -> tuple[PublishedTables, MonitoringReport | None]:
    """Monitor the months after the training months. A split by day has no such months."""
    monitoring, manifest = monitor.run_monitor_stage(context, model, inputs)
    if monitoring is None or manifest is None:
        context.progress.info("monitor: no months after the training months")
        return {}, None
    return {manifest.table: manifest}, monitoring


def _report_preparation(
    context: RunContext,
    tables: PublishedTables,
    evaluation: Evaluation,
    monitoring: MonitoringReport | None,
) -> Callable[[], PreparedReport]:
    """Return a function that prepares the report of the run once."""
    own = [manifest for manifest in tables.values() if manifest.version == context.version]
    own.sort(key=lambda manifest: (manifest.table, manifest.created_at))

    @functools.cache
    def prepare() -> PreparedReport:
        from toytip.pipeline.reporting import pages
        from toytip.pipeline.reporting.facts import KnownResults

        results = KnownResults(evaluation=evaluation.report, monitoring=monitoring)
        return pages.prepare_run_report(context.store, context.settings, own, results)

    return prepare


def _promote(
    context: RunContext,
    gate: Gate,
    champion: ChampionMatch,
    challenger: Challenger,
    prepare_report: Callable[[], PreparedReport],
) -> GateDecision:
    """Run the promotion gate on the model of the run, and prepare the report meanwhile."""
    dry_run = context.settings.gate == "dry-run"
    has_stage = not is_champion(champion, challenger.model)
    stage = context.progress.stage("gate", 1) if has_stage else contextlib.nullcontext()
    try:
        with stage as gate_stage:
            decide = gate.start(context.store, champion, challenger, dry_run=dry_run)
            with contextlib.suppress(Exception):  # the run reports the error after it has published
                prepare_report()
            decision = decide()
            if gate_stage is not None:
                gate_stage.advance()
    except RegistryError as error:
        raise RegistryError(
            str(error),
            hint="Run the command again, which reuses all complete outputs, or set --gate off.",
        ) from None
    return decision
