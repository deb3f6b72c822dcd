"""Find models by name: a version in the store, or an alias or model number in the registry."""

from __future__ import annotations

from typing import NamedTuple

from toytip.config import Settings
from toytip.core.model import TrainedModel
from toytip.core.tables import ENCODINGS, FEATURES, MODELS, PREDICTIONS
from toytip.datasets.words import describe_kind
from toytip.errors import RegistryError, StoreError
from toytip.models.card import CardOfModel, read_card
from toytip.models.package import load_package
from toytip.models.reference import read_reference
from toytip.models.registered_kinds import find_kinds
from toytip.models.registered_model import RegisteredModel, find_by_name
from toytip.models.registry import CHALLENGER, CHAMPION, LIST_HINT, Registry, open_registry
from toytip.monitoring.history import MonitoringHistory
from toytip.store.artifacts import read_model
from toytip.store.manifest import Manifest
from toytip.store.refs import (
    NO_RUN_PASSED_HINT,
    find_current,
    find_version,
    manifests_as_of,
    parse_as_of,
    resolve_version,
)
from toytip.store.store import Store, store_from_settings

MISSING_ALIAS_HINTS = {
    CHAMPION: "Specify a model number from `toytip model list`, or promote one with `toytip model promote`.",
    CHALLENGER: "Specify a model number from `toytip model list`. The alias challenger exists only if the "
    "latest registered model was not promoted.",
}


class RegisteredMatch(NamedTuple):
    """A registered model that has a name, with its taxi type, its segment and its registry."""

    taxi: str
    segment: str
    registry: Registry
    model: RegisteredModel


def load_model(
    settings: Settings,
    name: str | None = None,
    taxi: str | None = None,
    as_of: str | None = None,
    *,
    segment: str | None = None,
    any_status: bool = False,
) -> TrainedModel:
    """Return the model with a name: a version, a tag, an alias or a model number.

    Without a name, return the current model in the store, or with `any_status` the newest model,
    even of a refused run. The version of a run that reused a model also names the reused model. If
    the store does not have the name, toytip searches the registry. Raises StoreError or
    RegistryError if no model of the taxi type and segment has the name, or if several registered
    models have the name.
    """
    store = store_from_settings(settings)
    version = None if name is None else model_version_in_store(store, name)
    if name is not None and version is None:
        match = find_registered_model(settings, name, taxi, segment)
        return load_registered_model(match)
    manifest = find_stored_model(store, version, taxi, as_of, segment=segment, any_status=any_status)
    return read_model(store, manifest)


def load_champion_or_model(
    settings: Settings, name: str | None = None, taxi: str | None = None, segment: str | None = None
) -> TrainedModel:
    """Return the model with a name: without a name, the champion, else the current model.

    Raises RegistryError if there are several champions.
    """
    if name is None and find_registered_models(settings, CHAMPION, taxi, segment):
        name = CHAMPION
    return load_model(settings, name, taxi, segment=segment)


def load_registered_model(match: RegisteredMatch) -> TrainedModel:
    """Return a registered model. Raises RegistryError if a file does not have its checksum."""
    with match.registry.open_files(match.model) as folder:
        return load_package(folder)


def find_stored_model(
    store: Store,
    version: str | None = None,
    taxi: str | None = None,
    as_of: str | None = None,
    *,
    segment: str | None = None,
    any_status: bool = False,
) -> Manifest:
    """Return the manifest of a version, or of the current model of a taxi type and segment.

    With `any_status`, the default is the newest model, whatever the status of its run. Raises
    StoreError if the store has no such model, or if the version has another taxi type or segment.
    """
    if version is not None:
        model = resolve_version(store, MODELS.name, version)
        _require_kind(store, model, taxi, segment)
        return model
    limit, models = parse_as_of(as_of) if as_of else None, _stored_models(store, taxi, as_of, segment)
    current = find_current(store, models, limit, any_status=any_status)
    if current is not None:
        return current
    if taxi is None and segment is None:
        return resolve_version(store, MODELS.name, None, as_of)  # raises the error
    failure = f"cannot find a model {_describe_kind(taxi, segment)}: {store.display_uri} has "
    if models:
        raise StoreError(f"{failure}such models, but no run passed", hint=NO_RUN_PASSED_HINT)
    option = "" if segment is None else f" --segment {segment}"
    raise StoreError(f"{failure}none", hint=f"Train such a model with `toytip run{option}`.")


def current_stored_model(store: Store, taxi: str, segment: str | None = None) -> Manifest | None:
    """Return the manifest of the current model of a taxi type and segment, or None without one.

    The current model is the newest model of a run that passed, or of a later release or rollback.
    """
    return find_current(store, _stored_models(store, taxi, None, segment))


def _stored_models(store: Store, taxi: str | None, as_of: str | None, segment: str | None) -> list[Manifest]:
    """Return the manifests of the models of a taxi type and segment, whatever their status."""
    return [
        manifest
        for manifest in manifests_as_of(store, MODELS.name, parse_as_of(as_of) if as_of else None)
        if (taxi is None or taxi_of(store, manifest) == taxi)
        and (segment is None or _segment_of(store, manifest) == segment)
    ]


def _require_kind(store: Store, model: Manifest, taxi: str | None, segment: str | None) -> None:
    """Raise StoreError if a model has another taxi type or segment. None accepts every model."""
    if taxi is not None and (trained := taxi_of(store, model)) != taxi:
        raise StoreError(
            f"cannot use model {model.version} for {describe_kind(taxi)}: it was trained on {describe_kind(trained)}",
            hint=f"Choose a model for {describe_kind(taxi)}.",
        )
    if segment is not None and (trained := _segment_of(store, model)) != segment:
        raise StoreError(
            f"cannot use model {model.version} for segment {segment}: it was trained on segment {trained}",
            hint=f"Choose a model of segment {segment}.",
        )


def _describe_kind(taxi: str | None, segment: str | None) -> str:
    """Return the taxi type and the segment as text, such as `for green taxis`."""
    parts = (f"for {describe_kind(taxi)}" if taxi else "", f"of segment {segment}" if segment else "")
    return " ".join(filter(None, parts))


def stored_taxis(store: Store) -> list[str]:
    """Return the taxi types of the models in a store, whatever their status."""
    models = _stored_models(store, None, None, None)
    return list(dict.fromkeys(taxi_of(store, manifest) for manifest in models))


def taxi_of(store: Store, model: Manifest) -> str:
    """Return the taxi type of the trips that a model was trained on."""
    features = store.get_manifest(FEATURES.name, model.parent_version(FEATURES.name))
    return str(features.config["taxi"]) if features else read_model(store, model).taxi


def _segment_of(store: Store, model: Manifest) -> str:
    """Return the segment of the trips that a model was trained on."""
    encodings = store.get_manifest(ENCODINGS.name, model.parent_version(ENCODINGS.name))
    return str(encodings.config["segment"]) if encodings else read_model(store, model).encoding.segment


def model_version_in_store(store: Store, name: str) -> str | None:
    """Return the version of a model in the store, given a version or tag.

    The version of a run that reused a model names the reused model. Returns None if the store does
    not have this model.
    """
    if name in (CHAMPION, CHALLENGER) or name.isdigit():
        return None
    if model := find_version(store, MODELS.name, name):
        return model.version
    predictions = find_version(store, PREDICTIONS.name, name)
    version = predictions.parent_version(MODELS.name) if predictions else ""
    return version if version and store.get_manifest(MODELS.name, version) else None


def find_registered_models(
    settings: Settings, name: str, taxi: str | None = None, segment: str | None = None
) -> list[RegisteredMatch]:
    """Return the registered models with a name, at most one per taxi type and segment."""
    matches = []
    for kind in find_kinds(settings, taxi, segment):
        registry = open_registry(settings, *kind)
        if model := find_by_name(registry.list_models(), name):
            matches.append(RegisteredMatch(*kind, registry, model))
    return matches


def find_registered_model(
    settings: Settings, name: str, taxi: str | None = None, segment: str | None = None
) -> RegisteredMatch:
    """Return the registered model with a name.

    Without `taxi` or `segment`, search the registries of all taxi types or segments. Raises
    RegistryError if no model has the name, or if several models have the name.
    """
    matches = find_registered_models(settings, name, taxi, segment)
    if not matches:
        raise not_registered(settings, name, taxi, segment)
    return require_single_match(name, matches)


def require_single_match(name: str, matches: list[RegisteredMatch]) -> RegisteredMatch:
    """Return the only match. Raises RegistryError if several models have the name."""
    if len(matches) == 1:
        return matches[0]
    kinds = (("--taxi", {match.taxi for match in matches}), ("--segment", {m.segment for m in matches}))
    options = [option for option, values in kinds if len(values) > 1]
    models = " and ".join(f"{describe_kind(match.taxi)} (segment {match.segment})" for match in matches)
    raise RegistryError(
        f"cannot select model {name}: registered models with this name exist for {models}",
        hint=f"Set {' and '.join(options)}.",
    )


def not_registered(settings: Settings, name: str, taxi: str | None, segment: str | None) -> RegistryError:
    """Return the error for a name that no registered model has."""
    kind = _describe_kind(taxi, segment)
    failure = f"cannot find model {name}" + (f" {kind}" if kind else "")
    if name in (CHAMPION, CHALLENGER):
        return RegistryError(f"{failure}: there is no {name}", hint=MISSING_ALIAS_HINTS[name])
    store = store_from_settings(settings).display_uri
    return RegistryError(f"{failure}: the registry of {store} has no model with this name", hint=LIST_HINT)


def read_model_card(
    settings: Settings, name: str, taxi: str | None = None, segment: str | None = None
) -> CardOfModel:
    """Return a registered model by name, and its card.

    Raises RegistryError if no model or several models have the name.
    """
    match = find_registered_model(settings, name, taxi, segment)
    with match.registry.open_files(match.model) as folder:
        return CardOfModel(model=match.model, card=read_card(folder))


def load_reference(settings: Settings, model: TrainedModel) -> MonitoringHistory | None:
    """Return the reference that a registered model carries, or None for another model."""
    matches = find_registered_models(settings, model.version, model.taxi, model.encoding.segment)
    if not matches:
        return None
    with matches[0].registry.open_files(matches[0].model) as folder:
        return read_reference(folder)


def champion_versions(settings: Settings) -> frozenset[str]:
    """Return the run versions of the champions of an environment."""
    return frozenset(match.model.run_version for match in find_registered_models(settings, CHAMPION))


def model_of(settings: Settings, manifest: Manifest) -> TrainedModel:
    """Return the model that a published version was computed with."""
    return load_model(settings, manifest.parent_version(MODELS.name))
