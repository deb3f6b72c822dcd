"""Select the models that answer scoring requests: at most one per taxi type.

The columns of raw trips show the taxi type, and so select one of the models.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from toytip.config import Settings
from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.segments import ALL_ROWS
from toytip.core.model import TrainedModel
from toytip.datasets.registry import detect_kind, kinds_in_columns
from toytip.datasets.words import KINDS, describe_kind, describe_kinds
from toytip.errors import SchemaError, ToytipError
from toytip.models import resolve, scoring
from toytip.models.registry import CHALLENGER, CHAMPION
from toytip.models.resolve import RegisteredMatch
from toytip.store.artifacts import read_model
from toytip.store.manifest import Manifest
from toytip.store.store import Store, store_from_settings


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """The options that select the models to score with."""

    name: str | None = None
    """Version, tag, alias or model number. Without a name, the champion answers, or the current
    model of a taxi type that has no champion."""
    taxi: str | None = None
    """Taxi type of the model. None selects a model for each taxi type."""
    segment: str | None = None
    """Segment of the model. None prefers the champion of all trips to the champion of a segment,
    because only a model of all trips can score every trip."""


@dataclass(frozen=True)
class Candidate:
    """A model that can be loaded: its version, and the function that loads the model."""

    version: str
    load: Callable[[], TrainedModel]


def load_models(
    settings: Settings, choice: ModelChoice, loaded: Mapping[str, TrainedModel] | None = None
) -> dict[str, TrainedModel]:
    """Return the models to score with, by taxi type.

    A model in `loaded` that is still the model to score with is not loaded again. Raises StoreError
    or RegistryError if there is no model, if several models of a taxi type have the name, or if a
    model cannot be loaded here.
    """
    models = {}
    for taxi, candidate in _find_candidates(settings, choice).items():
        model = (loaded or {}).get(taxi)
        models[taxi] = model if model and model.version == candidate.version else _load_usable(candidate)
    return models


def find_own_dataset(settings: Settings, choice: ModelChoice) -> Dataset | None:
    """Return the data set of the only model to score with, if a project has declared it.

    Without a built-in data set, the columns of trips do not show which data set they belong to.
    """
    with contextlib.suppress(ToytipError):  # the selection of the model raises it
        candidates = _find_candidates(settings, choice)
        if len(candidates) == 1 and not set(candidates) & set(KINDS):
            return next(iter(candidates.values())).load().encoding.dataset
    return None


def _time_column(model: TrainedModel) -> str:
    dataset = model.encoding.dataset
    return dataset.layout.source_column(dataset.time_column, model.taxi)


def registered_number(settings: Settings, model: TrainedModel) -> int | None:
    """Return the number of a model in the registry, or None for a model that is not registered."""
    try:
        matches = resolve.find_registered_models(settings, model.version, model.taxi, model.encoding.segment)
    except ToytipError:  # a model of the store does not need the registry
        return None
    return matches[0].model.number if matches else None


def _load_usable(candidate: Candidate) -> TrainedModel:
    """Load a model, so that an error occurs now and not when the first trip comes."""
    model = candidate.load()
    scoring.require_usable(model)
    return model


def _find_candidates(settings: Settings, choice: ModelChoice) -> dict[str, Candidate]:
    """Return the models to score with, by taxi type, without loading their files."""
    store = store_from_settings(settings)
    if choice.name is not None and (version := resolve.model_version_in_store(store, choice.name)):
        stored = resolve.find_stored_model(store, version, choice.taxi, segment=choice.segment)
        return {resolve.taxi_of(store, stored): _stored_candidate(store, stored)}
    candidates = {
        match.taxi: Candidate(match.model.run_version, partial(resolve.load_registered_model, match))
        for match in _find_registered(settings, choice)
    }
    others = () if choice.name else tuple(resolve.stored_taxis(store))
    for taxi in (choice.taxi,) if choice.taxi else dict.fromkeys((*KINDS, *others)):
        if choice.name is None and taxi not in candidates:
            current = resolve.current_stored_model(store, taxi, choice.segment)
            candidates |= {taxi: _stored_candidate(store, current)} if current else {}
    if not candidates and choice.name is not None:
        raise resolve.not_registered(settings, choice.name, choice.taxi, choice.segment)
    if not candidates:  # so that this call raises the error
        resolve.find_stored_model(store, None, choice.taxi, segment=choice.segment)
    return candidates


def _stored_candidate(store: Store, manifest: Manifest) -> Candidate:
    return Candidate(manifest.version, partial(read_model, store, manifest))


def _find_registered(settings: Settings, choice: ModelChoice) -> list[RegisteredMatch]:
    """Return the registered models to score with, at most one per taxi type."""
    name = choice.name or CHAMPION
    matches = resolve.find_registered_models(settings, name, choice.taxi, choice.segment)
    if name not in (CHAMPION, CHALLENGER):
        return [resolve.require_single_match(name, matches)] if matches else []
    by_preference = sorted(matches, key=lambda match: match.segment == ALL_ROWS)
    return list({match.taxi: match for match in by_preference}.values())


def select_model(models: Mapping[str, TrainedModel], columns: Sequence[str]) -> TrainedModel:
    """Return the model for trips with these columns. The columns show the taxi type.

    Raises SchemaError if there are several models and the columns do not show the taxi type, or if
    there is no model for the taxi type.
    """
    taxi = detect_kind(columns, [model.encoding.dataset for model in models.values()])
    if len(models) > 1 and len(kinds := kinds_in_columns(columns)) > 1:
        raise SchemaError(
            f"cannot select a model: the trips have the columns of {describe_kinds(kinds)}",
            hint=f"Separate the trips of {describe_kinds(kinds)}.",
        )
    if taxi is None and len(models) > 1:
        names = " or ".join(map(_time_column, models.values()))
        raise SchemaError(
            f"cannot select a model: {describe_kinds(models)} have one, and the trips have no column {names}",
            hint=f"Name the column with the times {names}, or set --taxi.",
        )
    if taxi is not None and taxi not in models:
        raise SchemaError(
            f"cannot score trips of {describe_kind(taxi)}: the model was trained on {describe_kinds(models)}",
            hint=f"Choose a model for {describe_kind(taxi)}.",
        )
    return models[taxi] if taxi else next(iter(models.values()))
