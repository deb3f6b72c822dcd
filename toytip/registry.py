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

from toytip.config import Settings, mask
from toytip.errors import ConfigError, RegistryError
from toytip.packing import quiet
from toytip.place import scheme_of
from toytip.reach import knock

CHAMPION, CHALLENGER = "champion", "challenger"
FOLDER = "_registry"
FILES = "files"
# Tags of a registered version, which a person may read in MLflow's own pages.
VERSION, STORE, SUMS, DECISION, REASONS = (
    f"toytip.{name}" for name in ("version", "store", "sha256", "decision", "reasons")
)
PROMOTED, WITHDRAWN = "toytip.promoted", "toytip.withdrawn"
# MLflow's limit for a tag's value is 5,000 characters.
LONGEST_REASON, MOST_REASONS = 300, 12


class OvertakenError(RegistryError):
    """Another model has become the champion since this one was compared with it."""


@dataclass(frozen=True, kw_only=True)
class Entry:
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
        with quiet(), self._saying():
            if self.artifacts is not None:
                Path(self.artifacts).mkdir(parents=True, exist_ok=True)
            self.knock()
            from mlflow import MlflowClient

            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    @property
    def shown(self) -> str:
        """Where it is, for people."""
        return f"{self.name} in {mask(self.uri)}"

    @property
    def there(self) -> bool:
        """Whether there can be models at all; a database file that is not there yet has none."""
        return not self.uri.startswith("sqlite:///") or Path(self.uri.removeprefix("sqlite:///")).is_file()

    def knock(self) -> None:
        """Raise StoreError where a server should answer and does not: better before the work than after it."""
        if self.artifacts is None:
            knock(self.uri, "MLflow server")

    def entries(self) -> list[Entry]:
        """Return all registered models, by number."""
        if not self.there:
            return []
        with quiet(), self._saying():
            found = self._client.search_registered_models(f"name = '{self.name}'")
            if not found:
                return []
            aliases: dict[str, list[str]] = {}
            for alias, number in found[0].aliases.items():
                aliases.setdefault(str(number), []).append(alias)
            versions = self._client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
            entries = [
                _entry(item, aliases.get(str(item.version), []), self._address(item)) for item in versions
            ]
        return sorted(entries, key=lambda entry: entry.number)

    def find(self, name: str) -> Entry:
        """Return a model by its alias, its number, or the version that it was trained as. Raises RegistryError."""
        for entry in reversed(self.entries()):
            if name in (*entry.aliases, str(entry.number), entry.version):
                return entry
        raise RegistryError(f"no model {name} is registered as {self.shown}; see `toytip models list`")

    def champion(self) -> Entry | None:
        """Return the champion; None where there is none."""
        return next((entry for entry in self.entries() if CHAMPION in entry.aliases), None)

    def register(
        self, folder: Path, version: str, *, tags: dict[str, str], metrics: dict[str, float]
    ) -> Entry:
        """Register the files of a folder as the next number, and make it the challenger."""
        inside = folder / "artifacts" / FILES
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in inside.iterdir()}
        with quiet(), self._saying():
            run = self._client.create_run(self._experiment(), run_name=version, tags=tags)
            for name, value in metrics.items():
                self._client.log_metric(run.info.run_id, name, value)
            source = self._keep(folder, run.info.run_id)
            self._client.set_terminated(run.info.run_id)
            with contextlib.suppress(*_exceptions()):
                self._client.create_registered_model(self.name)
            made = self._client.create_model_version(
                self.name,
                source=source or f"{run.info.artifact_uri}/model",
                run_id=run.info.run_id,
                tags={VERSION: version, SUMS: json.dumps(sums), **tags},
            )
            self._client.set_registered_model_alias(self.name, CHALLENGER, made.version)
        return self.find(str(made.version))

    def _keep(self, folder: Path, run: str) -> str:
        """Keep the files of a folder as those of a run of MLflow; return where they are, where MLflow does not say it.

        By MLflow they would go to where the store was when its first model was registered.
        """
        if self.artifacts is None:
            self._client.log_artifacts(run, str(folder), "model")
            return ""
        shutil.copytree(folder, self._folder(run))
        return self._folder(run).as_uri()

    def _folder(self, run: str) -> Path:
        return Path(self.artifacts or "", run, "artifacts", "model").absolute()

    def _address(self, item: Any) -> str:
        return str(item.source) if self.artifacts is None else self._folder(item.run_id).as_uri()

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found is not None:
            return str(found.experiment_id)
        where = Path(self.artifacts).absolute().as_uri() if self.artifacts else None
        return str(self._client.create_experiment(self.name, artifact_location=where))

    def decide(self, entry: Entry, decision: str, reasons: list[str]) -> None:
        """Write down what was decided of a model, and why."""
        with quiet(), self._saying():
            told = json.dumps([reason[:LONGEST_REASON] for reason in reasons[:MOST_REASONS]])
            for tag, value in ((DECISION, decision), (REASONS, told)):
                self._client.set_model_version_tag(self.name, str(entry.number), tag, value)

    def promote(self, entry: Entry, *, instead_of: Entry | None) -> None:
        """Make a model the champion. Raises OvertakenError where another has become it in the meantime."""
        now = self.champion()
        if (now and now.number) not in (instead_of and instead_of.number, entry.number):
            raise OvertakenError(
                f"{now.version if now else 'none'} has become the champion in the meantime; "
                f"compare anew: `toytip models promote {entry.version}`"
            )
        self._crown(entry)

    def rollback(self) -> tuple[Entry, Entry]:
        """Make the champion before this one the champion again; return both, the new one first.

        Raises RegistryError where there was none.
        """
        now = self.champion()
        before = [
            entry
            for entry in self.entries()
            if now and entry.promoted and not entry.withdrawn and entry.promoted < now.promoted
        ]
        if now is None or not before:
            raise RegistryError(f"no champion before this one in {self.shown}; see `toytip models list`")
        last = max(before, key=lambda entry: entry.promoted)
        with quiet(), self._saying():
            self._client.set_registered_model_alias(self.name, CHAMPION, str(last.number))
            self._client.set_model_version_tag(self.name, str(now.number), WITHDRAWN, _now())
        return self.find(str(last.number)), now

    def _crown(self, entry: Entry) -> None:
        number = str(entry.number)
        with quiet(), self._saying():
            self._client.set_model_version_tag(self.name, number, PROMOTED, _now())
            if entry.withdrawn:
                self._client.delete_model_version_tag(self.name, number, WITHDRAWN)
            self._client.set_registered_model_alias(self.name, CHAMPION, number)
            if CHALLENGER in entry.aliases:
                self._client.delete_registered_model_alias(self.name, CHALLENGER)

    @contextlib.contextmanager
    def files(self, entry: Entry) -> Iterator[Path]:
        """Yield a folder with a model's files, checked. Raises RegistryError where one is not as registered."""
        with tempfile.TemporaryDirectory() as folder:
            path = self._fetched(entry, folder)
            inside = path / "artifacts" / FILES
            for name, wanted in entry.sums.items():
                file = inside / name
                if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != wanted:
                    raise RegistryError(
                        f"file {name} of model {entry.number} ({entry.version}) is not what was registered; "
                        "register the model anew"
                    )
            yield inside

    def _fetched(self, entry: Entry, folder: str) -> Path:
        if self.artifacts is not None:  # found again also where the store has been moved
            return self._folder(entry.run)
        with quiet(), self._saying():
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(entry.address, dst_path=folder, tracking_uri=self.uri))

    @contextlib.contextmanager
    def _saying(self) -> Iterator[None]:
        try:
            yield
        except _exceptions() as error:
            reason = mask(str(error).strip().partition("\n")[0])
            raise RegistryError(
                f"the registry {self.shown}: {reason}; check MLFLOW_TRACKING_URI, or leave it out"
            ) from None


def registry_of(settings: Settings, taxi: str) -> Registry:
    """Return the registry of one taxi's models: MLFLOW_TRACKING_URI, else a database file beside the store.

    Beside a store in a bucket no database can stand: it is in ./toytip-registry then.
    Raises ConfigError for MLflow's file store, which keeps no promises.
    """
    name = f"toytip-{settings.env}-{taxi}"
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        local = scheme_of(settings.store) == "file"
        root = Path(settings.store.removeprefix("file://")) / settings.env / FOLDER if local else Path()
        folder = (root if local else Path("toytip-registry")).absolute()
        return Registry(f"sqlite:///{folder / 'registry.db'}", name, str(folder / "models"))
    if uri.startswith(("http://", "https://")):
        return Registry(uri, name, None)
    if uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///")).absolute()
        return Registry(f"sqlite:///{file}", name, str(file.parent / "models"))
    raise ConfigError(
        f"MLFLOW_TRACKING_URI={mask(uri)}: use the http:// address of an MLflow server, or sqlite:///file.db; "
        "MLflow's file store is not supported"
    )


def _entry(item: Any, aliases: list[str], address: str) -> Entry:
    tags = item.tags
    return Entry(
        number=int(item.version),
        version=tags.get(VERSION, ""),
        created=dt.datetime.fromtimestamp(item.creation_timestamp / 1000, dt.UTC).isoformat(),
        aliases=tuple(sorted(aliases)),
        decision=tags.get(DECISION, ""),
        reasons=tuple(json.loads(tags.get(REASONS, "[]"))),
        promoted=tags.get(PROMOTED, ""),
        withdrawn=tags.get(WITHDRAWN, ""),
        store=tags.get(STORE, ""),
        sums=json.loads(tags.get(SUMS, "{}")),
        run=item.run_id,
        address=address,
    )


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


def _exceptions() -> tuple[type[Exception], ...]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, SQLAlchemyError, OSError
