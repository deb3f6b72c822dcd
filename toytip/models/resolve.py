"""Find models by name: a version in the store, or an alias or model version in the registry."""

from __future__ import annotations

from collections.abc import Callable

from toytip.config import Settings
from toytip.core.model import TrainedModel
from toytip.core.tables import FEATURES_TABLE, MODELS, PREDICTIONS
from toytip.core.tlc import TAXIS
from toytip.errors import RegistryError, StoreError
from toytip.models.card import CardOfModel, read_card
from toytip.models.package import load_package
from toytip.models.registered_model import RegisteredModel, find_by_name
from toytip.models.registry import CHALLENGER, CHAMPION, LIST_HINT, Registry, open_registry
from toytip.store.artifacts import read_model
from toytip.store.manifest import Manifest
from toytip.store.refs import find_current, find_version, manifests_as_of, parse_as_of, resolve_version
from toytip.store.store import Store, store_from_settings

MISSING_ALIAS_HINTS = {
    CHAMPION: "Specify a model version from `toytip model list`, or promote one with `toytip model promote`.",
    CHALLENGER: "Specify a model version from `toytip model list`. The alias challenger exists only if the "
    "latest registered model was not promoted.",
}


def load_model(
    settings: Settings, name: str | None = None, taxi: str | None = None, as_of: str | None = None
) -> TrainedModel:
    """Return the model with a name: a version, a tag, an alias or a model version.

    Without a name, return the newest model in the store. The version of a run that reused a model
    also names the reused model. If the store does not have the name, toytip searches the registry.
    Raises StoreError or RegistryError if no model of the taxi type has the name.
    """
    store = store_from_settings(settings)
    version = None if name is None else _model_version_in_store(store, name)
    if name is not None and version is None:
        registry, model = find_registered_model(settings, name, taxi)
        with registry.open_files(model) as folder:
            return load_package(folder)
    return read_model(store, _find_stored_model(store, version, taxi, as_of))


def _find_stored_model(
    store: Store, version: str | None, taxi: str | None, as_of: str | None = None
) -> Manifest:
    """Return the manifest of a version, or of the newest model of a taxi type.

    Raises StoreError if the store has no such model, or if the version has another taxi type.
    """
    newest = resolve_version(store, MODELS.name, version, as_of)
    if taxi is None or _taxi_of(store, newest) == taxi:
        return newest
    if version is not None:
        raise StoreError(
            f"cannot use model {version} for {taxi} taxis: it was trained on {_taxi_of(store, newest)} taxis",
            hint=f"Choose a model for {taxi} taxis with --model.",
        )
    limit = parse_as_of(as_of) if as_of else None
    published = manifests_as_of(store, MODELS.name, limit)
    models = [manifest for manifest in published if _taxi_of(store, manifest) == taxi]
    current = find_current(store, models, limit)
    if current is None:
        raise StoreError(
            f"cannot find a model for {taxi} taxis: {store.display_uri} has none",
            hint=f"Train a model with `toytip run` on a source with {taxi} trips.",
        )
    return current


def _taxi_of(store: Store, model: Manifest) -> str:
    """Return the taxi type of the trips that a model was trained on."""
    features = store.get_manifest(FEATURES_TABLE.name, model.parent_version(FEATURES_TABLE.name))
    return str(features.config["taxi"]) if features else read_model(store, model).taxi


def _model_version_in_store(store: Store, name: str) -> str | None:
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


def find_registered_model(
    settings: Settings, name: str, taxi: str | None = None
) -> tuple[Registry, RegisteredModel]:
    """Return a registered model by name, and its registry.

    Without `taxi`, search the registries of both taxi types. Raises RegistryError if no model has
    the name, or if both registries have a model with this name.
    """
    matches = []
    for taxi_type in (taxi,) if taxi else TAXIS:
        registry = open_registry(settings, taxi_type)
        if model := find_by_name(registry.list_models(), name):
            matches.append((registry, model))
    if not matches:
        raise _not_registered(settings, name, taxi)
    if len(matches) > 1:
        raise RegistryError(
            f"cannot select model {name}: {' and '.join(TAXIS)} taxis have a model with this name",
            hint="Set --taxi.",
        )
    return matches[0]


def _not_registered(settings: Settings, name: str, taxi: str | None) -> RegistryError:
    """Return the error for a name that no registered model has."""
    failure = f"cannot find model {name}" + (f" for {taxi} taxis" if taxi else "")
    if name in (CHAMPION, CHALLENGER):
        return RegistryError(f"{failure}: there is no {name}", hint=MISSING_ALIAS_HINTS[name])
    store = store_from_settings(settings).display_uri
    return RegistryError(f"{failure}: the registry of {store} has no model with this name", hint=LIST_HINT)


def read_model_card(settings: Settings, name: str, taxi: str | None = None) -> CardOfModel:
    """Return a registered model by name, and its card.

    Raises RegistryError if no model has the name.
    """
    registry, model = find_registered_model(settings, name, taxi)
    with registry.open_files(model) as folder:
        return CardOfModel(model=model, card=read_card(folder))


def serving_loader(
    settings: Settings, name: str | None, taxi: str | None
) -> Callable[[str | None], TrainedModel | None]:
    """Return a function that loads the model to serve.

    The model to serve is the model with the given name. Without a name, the model to serve is the
    champion, or the newest model in the store if there is no champion.

    The returned function takes the run version of the loaded model, and returns None if this model
    is still the model to serve.
    """

    def load(loaded_version: str | None) -> TrainedModel | None:
        served = name or (CHAMPION if _has_champion(settings, taxi) else None)
        version = _resolve_model_version(settings, served, taxi)
        return None if version == loaded_version else load_model(settings, served, taxi)

    return load


def _has_champion(settings: Settings, taxi: str | None) -> bool:
    taxis = (taxi,) if taxi else TAXIS
    return any(open_registry(settings, taxi_type).champion() is not None for taxi_type in taxis)


def _resolve_model_version(settings: Settings, name: str | None, taxi: str | None) -> str:
    store = store_from_settings(settings)
    version = None if name is None else _model_version_in_store(store, name)
    if name is None or version is not None:
        return _find_stored_model(store, version, taxi).version
    return find_registered_model(settings, name, taxi)[1].run_version


def champion_versions(settings: Settings) -> frozenset[str]:
    """Return the run versions of the champions of an environment."""
    champions = (open_registry(settings, taxi).champion() for taxi in TAXIS)
    return frozenset(champion.run_version for champion in champions if champion)


def model_of(settings: Settings, manifest: Manifest) -> TrainedModel:
    """Return the model that a published version was computed with."""
    return load_model(settings, manifest.parent_version(MODELS.name))
