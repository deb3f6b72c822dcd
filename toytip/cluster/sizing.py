"""Combine the settings of a call with the sizes and certificates of its cluster definition."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from toytip.cluster.adaptive import parse_adapt
from toytip.cluster.definitions import KEYS_BY_KIND, SIZE_SETTINGS, ClusterDefinition, load_definition
from toytip.cluster.lifecycle import plan_cluster
from toytip.config import Settings
from toytip.core.redact import mask_credentials
from toytip.core.text import plural
from toytip.errors import ConfigError

log = logging.getLogger(__name__)

# A setting overrides the key of the same name in the definition.
DEFINED_SETTINGS = (*SIZE_SETTINGS, "tls_ca_file", "tls_cert", "tls_key")
# Each of these settings determines the number of workers.
WORKER_COUNT_SETTINGS = ("workers", "adapt")
FLAGS = {name: f"--{name.replace('_', '-')}" for name in SIZE_SETTINGS}


def apply_cluster_definition(
    settings: Settings, explicit: Iterable[str] = (), *, uses_workers: bool = True
) -> Settings:
    """Return the settings, completed from the definition of their cluster.

    `explicit` has the names of the settings that the caller set in this call. The cluster must
    support the sizes among these settings. If the workers are already running and the call uses
    them (`uses_workers`), these sizes have no effect, and toytip logs a warning. Sizes from other
    places, such as `toytip.toml`, apply only to clusters that support them.

    Raises ConfigError if a size or the definition is invalid, or if both a cluster and a scheduler
    are set.
    """
    if settings.cluster and settings.scheduler:
        raise ConfigError(
            f"cannot use both --cluster {settings.cluster} and --scheduler {settings.scheduler}",
            hint="Set only one of the two. The definition of a cluster of kind existing contains its scheduler.",
        )
    definition = load_definition(settings)
    supported = () if settings.scheduler else KEYS_BY_KIND[definition.kind]
    requested = [name for name in SIZE_SETTINGS if name in set(explicit)]
    if requested:
        _check_sizes(settings, definition, requested, uses_workers=uses_workers)
    ignored = [name for name in SIZE_SETTINGS if name not in supported or _is_overridden(name, requested)]
    settings = settings.model_copy(update=dict.fromkeys(ignored))
    if settings.cluster is not None:
        settings = _fill_from_definition(settings, definition)
        _check_even_hosts(settings, definition)
    parse_adapt(settings)
    return settings


def _is_overridden(name: str, requested: Collection[str]) -> bool:
    """Return whether an explicit number of workers overrides the setting with this name."""
    return (
        name in WORKER_COUNT_SETTINGS
        and name not in requested
        and bool(set(WORKER_COUNT_SETTINGS) & set(requested))
    )


def _fill_from_definition(settings: Settings, definition: ClusterDefinition) -> Settings:
    has_count = any(getattr(settings, name) is not None for name in WORKER_COUNT_SETTINGS)
    names = [name for name in DEFINED_SETTINGS if not (has_count and name in WORKER_COUNT_SETTINGS)]
    return settings.model_copy(
        update={name: getattr(definition, name) for name in names if getattr(settings, name) is None}
    )


def _check_sizes(
    settings: Settings, definition: ClusterDefinition, requested: list[str], *, uses_workers: bool
) -> None:
    """Raise ConfigError for unsupported sizes.

    Logs a warning if the workers are already running.
    """
    if set(WORKER_COUNT_SETTINGS) <= set(requested):
        raise ConfigError(
            f"cannot use both --workers {settings.workers} and --adapt {settings.adapt}",
            hint="Set only one of the two.",
        )
    if uses_workers and (address := plan_cluster(settings).address):
        sizes = ", ".join(f"{FLAGS[name]} {getattr(settings, name)}" for name in requested)
        log.warning(
            "the workers at %s are already running, so %s has no effect",
            mask_credentials(address),
            sizes,
        )
        return
    supported = [FLAGS[name] for name in SIZE_SETTINGS if name in KEYS_BY_KIND[definition.kind]]
    for name in requested:
        if name not in KEYS_BY_KIND[definition.kind]:
            raise ConfigError(
                f"cannot use {FLAGS[name]} {getattr(settings, name)}: "
                f"a cluster of kind {definition.kind} does not support it",
                hint=f"Supported size options: {', '.join(supported)}."
                if supported
                else "Set the sizes when you start the workers of this cluster.",
            )


def _check_even_hosts(settings: Settings, definition: ClusterDefinition) -> None:
    """Raise ConfigError if the workers cannot be divided evenly over the hosts."""
    count, hosts = settings.workers, len(definition.hosts)
    if count is not None and hosts and count % hosts:
        below = count - count % hosts
        valid = f"{below} or {below + hosts}" if below else str(hosts)
        raise ConfigError(
            f"cannot start cluster {settings.cluster}: "
            f"{plural(count, 'worker')} cannot be divided evenly over {hosts} hosts",
            hint=f"Set --workers to {valid}.",
        )
