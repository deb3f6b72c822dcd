"""The clusters that have a name: what `clusters.toml` and the user's `toytip.toml` say of them."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toytip.config import Settings
from toytip.errors import ConfigError

Kind = Literal["local", "ssh", "slurm", "kubernetes", "compose", "existing"]
# What a setting of the same name, from a flag or anywhere else, goes before.
SIZES = ("workers", "threads_per_worker", "memory_limit", "adapt", "tls_ca_file", "tls_cert", "tls_key")
NEEDED = {
    "ssh": ("hosts",), "existing": ("scheduler",), "compose": ("manifest", "scheduler"),
    "kubernetes": ("manifest", "scheduler"),
}  # fmt: skip
FILE = "clusters.toml"


class Definition(BaseModel):
    """A cluster: its kind, its sizes, and what its deployer must know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    workers: int | None = Field(None, ge=1, le=512)
    threads_per_worker: int | None = Field(None, ge=1)
    memory_limit: str | None = None
    adapt: str | None = Field(None, pattern=r"^[0-9]+:[1-9][0-9]*$")
    tls_ca_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    wait: int = Field(120, ge=1)
    hosts: tuple[str, ...] = ()
    tls_on_hosts: str | None = None
    scheduler: str | None = None
    manifest: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def definition(settings: Settings) -> Definition:
    """Return what is known of the cluster that the settings name; of `local` where they name none.

    Raises ConfigError where there is none of that name, or its definition makes no sense.
    """
    name = settings.cluster or "local"
    shipped = tomllib.loads(resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    if name not in shipped and name not in settings.clusters:
        known = ", ".join(sorted({*shipped, *settings.clusters}))
        raise ConfigError(
            f"--cluster {name}: there are {known}; define it in toytip.toml as [clusters.{name}]"
        )
    told = {**shipped.get(name, {}), **settings.clusters.get(name, {})}
    try:
        found = Definition.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"cluster {name}: {where}: {first['msg'].lower()}; see cluster/{FILE}") from None
    for key in NEEDED.get(found.kind, ()):
        if not getattr(found, key):
            raise ConfigError(
                f"cluster {name}: a cluster of kind {found.kind} needs {key}; see cluster/{FILE}"
            )
    return found


def settled(settings: Settings) -> Settings:
    """Return the settings, with what the definition of their cluster says where nothing goes before it.

    Raises ConfigError as `definition` does, and where there are both a cluster and a scheduler.
    """
    if settings.cluster is None:
        return settings
    if settings.scheduler is not None:
        raise ConfigError(
            f"--cluster {settings.cluster} and --scheduler {settings.scheduler}: only one of them; "
            "a cluster of kind existing has its scheduler in its definition"
        )
    found = definition(settings)
    return settings.model_copy(
        update={name: getattr(found, name) for name in SIZES if getattr(settings, name) is None}
    )
