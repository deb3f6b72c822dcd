"""sizes: how many workers, and how large: what was asked for, what the definition of the cluster says, and what it takes."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from toytip.cluster.adaptive import parse_adapt
from toytip.cluster.definitions import KEYS_BY_KIND, SIZE_SETTINGS, ClusterDefinition, load_definition
from toytip.cluster.lifecycle import scheduler_address
from toytip.config import Settings, mask_credentials
from toytip.errors import ConfigError

log = logging.getLogger(__name__)

# What a setting of the same name, from a flag or anywhere else, goes before.
DEFINED_SETTINGS = (*SIZE_SETTINGS, "tls_ca_file", "tls_cert", "tls_key")
# Either says how many.
WORKER_COUNT_SETTINGS = ("workers", "adapt")


def apply_cluster_definition(
    settings: Settings, explicit: Iterable[str] = (), *, using: bool = True
) -> Settings:
    """Return the settings, with what the definition of their cluster says where nothing goes before it.

    A size that is `explicit` for this call must be one that the cluster takes; where it is for `using` workers that are there
    already, it is not used, and that is said. What stands anywhere else is for every cluster that takes it. Raises
    ConfigError as `load_definition` does, and where there are both a cluster and a scheduler.
    """
    if settings.cluster and settings.scheduler:
        raise ConfigError(
            f"--cluster {settings.cluster} and --scheduler {settings.scheduler}: only one of them; "
            "a cluster of kind existing has its scheduler in its definition"
        )
    found = load_definition(settings)
    takes = () if settings.scheduler else KEYS_BY_KIND[found.kind]
    asked = [name for name in SIZE_SETTINGS if name in set(explicit)]
    if asked:
        _check_sizes(settings, found, asked, using)
    # The count that was asked for goes before another kind of count from anywhere else.
    other = (
        [name for name in WORKER_COUNT_SETTINGS if name not in asked]
        if set(WORKER_COUNT_SETTINGS) & set(asked)
        else []
    )
    settings = settings.model_copy(
        update={name: None for name in SIZE_SETTINGS if name not in takes or name in other}
    )
    if settings.cluster is not None:
        settings = _fill_from_definition(settings, found)
        _check_even_hosts(settings, found)
    parse_adapt(settings)
    return settings


def _fill_from_definition(settings: Settings, definition: ClusterDefinition) -> Settings:
    counted = any(getattr(settings, name) is not None for name in WORKER_COUNT_SETTINGS)
    names = [name for name in DEFINED_SETTINGS if not (counted and name in WORKER_COUNT_SETTINGS)]
    return settings.model_copy(
        update={name: getattr(definition, name) for name in names if getattr(settings, name) is None}
    )


def _check_sizes(
    settings: Settings, definition: ClusterDefinition, requested: list[str], using: bool
) -> None:
    """Raise ConfigError for sizes that a cluster of its kind would not obey; say so where there is one already."""
    flags = {name: f"--{name.replace('_', '-')}" for name in SIZE_SETTINGS}
    if set(WORKER_COUNT_SETTINGS) <= set(requested):
        raise ConfigError(f"--workers {settings.workers} and --adapt {settings.adapt}: only one of them")
    if using and (address := scheduler_address(settings)):
        log.warning(
            "%s has no effect: the cluster at %s is already running with its own sizes",
            ", ".join(f"{flags[name]} {getattr(settings, name)}" for name in requested), mask_credentials(address),
        )  # fmt: skip
        return
    if unfit := [name for name in requested if name not in KEYS_BY_KIND[definition.kind]]:
        takes = ", ".join(flags[name] for name in SIZE_SETTINGS if name in KEYS_BY_KIND[definition.kind])
        raise ConfigError(
            f"{flags[unfit[0]]} {getattr(settings, unfit[0])}: a cluster of kind {definition.kind} takes "
            f"{takes or 'no sizes: they stand where it is described'}"
        )


def _check_even_hosts(settings: Settings, definition: ClusterDefinition) -> None:
    """Raise ConfigError for workers that cannot be dealt out over hosts, each of which has as many as another."""
    count, hosts = settings.workers, len(definition.hosts)
    if count is not None and hosts and count % hosts:
        below = count - count % hosts
        fits = f"{below} or {below + hosts}" if below else str(hosts)
        raise ConfigError(
            f"cluster {settings.cluster}: {count} workers on {hosts} hosts: each has as many; make it {fits}"
        )
