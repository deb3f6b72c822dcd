"""The clusters that have a name: what `clusters.toml` and the user's `toytip.toml` say of them."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toytip.config import MAX_WORKERS, Settings
from toytip.errors import ConfigError

ClusterKind = Literal["local", "ssh", "slurm", "kubernetes", "compose", "existing"]
SIZE_SETTINGS = ("workers", "threads_per_worker", "memory_limit", "adapt")
# Of every kind; and what one takes beside: sizes, and what its deployer must know.
COMMON_KEYS = ("kind", "start_timeout", "tls_ca_file", "tls_cert", "tls_key")
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


class ClusterDefinition(BaseModel):
    """A cluster: its kind, its sizes, and what its deployer must know."""

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
    hosts: tuple[str, ...] = ()
    remote_tls_dir: str | None = None
    scheduler: str | None = None
    config_file: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def load_definition(settings: Settings) -> ClusterDefinition:
    """Return what is known of the cluster that the settings name; of `local` where they name none.

    Raises ConfigError where there is none of that name, or its definition makes no sense.
    """
    name = settings.cluster or "local"
    shipped = tomllib.loads(resources.files(__package__).joinpath(CLUSTERS_FILE).read_text(encoding="utf-8"))
    if name not in shipped and name not in settings.clusters:
        known = ", ".join(sorted({*shipped, *settings.clusters}))
        raise ConfigError(
            f"--cluster {name}: there are {known}; define it in toytip.toml as [clusters.{name}]"
        )
    base, own = shipped.get(name, {}), settings.clusters.get(name, {})
    if "adapt" in own:  # it goes before the number that is shipped
        base.pop("workers", None)
    try:
        found = ClusterDefinition.model_validate({**base, **own})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"cluster {name}: {where}: {first['msg'].lower()}; see cluster/{CLUSTERS_FILE}"
        ) from None
    if said := _find_problem(found):
        raise ConfigError(f"cluster {name}: {said}; see cluster/{CLUSTERS_FILE}")
    return found


def _find_problem(definition: ClusterDefinition) -> str | None:
    """Return what a cluster of its kind lacks, or has and would not obey."""
    takes = KEYS_BY_KIND[definition.kind]
    if missing := [key for key in REQUIRED_KEYS.get(definition.kind, ()) if not getattr(definition, key)]:
        return f"a cluster of kind {definition.kind} needs {missing[0]}"
    if definition.model_fields_set >= {"workers", "adapt"}:
        return "workers and adapt: only one of them"
    if unfit := sorted(definition.model_fields_set - {*COMMON_KEYS, *takes}):
        return f"{unfit[0]}: a cluster of kind {definition.kind} takes {', '.join(takes)}"
    return None
