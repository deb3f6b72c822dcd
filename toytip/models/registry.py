"""The registry of trained models in MLflow, with the aliases `champion` and `challenger`.

A registered model contains everything that scoring needs, and a model card. The files of a
registered model are UBJSON, JSON and YAML files, and none of these files is a pickle.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toytip.config import Settings
from toytip.core.jsonable import dump_json
from toytip.core.redact import mask_credentials
from toytip.errors import ConfigError, RegistryError
from toytip.io.base import uri_scheme
from toytip.models.database import database_uri, ensure_database, lock_database, open_client
from toytip.models.experiment import check_artifacts, check_experiment, log_metrics, open_experiment
from toytip.models.mlflow_env import error_cause, import_pyfunc, mlflow_exceptions, silence_mlflow
from toytip.models.model_versions import read_from_file, read_with_client
from toytip.models.registered_model import (
    CHECKSUMS_TAG,
    DECISION_TAG,
    PROMOTED_TAG,
    REASONS_TAG,
    ROLLED_BACK_TAG,
    RUN_VERSION_TAG,
    RegisteredModel,
    Rollback,
    file_checksum,
    find_by_name,
    find_previous_champion,
    find_run,
    reasons_tag,
    utc_now,
)
from toytip.models.registry_check import check_database, check_server, registry_hint
from toytip.store.layout import Layout

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_FILES_FOLDER = "files"
LIST_HINT = "List the registered models with `toytip model list`."


class ChampionChangedError(RegistryError):
    """A different model became the champion while the promotion gate compared the models."""


@dataclass(frozen=True)
class Registry:
    """The models with one registered name, on an MLflow tracking server or in a database file.

    `artifacts` is the folder of the model files, or None if a tracking server stores the files.
    """

    uri: str
    name: str
    artifacts: str | None

    @functools.cached_property
    def _client(self) -> Any:
        self.require_reachable()
        with silence_mlflow(), self._as_registry_error():
            if self.artifacts is None:
                return open_client(self.uri)
            Path(self.artifacts).mkdir(parents=True, exist_ok=True)
            ensure_database(self._database)
            return open_client(database_uri(self._database))

    @property
    def _database(self) -> Path:
        return Path(self.uri.removeprefix("sqlite:///"))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock of a database file. A tracking server has transactions of its own."""
        _ = self._client  # creates the database file, which needs the lock
        with lock_database(self._database) if self.artifacts is not None else contextlib.nullcontext():
            yield

    @property
    def display_name(self) -> str:
        """Name and URI of the registry for messages. Credentials are masked."""
        return f"{self.name} in {mask_credentials(self.uri)}"

    @property
    def exists(self) -> bool:
        """Whether the registry exists. Always true for a tracking server."""
        return self.artifacts is None or self._database.is_file()

    def require_reachable(self) -> None:
        """Raise RegistryError or StoreError if the server or the database file cannot be read."""
        if self.artifacts is None:
            check_server(self.uri)
        else:
            check_database(self._database)

    def require_usable(self, *, write: bool) -> None:
        """Read the registry, and with `write` store a small file, before any work starts.

        Raises RegistryError or StoreError if this fails.
        """
        self.require_reachable()
        if self.artifacts is not None:
            if write:
                with self._as_registry_error(), lock_database(self._database):
                    check_experiment(self._database, self.name)
            return
        self.list_models()
        if write:
            with silence_mlflow(), self._as_registry_error():
                warning = check_artifacts(self._client, self.uri, self._experiment_id())
            if warning:
                log.warning("%s", warning)

    def prepare(self, *, create: bool) -> None:
        """Import MLflow, and open the registry, so that later calls are fast.

        With `create`, also create a missing database file.
        """
        import_pyfunc()
        if create:
            _ = self._client

    def list_models(self) -> list[RegisteredModel]:
        """Return all registered models, ordered by model number."""
        if not self.exists:
            return []
        if self.artifacts is not None:
            models = read_from_file(self._database, self.name, self._artifact_uri)
            if models is not None:
                return models
        with silence_mlflow(), self._as_registry_error():
            return read_with_client(self._client, self.name, self._artifact_uri)

    def find_model(self, name: str) -> RegisteredModel:
        """Return a model by alias, model number or run version.

        Raises RegistryError if the registry does not have such a model.
        """
        model = find_by_name(self.list_models(), name)
        if model is None:
            raise RegistryError(
                f"cannot find model {name}: not registered as {self.display_name}", hint=LIST_HINT
            )
        return model

    def champion(self) -> RegisteredModel | None:
        """Return the champion, or None if there is no champion."""
        return next((model for model in self.list_models() if CHAMPION in model.aliases), None)

    def register(
        self, folder: Path, run_version: str, *, tags: dict[str, str], metrics: dict[str, float]
    ) -> RegisteredModel:
        """Register a packaged model under the next model number, and make it the challenger.

        If another process has registered the model of this run in the meantime, return that model.
        """
        files = folder / "artifacts" / MODEL_FILES_FOLDER
        checksums = {path.name: file_checksum(path) for path in files.iterdir()}
        with self._writing(), silence_mlflow(), self._as_registry_error():
            if registered := find_run(self.list_models(), run_version):
                return registered
            run = self._client.create_run(self._experiment_id(), run_name=run_version, tags=tags)
            log_metrics(self._client, run.info.run_id, metrics)
            source = self._save_files(folder, run.info.run_id)
            self._client.set_terminated(run.info.run_id)
            with contextlib.suppress(*mlflow_exceptions()):
                self._client.create_registered_model(self.name)
            created = self._client.create_model_version(
                self.name,
                source=source or f"{run.info.artifact_uri}/model",
                run_id=run.info.run_id,
                tags={RUN_VERSION_TAG: run_version, CHECKSUMS_TAG: dump_json(checksums), **tags},
            )
            self._client.set_registered_model_alias(self.name, CHALLENGER, created.version)
        return self.find_model(str(created.version))

    def _save_files(self, folder: Path, run_id: str) -> str:
        """Store the files of an MLflow run. Returns the URI of the files, or "" with a server.

        With a database file, toytip copies the files itself. MLflow would always use the path that
        the store had at the first registration.
        """
        if self.artifacts is None:
            self._client.log_artifacts(run_id, str(folder), "model")
            return ""
        shutil.copytree(folder, self._artifact_folder(run_id))
        return self._artifact_folder(run_id).as_uri()

    def _artifact_folder(self, run_id: str) -> Path:
        return Path(self.artifacts or "", run_id, "artifacts", "model").absolute()

    def _artifact_uri(self, item: Any) -> str:
        return str(item.source) if self.artifacts is None else self._artifact_folder(item.run_id).as_uri()

    def _experiment_id(self) -> str:
        return open_experiment(self._client, self.uri, self.name, self.artifacts)

    def record_decision(self, model: RegisteredModel, decision: str, reasons: Sequence[str]) -> None:
        """Store the decision of the promotion gate about a model, and the reasons."""
        with self._writing():
            self._set_tags(model, {DECISION_TAG: decision, REASONS_TAG: reasons_tag(reasons)})

    def promote(self, model: RegisteredModel, *, expected_champion: RegisteredModel | None) -> None:
        """Make a model the champion.

        Raises ChampionChangedError if the current champion is neither `expected_champion` nor
        `model`.
        """
        with self._writing():
            champion = self.champion()
            current = champion and champion.number
            if current not in (expected_champion and expected_champion.number, model.number):
                version = champion.run_version if champion else "no model"
                raise ChampionChangedError(
                    f"cannot promote {model.run_version}: {version} became the champion during the evaluation",
                    hint=f"Evaluate the model again with `toytip model promote {model.run_version}`.",
                )
            self._set_champion(model)

    def rollback(self, *, expected_champion: RegisteredModel | None = None) -> Rollback:
        """Make the previous champion the current champion again.

        Raises RegistryError if there is no previous champion, and ChampionChangedError if the
        current champion is not `expected_champion`.
        """
        with self._writing() if self.exists else contextlib.nullcontext():
            champion = self.champion()
            previous = find_previous_champion(self.list_models(), champion)
            if champion is None or previous is None:
                raise RegistryError(
                    f"cannot roll back the champion: {self.display_name} has no previous champion",
                    hint=LIST_HINT,
                )
            if expected_champion and champion.number != expected_champion.number:
                raise ChampionChangedError(
                    f"cannot roll back {expected_champion.run_version}: {champion.run_version} became the champion",
                    hint=LIST_HINT,
                )
            with silence_mlflow(), self._as_registry_error():
                self._client.set_registered_model_alias(self.name, CHAMPION, str(previous.number))
            self._set_tags(champion, {ROLLED_BACK_TAG: utc_now()})
        return Rollback(
            champion=previous.run_version,
            number=previous.number,
            previous_champion=champion.run_version,
        )

    def _set_champion(self, model: RegisteredModel) -> None:
        version = str(model.number)
        self._set_tags(model, {PROMOTED_TAG: utc_now()})
        with silence_mlflow(), self._as_registry_error():
            if model.rolled_back_at:
                self._client.delete_model_version_tag(self.name, version, ROLLED_BACK_TAG)
            self._client.set_registered_model_alias(self.name, CHAMPION, version)
            if CHALLENGER in model.aliases:
                self._client.delete_registered_model_alias(self.name, CHALLENGER)

    def _set_tags(self, model: RegisteredModel, tags: dict[str, str]) -> None:
        with silence_mlflow(), self._as_registry_error():
            for tag, value in tags.items():
                self._client.set_model_version_tag(self.name, str(model.number), tag, value)

    @contextlib.contextmanager
    def open_files(self, model: RegisteredModel) -> Iterator[Path]:
        """Yield the folder with the files of a model.

        Raises RegistryError if a file does not have the registered checksum.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = self._model_folder(model, folder) / "artifacts" / MODEL_FILES_FOLDER
            for name, checksum in model.checksums.items():
                path = files / name
                if not path.is_file() or file_checksum(path) != checksum:
                    raise RegistryError(
                        f"cannot load model {model.number} ({model.run_version}): "
                        f"{name} is missing or does not have the registered checksum",
                        hint="Restore the file, or train and register the model again.",
                    )
            yield files

    def _model_folder(self, model: RegisteredModel, folder: str) -> Path:
        if self.artifacts is not None:  # valid even if the store was moved after registration
            return self._artifact_folder(model.mlflow_run_id)
        with silence_mlflow(), self._as_registry_error():
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(model.artifact_uri, dst_path=folder, tracking_uri=self.uri))

    @contextlib.contextmanager
    def _as_registry_error(self) -> Iterator[None]:
        try:
            yield
        except mlflow_exceptions() as error:
            cause = mask_credentials(error_cause(error))
            raise RegistryError(
                f"cannot open the registry {self.display_name}: {cause}",
                hint=registry_hint(None if self.artifacts is None else self._database),
            ) from None


def open_registry(settings: Settings, taxi: str, segment: str) -> Registry:
    """Return the registry for the models of one taxi type and one segment.

    Each segment has its own champion, because a model can score only the trips of its segment.

    If the variable MLFLOW_TRACKING_URI is set, the registry is at this URI. If not, the registry is
    an SQLite database file in the store. SQLite needs a local disk. The registry for a store on S3
    is therefore in `./toytip-registry`.

    Raises ConfigError if MLFLOW_TRACKING_URI is a file store of MLflow, which is not transactional.
    """
    name = f"toytip-{settings.env}-{taxi}-{segment}"
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        folder = _default_folder(settings)
        return Registry(f"sqlite:///{folder / 'registry.db'}", name, str(folder / "models"))
    if uri.startswith(("http://", "https://")):
        return Registry(uri, name, None)
    if uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///")).absolute()
        return Registry(f"sqlite:///{file}", name, str(file.parent / "models"))
    raise ConfigError(
        f"cannot use MLFLOW_TRACKING_URI={mask_credentials(uri)}: MLflow's file store is not supported",
        hint="Set MLFLOW_TRACKING_URI to the http:// URL of an MLflow server, or to sqlite:///file.db.",
    )


def _default_folder(settings: Settings) -> Path:
    if uri_scheme(settings.store) != "file":
        return Path("toytip-registry").absolute()
    return (Path(settings.store.removeprefix("file://")) / Layout(settings.env).registry).absolute()
