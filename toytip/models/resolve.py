"""Models by name: a version in the store, or what the registry calls champion, challenger, or by a number."""

from __future__ import annotations

from collections.abc import Callable

from toytip.config import Settings
from toytip.core.model import TrainedModel
from toytip.core.tables import MODELS
from toytip.core.tlc import TAXIS
from toytip.errors import RegistryError
from toytip.models import package
from toytip.models.registry import CHALLENGER, CHAMPION, RegisteredModel, Registry, open_registry
from toytip.store.artifacts import read_model
from toytip.store.manifest import Manifest
from toytip.store.refs import read_tags, resolve_version
from toytip.store.store import Store, store_from_settings


def load_model(
    settings: Settings, name: str | None = None, taxi: str | None = None, as_of: str | None = None
) -> TrainedModel:
    """Return the model of a name; without one, the newest in the store.

    A run that took a model over has it too. A version that the store has no longer is taken from the registry.
    Raises StoreError or RegistryError.
    """
    store = store_from_settings(settings)
    version = None if name is None else _model_version_in_store(store, name)
    if name is not None and version is None:
        registry, entry = find_registered_model(settings, name, taxi)
        with registry.open_files(entry) as folder:
            return package.load_package(folder)
    return read_model(store, resolve_version(store, "models", version, as_of))


def _model_version_in_store(store: Store, name: str) -> str | None:
    """Return the version of the model that a version or tag names, by itself or by its predictions; None where the store has none."""
    if name in (CHAMPION, CHALLENGER) or name.isdigit():
        return None
    version = read_tags(store).get(name, name)
    if store.get_manifest("models", version) is None:
        predictions = store.get_manifest("predictions", version)
        version = predictions.parent_version(MODELS.name) if predictions else version
    return version if store.get_manifest("models", version) else None


def find_registered_model(
    settings: Settings, name: str, taxi: str | None = None
) -> tuple[Registry, RegisteredModel]:
    """Return a registered model, and where it is registered: among the models of a taxi, or of the one that has it.

    Raises RegistryError where there is none, or where two taxis have one of that name.
    """
    found = []
    for each in (taxi,) if taxi else TAXIS:
        registry = open_registry(settings, each)
        found += [
            (registry, entry)
            for entry in reversed(registry.list_models())
            if name in (*entry.aliases, str(entry.number), entry.version)
        ][:1]
    if not found:
        where = open_registry(settings, taxi or "*").display_name
        raise RegistryError(f"no model {name} is registered as {where}; see `toytip models list`")
    if len(found) > 1:
        raise RegistryError(f"{name}: both {' and '.join(TAXIS)} have one; say which with --taxi")
    return found[0]


def serving_loader(
    settings: Settings, name: str | None, taxi: str | None
) -> Callable[[str | None], TrainedModel | None]:
    """Return what finds the model that should answer now: the one named, else the champion, else the newest in the store.

    It is asked with the version at hand, and gives None where that is still the one.
    """

    def load(at_hand: str | None) -> TrainedModel | None:
        wanted = name or (CHAMPION if _has_champion(settings, taxi) else None)
        version = _resolve_model_version(settings, wanted, taxi)
        return None if version == at_hand else load_model(settings, wanted, taxi)

    return load


def _has_champion(settings: Settings, taxi: str | None) -> bool:
    taxis = (taxi,) if taxi else TAXIS
    return any(open_registry(settings, each).champion() is not None for each in taxis)


def _resolve_model_version(settings: Settings, name: str | None, taxi: str | None) -> str:
    store = store_from_settings(settings)
    found = None if name is None else _model_version_in_store(store, name)
    if name is None or found is not None:
        return resolve_version(store, "models", found).version
    return find_registered_model(settings, name, taxi)[1].version


def model_of(settings: Settings, manifest: Manifest) -> TrainedModel:
    """Return the model that a version was made with."""
    return load_model(settings, manifest.parent_version(MODELS.name))
