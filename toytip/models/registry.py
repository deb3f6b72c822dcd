"""The registry: trained models by number, with the aliases `champion` and `challenger`, kept by MLflow.

A model is registered with all that it needs to score and all that it was made from; its files are plain (UBJSON, JSON,
YAML), none is a pickle.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toytip.config import Settings, mask_credentials
from toytip.errors import ConfigError, RegistryError
from toytip.io.access import require_reachable
from toytip.io.base import uri_scheme
from toytip.models.mlflow_env import silence_mlflow
from toytip.store.layout import Layout

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_FILES_FOLDER = "files"
# Tags of a registered version, which a person may read in MLflow's own pages.
VERSION_TAG, STORE_TAG, CHECKSUMS_TAG, DECISION_TAG, REASONS_TAG = (
    f"toytip.{name}" for name in ("version", "store", "sha256", "decision", "reasons")
)
PROMOTED_TAG, ROLLED_BACK_TAG = "toytip.promoted", "toytip.withdrawn"
# MLflow's limit for a tag's value is 5,000 characters.
MAX_REASON_LENGTH, MAX_REASONS = 300, 12


class ChampionChangedError(RegistryError):
    """Another model has become the champion since this one was compared with it."""


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """A registered model: its number, the version that it was trained as, its aliases, and what was decided of it."""

    number: int
    version: str
    created: str
    aliases: tuple[str, ...]
    decision: str
    reasons: tuple[str, ...]
    promoted: str
    withdrawn: str
    store: str
    sums: dict[str, str]
    run: str
    address: str


@dataclass(frozen=True)
class Registry:
    """The registered models of one name, on one tracking server or in one database file."""

    uri: str
    name: str
    artifacts: str | None

    @functools.cached_property
    def _client(self) -> Any:
        with silence_mlflow(), self._as_registry_error():
            if self.artifacts is not None:
                Path(self.artifacts).mkdir(parents=True, exist_ok=True)
            self.require_reachable()
            from mlflow import MlflowClient

            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    @property
    def display_name(self) -> str:
        """Where it is, for people."""
        return f"{self.name} in {mask_credentials(self.uri)}"

    @property
    def exists(self) -> bool:
        """Whether there can be models at all; a database file that is not there yet has none."""
        return not self.uri.startswith("sqlite:///") or Path(self.uri.removeprefix("sqlite:///")).is_file()

    def require_reachable(self) -> None:
        """Raise StoreError where a server should answer and does not: better before the work than after it."""
        if self.artifacts is None:
            require_reachable(self.uri, "MLflow server")

    def list_models(self) -> list[RegisteredModel]:
        """Return all registered models, by number."""
        if not self.exists:
            return []
        with silence_mlflow(), self._as_registry_error():
            found = self._client.search_registered_models(f"name = '{self.name}'")
            if not found:
                return []
            aliases: dict[str, list[str]] = {}
            for alias, number in found[0].aliases.items():
                aliases.setdefault(str(number), []).append(alias)
            versions = self._client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
            entries = [
                _to_registered_model(item, aliases.get(str(item.version), []), self._artifact_uri(item))
                for item in versions
            ]
        return sorted(entries, key=lambda entry: entry.number)

    def find_model(self, name: str) -> RegisteredModel:
        """Return a model by its alias, its number, or the version that it was trained as. Raises RegistryError."""
        for entry in reversed(self.list_models()):
            if name in (*entry.aliases, str(entry.number), entry.version):
                return entry
        raise RegistryError(f"no model {name} is registered as {self.display_name}; see `toytip models list`")

    def champion(self) -> RegisteredModel | None:
        """Return the champion; None where there is none."""
        return next((entry for entry in self.list_models() if CHAMPION in entry.aliases), None)

    def register(
        self, folder: Path, version: str, *, tags: dict[str, str], metrics: dict[str, float]
    ) -> RegisteredModel:
        """Register the files of a folder as the next number, and make it the challenger."""
        inside = folder / "artifacts" / MODEL_FILES_FOLDER
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in inside.iterdir()}
        with silence_mlflow(), self._as_registry_error():
            run = self._client.create_run(self._experiment_id(), run_name=version, tags=tags)
            for name, value in metrics.items():
                self._client.log_metric(run.info.run_id, name, value)
            source = self._save_files(folder, run.info.run_id)
            self._client.set_terminated(run.info.run_id)
            with contextlib.suppress(*_exceptions()):
                self._client.create_registered_model(self.name)
            made = self._client.create_model_version(
                self.name,
                source=source or f"{run.info.artifact_uri}/model",
                run_id=run.info.run_id,
                tags={VERSION_TAG: version, CHECKSUMS_TAG: json.dumps(sums), **tags},
            )
            self._client.set_registered_model_alias(self.name, CHALLENGER, made.version)
        return self.find_model(str(made.version))

    def _save_files(self, folder: Path, run: str) -> str:
        """Keep the files of a folder as those of a run of MLflow; return where they are, where MLflow does not say it.

        By MLflow they would go to where the store was when its first model was registered.
        """
        if self.artifacts is None:
            self._client.log_artifacts(run, str(folder), "model")
            return ""
        shutil.copytree(folder, self._artifact_folder(run))
        return self._artifact_folder(run).as_uri()

    def _artifact_folder(self, run: str) -> Path:
        return Path(self.artifacts or "", run, "artifacts", "model").absolute()

    def _artifact_uri(self, item: Any) -> str:
        return str(item.source) if self.artifacts is None else self._artifact_folder(item.run_id).as_uri()

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.experiment_id)
        where = Path(self.artifacts).absolute().as_uri() if self.artifacts else None
        return str(self._client.create_experiment(self.name, artifact_location=where))

    def record_decision(self, model: RegisteredModel, decision: str, reasons: list[str]) -> None:
        """Write down what was decided of a model, and why."""
        with silence_mlflow(), self._as_registry_error():
            told = json.dumps([reason[:MAX_REASON_LENGTH] for reason in reasons[:MAX_REASONS]])
            for tag, value in ((DECISION_TAG, decision), (REASONS_TAG, told)):
                self._client.set_model_version_tag(self.name, str(model.number), tag, value)

    def promote(self, model: RegisteredModel, *, expected_champion: RegisteredModel | None) -> None:
        """Make a model the champion. Raises ChampionChangedError where another has become it in the meantime."""
        now = self.champion()
        if (now and now.number) not in (expected_champion and expected_champion.number, model.number):
            raise ChampionChangedError(
                f"{now.version if now else 'none'} has become the champion in the meantime; "
                f"compare anew: `toytip models promote {model.version}`"
            )
        self._set_champion(model)

    def rollback(self) -> tuple[RegisteredModel, RegisteredModel]:
        """Make the champion before this one the champion again; return both, the new one first.

        Raises RegistryError where there was none.
        """
        now = self.champion()
        before = [
            entry
            for entry in self.list_models()
            if now and entry.promoted and not entry.withdrawn and entry.promoted < now.promoted
        ]
        if now is None or not before:
            raise RegistryError(
                f"no champion before this one in {self.display_name}; see `toytip models list`"
            )
        last = max(before, key=lambda entry: entry.promoted)
        with silence_mlflow(), self._as_registry_error():
            self._client.set_registered_model_alias(self.name, CHAMPION, str(last.number))
            self._client.set_model_version_tag(self.name, str(now.number), ROLLED_BACK_TAG, _now())
        return self.find_model(str(last.number)), now

    def _set_champion(self, model: RegisteredModel) -> None:
        number = str(model.number)
        with silence_mlflow(), self._as_registry_error():
            self._client.set_model_version_tag(self.name, number, PROMOTED_TAG, _now())
            if model.withdrawn:
                self._client.delete_model_version_tag(self.name, number, ROLLED_BACK_TAG)
            self._client.set_registered_model_alias(self.name, CHAMPION, number)
            if CHALLENGER in model.aliases:
                self._client.delete_registered_model_alias(self.name, CHALLENGER)

    @contextlib.contextmanager
    def open_files(self, model: RegisteredModel) -> Iterator[Path]:
        """Yield a folder with a model's files, checked. Raises RegistryError where one is not as registered."""
        with tempfile.TemporaryDirectory() as folder:
            path = self._model_folder(model, folder)
            inside = path / "artifacts" / MODEL_FILES_FOLDER
            for name, wanted in model.sums.items():
                file = inside / name
                if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != wanted:
                    raise RegistryError(
                        f"file {name} of model {model.number} ({model.version}) is not what was registered; "
                        "register the model anew"
                    )
            yield inside

    def _model_folder(self, model: RegisteredModel, folder: str) -> Path:
        if self.artifacts is not None:  # found again also where the store has been moved
            return self._artifact_folder(model.run)
        with silence_mlflow(), self._as_registry_error():
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(model.address, dst_path=folder, tracking_uri=self.uri))

    @contextlib.contextmanager
    def _as_registry_error(self) -> Iterator[None]:
        try:
            yield
        except _exceptions() as error:
            reason = mask_credentials(str(error).strip().partition("\n")[0])
            raise RegistryError(
                f"the registry {self.display_name}: {reason}; check MLFLOW_TRACKING_URI, or leave it out"
            ) from None


def open_registry(settings: Settings, taxi: str) -> Registry:
    """Return the registry of one taxi's models: MLFLOW_TRACKING_URI, else a database file beside the store.

    Beside a store in a bucket no database can stand: it is in ./toytip-registry then.
    Raises ConfigError for MLflow's file store, which keeps no promises.
    """
    name = f"toytip-{settings.env}-{taxi}"
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        local = uri_scheme(settings.store) == "file"
        root = (
            Path(settings.store.removeprefix("file://")) / Layout(settings.env).registry if local else Path()
        )
        folder = (root if local else Path("toytip-registry")).absolute()
        return Registry(f"sqlite:///{folder / 'registry.db'}", name, str(folder / "models"))
    if uri.startswith(("http://", "https://")):
        return Registry(uri, name, None)
    if uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///")).absolute()
        return Registry(f"sqlite:///{file}", name, str(file.parent / "models"))
    raise ConfigError(
        f"MLFLOW_TRACKING_URI={mask_credentials(uri)}: use the http:// address of an MLflow server, or sqlite:///file.db; "
        "MLflow's file store is not supported"
    )


def _to_registered_model(item: Any, aliases: list[str], address: str) -> RegisteredModel:
    tags = item.tags
    return RegisteredModel(
        number=int(item.version),
        version=tags.get(VERSION_TAG, ""),
        created=dt.datetime.fromtimestamp(item.creation_timestamp / 1000, dt.UTC).isoformat(),
        aliases=tuple(sorted(aliases)),
        decision=tags.get(DECISION_TAG, ""),
        reasons=tuple(json.loads(tags.get(REASONS_TAG, "[]"))),
        promoted=tags.get(PROMOTED_TAG, ""),
        withdrawn=tags.get(ROLLED_BACK_TAG, ""),
        store=tags.get(STORE_TAG, ""),
        sums=json.loads(tags.get(CHECKSUMS_TAG, "{}")),
        run=item.run_id,
        address=address,
    )


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


def _exceptions() -> tuple[type[Exception], ...]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError
