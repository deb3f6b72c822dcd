"""Cluster definitions: the tables of `clusters.toml` and of the user's `toytip.toml`."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toytip.config import MAX_WORKERS, Settings
from toytip.errors import ConfigError

ClusterKind = Literal["local", "ssh", "slurm", "kubernetes", "compose", "existing"]
SIZE_SETTINGS = ("workers", "threads_per_worker", "memory_limit", "adapt")
COMMON_KEYS = ("kind", "start_timeout", "tls_ca_file", "tls_cert", "tls_key")
# The keys of each kind, in addition to the common keys: sizes, and options for its deployer.
KEYS_BY_KIND: dict[ClusterKind, tuple[str, ...]] = {
    "local": SIZE_SETTINGS,
    "ssh": ("workers", "threads_per_worker", "memory_limit", "hosts", "remote_tls_dir", "options"),
    "slurm": (*SIZE_SETTINGS, "options"),
    "kubernetes": ("workers", "config_file", "scheduler"),
    "compose": ("workers", "config_file", "scheduler"),
    "existing": ("scheduler",),
}
REQUIRED_KEYS = {
    "ssh": ("hosts",),
    "existing": ("scheduler",),
    "compose": ("config_file", "scheduler"),
    "kubernetes": ("config_file", "scheduler"),
}
CLUSTERS_FILE = "clusters.toml"
DEFINITION_HINT = f"See cluster/{CLUSTERS_FILE} for the keys of each kind."


class ClusterDefinition(BaseModel):
    """A cluster: its kind, its sizes, and the options for its deployer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClusterKind
    workers: int | None = Field(None, ge=1, le=MAX_WORKERS)
    threads_per_worker: int | None = Field(None, ge=1)
    memory_limit: str | None = None
    adapt: str | None = Field(None, pattern=r"^[0-9]+:[0-9]+$")
    tls_ca_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    start_timeout: int = Field(120, ge=1)
    """Maximum time until workers connect, in seconds."""
    hosts: tuple[str, ...] = ()
    remote_tls_dir: str | None = None
    scheduler: str | None = None
    config_file: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def load_definition(settings: Settings) -> ClusterDefinition:
    """Return the definition of the cluster that the settings name, by default `local`.

    Raises ConfigError if no cluster has this name, or if its definition is invalid.
    """
    name = settings.cluster or "local"
    defaults = _default_definitions()
    if name not in defaults and name not in settings.clusters:
        names = ", ".join(cluster_names(settings))
        raise ConfigError(
            f"cannot use --cluster {name!r}: no cluster has this name (defined: {names})",
            hint=f"Define the cluster in toytip.toml as [clusters.{name}].",
        )
    base, own = dict(defaults.get(name, {})), settings.clusters.get(name, {})
    if "adapt" in own:  # `adapt` overrides the default number of workers
        base.pop("workers", None)
    try:
        definition = ClusterDefinition.model_validate({**base, **own})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"cannot use the definition of cluster {name}: {key}: {first['msg'].lower()}",
            hint=DEFINITION_HINT,
        ) from None
    if problem := _find_problem(definition):
        raise ConfigError(f"cannot use the definition of cluster {name}: {problem}", hint=DEFINITION_HINT)
    return definition


def cluster_names(settings: Settings) -> list[str]:
    """Return the names of all defined clusters, in alphabetical order."""
    return sorted({*_default_definitions(), *settings.clusters})


@functools.cache
def _default_definitions() -> dict[str, dict[str, Any]]:
    """Return the default definitions, from the file in this package."""
    return tomllib.loads(resources.files(__package__).joinpath(CLUSTERS_FILE).read_text(encoding="utf-8"))


def _find_problem(definition: ClusterDefinition) -> str | None:
    """Return the first problem of a definition, or None if the definition is valid."""
    keys = KEYS_BY_KIND[definition.kind]
    for key in REQUIRED_KEYS.get(definition.kind, ()):
        if not getattr(definition, key):
            return f"the kind {definition.kind} needs the key {key}"
    if definition.model_fields_set >= {"workers", "adapt"}:
        return "workers and adapt exclude each other"
    if unsupported := sorted(definition.model_fields_set - {*COMMON_KEYS, *keys}):
        supported = ", ".join(keys)
        return f"the kind {definition.kind} does not support {unsupported[0]} (supported: {supported})"
    return None
