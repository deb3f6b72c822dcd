"""The gate in a run: the champion is scored on the same test rows, the challenger is registered, judged, and promoted."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toytip import packing
from toytip.config import Settings
from toytip.errors import StoreError
from toytip.lineage import trace
from toytip.pipeline import models, stages
from toytip.pipeline.context import Context, reading
from toytip.pipeline.stages import Evaluation
from toytip.progress import Progress
from toytip.registry import CHAMPION, STORE, Entry, OvertakenError, Registry, registry_of
from toytip.schema import PREDICTIONS
from toytip.scoring import MOMENTS
from toytip.stages.gate import Check, Verdict
from toytip.stages.gate import gate as judge
from toytip.store import Manifest, store_of
from toytip.values import Model

GOLDEN_S = 120


@dataclass(frozen=True)
class Rival:
    """The champion that a challenger meets: none, one that can be compared, or one that cannot, and why."""

    entry: Entry | None = None
    model: Model | None = None
    unfair: str = ""


def rival_of(registry: Registry, model: Model) -> Rival:
    """Return the champion that a model meets on its test rows."""
    entry = registry.champion()
    if entry is None or entry.version == model.version:
        return Rival(entry)
    with registry.files(entry) as folder:
        champion = packing.load(folder)
    if gone := sorted(set(champion.encoding.names) - set(MOMENTS)):
        return Rival(entry, unfair=f"the champion needs features that there are no more: {', '.join(gone)}")
    test = model.encoding.split.test
    for name, span in champion.encoding.split.spans().items():
        if name != "test" and span.start < test.stop and test.start < span.stop:
            return Rival(
                entry,
                unfair=f"the champion has learned from {span.start[:10]} to {span.stop[:10]}, which is in this test; "
                "test on later months, or promote it by force",
            )
    return Rival(entry, champion)


def submit(
    context: Context,
    registry: Registry,
    rival: Rival,
    trained: Manifest,
    model: Model,
    evaluation: Evaluation,
    *,
    dry: bool = False,
    force: str = "",
    alone: bool = False,
) -> dict[str, Any]:
    """Judge a model, register it where it is not yet, and promote it if it passes or is forced; return what was decided.

    Nothing is written if `dry`. Raises RegistryError where the registry does not answer, and if `alone` where another has
    become the champion in the meantime; a run, which has more to tell, refuses its model then.
    """
    if rival.entry is not None and rival.entry.version == model.version and not force:
        return _told(registry, rival.entry, "champion already", [], None)
    with context.progress.stage("gate", 1) as shown, tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "package")
        card = _card(context, trained, model, evaluation)
        packing.write(package, model, card)
        verdict = _judge(model, rival, evaluation)
        verdict = replace(verdict, checks=(*verdict.checks, _golden(package / packing.INSIDE)))
        shown.advance()
        passed = verdict.passed or bool(force)
        if dry:
            decision = "would be promoted" if passed else "would stay challenger"
            return _told(registry, None, decision, verdict.reasons, verdict)
        entry = _registered(context, registry, package, model, evaluation)
        decision = ("forced" if force else "promoted") if passed else "refused"
        reasons = [f"forced: {force}", *verdict.reasons] if force else verdict.reasons
        if passed:
            try:
                registry.promote(entry, instead_of=rival.entry)
            except OvertakenError as error:
                if alone:
                    raise
                decision, reasons = "refused", [str(error)]
        registry.decide(entry, decision, reasons)
        return _told(registry, registry.find(str(entry.number)), decision, reasons, verdict)


def promote(
    settings: Settings, name: str, taxi: str | None, progress: Progress, *, dry: bool, force: str
) -> dict[str, Any]:
    """Judge a model that was trained earlier by the predictions made with it; return what was decided.

    Raises StoreError or RegistryError where there is no such model, or nothing was predicted with it.
    """
    model = models.named(settings, name, taxi)
    registry = registry_of(settings, model.taxi)
    registry.knock()
    store = store_of(settings)
    made = [
        manifest
        for manifest in store.versions(PREDICTIONS.name)
        if {"table": "models", "version": model.version} in manifest.parents
    ]
    trained = store.published("models", model.version)
    if not made or trained is None:
        raise StoreError(
            f"nothing in {store.shown} was predicted with {model.version}; "
            f"`toytip infer --model {model.version}` and `toytip postprocess` first"
        )
    with reading(settings, progress) as context:
        rival = rival_of(registry, model)
        evaluation = stages.evaluate(context, made[-1], model, rival.model)
        return submit(context, registry, rival, trained, model, evaluation, dry=dry, force=force, alone=True)


def _judge(model: Model, rival: Rival, evaluation: Evaluation) -> Verdict:
    verdict = judge(evaluation.summary, evaluation.baseline, model.encoding.population)
    if rival.unfair:
        return replace(verdict, checks=(*verdict.checks, Check("comparable", False, rival.unfair)))
    return verdict


def _golden(folder: Path) -> Check:
    """Ask the packed model in a process that knows nothing of this one for trips whose answers are known."""
    command = [sys.executable, "-m", "toytip.packing", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GOLDEN_S, check=False)  # noqa: S603
        said = (done.stdout or done.stderr).strip().splitlines()
        told = said[-1] if said else "no answer"
        return Check("answers golden rows in a clean process", done.returncode == 0, told)
    except subprocess.TimeoutExpired:
        told = f"no answer to golden rows within {GOLDEN_S} s"
        return Check("answers golden rows in a clean process", False, told)


def _registered(
    context: Context, registry: Registry, package: Path, model: Model, evaluation: Evaluation
) -> Entry:
    there = [entry for entry in registry.entries() if entry.version == model.version]
    if there:
        return there[-1]
    tags = {STORE: context.store.shown, "toytip.population": model.encoding.population}
    context.store.mark_registered(model.version, registry.shown)
    return registry.register(package, model.version, tags=tags, metrics=_flat(evaluation))


def _flat(evaluation: Evaluation) -> dict[str, float]:
    """Return the metrics and lifts under names as `test.card.auc` and `test.card.auc.over_hour_zone`."""
    found = {}
    for split, populations in evaluation.report.items():
        for population, told in populations.items():
            for name, value in told["metrics"].items():
                found[f"{split}.{population}.{name}"] = value
            for trivial, lifts in told["lift"].items():
                for name, value in lifts.items():
                    found[f"{split}.{population}.{name}.over_{trivial}"] = value
    return {name: float(value) for name, value in found.items() if value is not None}


def _card(context: Context, trained: Manifest, model: Model, evaluation: Evaluation) -> dict[str, Any]:
    """Return what a person or a program should know of a model: what it learned, from what, and how well."""
    kept = ("metrics", "intervals", "baselines", "lift", "worst", "ece", "confusion")
    return {
        "version": model.version,
        "taxi": model.taxi,
        "population": model.encoding.population,
        "features": {name: MOMENTS[name] for name in model.encoding.names},
        "split": {name: list(span) for name, span in model.encoding.split.spans().items()},
        "rounds": model.rounds,
        "threshold": model.threshold,
        "params": trained.config,
        "environment": trained.environment,
        "data": trace(context.store, trained),
        "evaluation": {
            split: {p: {k: told[k] for k in kept} for p, told in populations.items()}
            for split, populations in evaluation.report.items()
        },
    }


def _told(
    registry: Registry, entry: Entry | None, decision: str, reasons: list[str], verdict: Verdict | None
) -> dict[str, Any]:
    return {
        "name": registry.name,
        "uri": registry.uri,
        "number": entry.number if entry else None,
        "aliases": list(entry.aliases) if entry else [],
        "decision": decision,
        "champion": bool(entry and CHAMPION in entry.aliases),
        "reasons": reasons,
        "checks": verdict.to_json()["checks"] if verdict else [],
    }
