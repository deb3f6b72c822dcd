"""gather: what the store has of a version, as the facts that a report tells.

No trip is read again but a bounded sample for the explanation: all else is in manifests, profiles, tallies and the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from toytip import zones
from toytip.config import Settings, first_line
from toytip.errors import ConfigError, StoreError, ToytipError
from toytip.history import TALLIES, tallied
from toytip.lineage import household, outcome, trace
from toytip.pipeline import leaning as leanings
from toytip.pipeline import learn, models, monitor
from toytip.pipeline.stages import baseline_of
from toytip.pipeline.watch import Monitored, kept_plan, plan, watch
from toytip.pipeline.watch import leaning as leaning_of
from toytip.pipeline.watch import to_json as told_of
from toytip.report import facts as numbers
from toytip.report.facts import Facts, MonthRows, Zone
from toytip.report.places import zones_of
from toytip.schema import MONITORS, PROFILES, REJECTS
from toytip.stages import drift, profile
from toytip.stages.drift import Histogram
from toytip.stages.evaluate import report
from toytip.stages.monitor import Bounds
from toytip.store import REPORTS, Manifest, Store
from toytip.tally import POPULATIONS, Summary, Tally, select, slices
from toytip.values import Model, Month

READERS = 8
T = TypeVar("T")
Histograms = dict[Month, dict[str, Histogram]]


class AbsentError(StoreError):
    """What a version never had: no fault of it."""


@dataclass(frozen=True)
class Gathered:
    """What there is of a version, and why the rest is not there, by the section of the page that would tell it.

    `failed` are the sections that should be there: what they take is damaged, say.
    """

    store: Store
    settings: Settings
    tables: dict[str, Manifest]
    missing: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def ask(self, section: str, wanted: Callable[[], T], otherwise: T) -> T:
        """Return what is wanted, or something else where it cannot be told: no part takes the page with it."""
        try:
            return wanted()
        except AbsentError as error:
            self.missing.setdefault(section, first_line(error))
        except ToytipError as error:
            self._fail(section, first_line(error))
        except Exception as error:  # noqa: BLE001 - a report is worth less than the tables that it tells of
            self._fail(section, f"it failed: {type(error).__name__}: {first_line(error)}")
        return otherwise

    def _fail(self, section: str, why: str) -> None:
        if section not in self.failed:
            self.failed.append(section)
            self.missing[section] = why

    def table(self, name: str, instead: str) -> Manifest:
        """Return a table of the version. Raises AbsentError where there is none."""
        if name not in self.tables:
            raise AbsentError(f"this version has no {name}; {instead}")
        return self.tables[name]


def gather(store: Store, version: str, settings: Settings, *, run: Mapping[str, Any] | None = None) -> Facts:
    """Return all that a report tells of a version; `run` is what the run itself knows, where it is still there.

    Raises StoreError where there is no such version, SourceError for a map that is none.
    """
    outlines = outlines_of(settings)
    tables, gone = household(store, version)
    whole = outcome(store, version)
    there = Gathered(store, settings, tables)
    model = there.ask("model", lambda: _model(there), None)
    summary = there.ask("evaluation", lambda: _summary(there), None)
    profiles: dict[Month, Any] = there.ask("features", lambda: _profiles(there), {})
    found = there.ask("drift", lambda: _monitored(there, model, summary, profiles), None)
    known = run or there.ask("time", lambda: _run(store, whole.version), None)
    unexplained: tuple[list[numbers.Leaning], int] = ([], 0)
    leaning = there.ask("leaning", lambda: _leaning(there, model), unexplained)
    histograms: Histograms = there.ask("features", lambda: _histograms(profiles, model), {})
    if gone:
        there.missing["lineage"] = f"{', '.join(gone)} is gone"
    return Facts(
        version=whole.version,
        created=whole.created,
        store=store.shown,
        env=store.env,
        tables={n: {"version": m.version, "rows": m.rows} for n, m in tables.items()},
        config={n: m.config for n, m in tables.items()},
        digests={n: m.config_digest for n, m in tables.items()},
        environment=whole.environment,
        sources=_sources(tables),
        rows=there.ask("rows", lambda: _rows(there), {}),
        spreads=there.ask("features", lambda: _spreads(histograms, model), []),
        histograms=there.ask("features", lambda: _whole(profiles), {}),
        curve=there.ask("training", lambda: _curve(there), {}),
        evaluation=there.ask("evaluation", lambda: _evaluation(summary, model, known), {}),
        **_counts(summary),
        leaning=leaning[0],
        explained=leaning[1],
        leaks=learn.leaks(tables["encodings"]) if "encodings" in tables else {},
        monitor=told_of(found) if found else None,
        psi=found.psi if found else {},
        beyond=[asdict(each) for each in found.readings if each.beyond] if found else [],
        zones=there.ask("zones", lambda: _zones(there, profiles, model), []),
        outlines=outlines,
        run=known,
        lineage=there.ask("lineage", lambda: trace(store, whole), None),
        missing=there.missing,
        failed=there.failed,
        **_about(model, tables),
    )  # fmt: skip


def outlines_of(settings: Settings) -> dict[int, list[zones.Ring]]:
    """Return the outlines of the zones, where the settings name a map. Raises SourceError for one that is none."""
    return zones.outlines(Path(settings.zone_map)) if settings.zone_map else {}


def _about(model: Model | None, tables: dict[str, Manifest]) -> dict[str, Any]:
    parts = next((tables[name].parts for name in ("features", "trips", "predictions") if name in tables), ())
    months = [str(month) for month in dict.fromkeys(part.month for part in parts if part.month)]
    taxi = next((str(m.config["taxi"]) for m in tables.values() if "taxi" in m.config), "")
    if model is None:
        return {"months": months, "taxi": taxi}
    encoding = model.encoding
    return {
        "months": months,
        "taxi": taxi or model.taxi,
        "features": encoding.names,
        "population": encoding.population,
        "split": {name: tuple(span) for name, span in encoding.split.spans().items()},
        "threshold": model.threshold,
        "rounds": model.rounds,
    }


def _sources(tables: dict[str, Manifest]) -> list[dict[str, Any]]:
    """Return the files that the first table was made from."""
    found = {
        parent["uri"]: parent
        for name in ("trips", "features", "rejects")
        if name in tables
        for parent in tables[name].parents
        if "uri" in parent
    }
    return list(found.values())


def _model(there: Gathered) -> Model:
    return models.load(there.store, there.table("models", "`toytip train` makes one"))


def _summary(there: Gathered) -> Summary:
    tallies = there.table(TALLIES, "`toytip run`, or `toytip postprocess`, leaves what metrics are told from")
    return tallied(there.store, tallies)


def _profiles(there: Gathered) -> dict[Month, Any]:
    told = there.table(
        PROFILES.name, "features made before there was monitoring have none: `toytip run --fresh`"
    )
    months: dict[Month, list[Any]] = {}
    with ThreadPoolExecutor(READERS) as pool:
        frames = pool.map(lambda part: there.store.read(PROFILES, told.version, part), told.parts)
        for part, frame in zip(told.parts, frames, strict=True):
            months.setdefault(part.key.month, []).append(frame)
    return {month: profile.merge(each) for month, each in months.items()}


def _histograms(profiles: Mapping[Month, Any], model: Model | None) -> Histograms:
    population = model.encoding.population if model else "all"
    return {month: drift.histograms(told, population) for month, told in profiles.items()}


def _whole(profiles: Mapping[Month, Any]) -> dict[str, Histogram]:
    return drift.histograms(profile.merge(profiles.values())) if profiles else {}


def _rows(there: Gathered) -> dict[str, MonthRows]:
    kept = there.tables.get("features") or there.table("trips", "`toytip clean` or `toytip run` counts trips")
    rejects = there.tables.get(REJECTS.name)
    found: dict[str, MonthRows] = {}
    for manifest in (kept, rejects):
        for part in manifest.parts if manifest else ():
            read, there_, reasons = found.get(str(part.month), MonthRows(0, 0, {}))
            more = {reason: reasons.get(reason, 0) + count for reason, count in part.rejects.items()}
            found[str(part.month)] = MonthRows(
                read + part.rows, there_ + (part.rows if manifest is kept else 0), {**reasons, **more}
            )
    if rejects is None:
        there.missing["rejects"] = "this version has no rejects: how many trips were rejected is not known"
    return dict(sorted(found.items()))


def _spreads(histograms: Histograms, model: Model | None) -> list[numbers.Spread]:
    if not histograms:
        return []
    first = next(iter(histograms.values()))
    natural = leaning_of(model) if model else {}
    names = [name for name in natural if name in first] or sorted(first)
    nothing = drift.NOTHING
    return [numbers.spread(name, [told.get(name, nothing) for told in histograms.values()]) for name in names]


def _curve(there: Gathered) -> dict[str, list[float]]:
    told = there.table("models", "`toytip train` makes one").metrics.get("log_loss_by_round")
    if not told:
        raise AbsentError("this model was trained before toytip kept the loss of every round")
    return dict(told)


def _evaluation(
    summary: Summary | None, model: Model | None, run: Mapping[str, Any] | None
) -> dict[str, Any]:
    if summary is None or model is None:
        return {}
    found = report(summary, baseline_of(summary, model))
    # What the champion said of the same trips is not kept beside the predictions, but the run has told it.
    for split, populations in ((run or {}).get("evaluation") or {}).items():
        for population, told in populations.items():
            if "champion" in told["lift"] and population in found.get(split, {}):
                found[split][population]["lift"]["champion"] = told["lift"]["champion"]
    return found


def _counts(summary: Summary | None) -> dict[str, Any]:
    """Return the tallies behind the curves, of the last split that has trips."""
    if summary is None:
        return {}
    split = next((name for name in ("test", "valid", "train") if select(summary, name, "all").rows), "test")
    tallies = {population: select(summary, split, population) for population in POPULATIONS}
    return {
        "tallies": {population: tally for population, tally in tallies.items() if tally.rows},
        "days": {population: _days(summary, split, population) for population in POPULATIONS},
        "rated": select(summary, split, "all", "hour_zone"),
    }


def _days(summary: Summary, split: str, population: str) -> dict[str, Tally]:
    told = slices(summary, split, population)
    return {day: tally for (name, day), tally in sorted(told.items()) if name == "day"}


def _monitored(
    there: Gathered, model: Model | None, summary: Summary | None, profiles: Mapping[Month, Any]
) -> Monitored | None:
    if model is None or summary is None or not profiles:
        raise AbsentError("to watch a model takes its tallies and profiles")
    kept = there.tables.get(MONITORS.name)
    # What was monitored is told as it was: with the months, the reference, the labels and the bounds of then.
    months = [part.key.month for part in kept.parts] if kept else []
    try:
        asked = kept_plan(model, kept.config, months) if kept else plan(model, tuple(profiles))
    except ConfigError as error:
        raise AbsentError(str(error)) from None
    bounds = Bounds(**kept.config["bounds"]) if kept else monitor.bounds_of(there.settings)
    if asked is None:
        raise AbsentError("there is no month after those that were learned from")
    source = monitor.Source(
        there.tables[TALLIES],
        there.tables[PROFILES.name],
        there.tables["features"],
        there.tables.get(REJECTS.name),
    )
    return watch(model, asked, bounds, summary, profiles, monitor.reject_rates(source))


def _leaning(there: Gathered, model: Model | None) -> tuple[list[numbers.Leaning], int]:
    if model is None:
        raise AbsentError("this version has no model")
    if "features" not in there.tables:
        return leanings.leaning(model, leanings.nothing(model)), 0
    trips = leanings.sample(there.store, there.tables["features"], model)
    return leanings.leaning(model, trips), len(trips)


def _zones(there: Gathered, profiles: Mapping[Month, Any], model: Model | None) -> list[Zone]:
    if not profiles:
        raise AbsentError("without profiles there is no count of trips by zone")
    uri = next((source["uri"] for source in _sources(there.tables)), None)
    path = Path(there.settings.zones) if there.settings.zones else zones.find(uri, there.settings.data)
    names, boroughs = (zones.names(path), zones.boroughs(path)) if path else ((), ())
    return zones_of(
        profile.merge(profiles.values()), names, boroughs, model.encoding.history if model else ""
    )


def _run(store: Store, version: str) -> dict[str, Any]:
    name = f"{store.env}/{REPORTS}/{version}.run.json"
    if not store.place.exists(name):
        raise AbsentError(
            "seconds and memory are kept by `toytip run` alone, and by this toytip or a later one"
        )
    return dict(json.loads(store.place.read(name)))
