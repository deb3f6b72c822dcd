"""sizes: how many workers, and how large: what was asked for, what the definition of the cluster says, and what it takes."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from toytip.cluster.definitions import SIZES, TAKES, Definition, definition
from toytip.cluster.elastic import bounds
from toytip.cluster.standing import address_of
from toytip.config import Settings, mask
from toytip.errors import ConfigError

log = logging.getLogger(__name__)

# What a setting of the same name, from a flag or anywhere else, goes before.
DEFINED = (*SIZES, "tls_ca_file", "tls_cert", "tls_key")
# Either says how many.
COUNT = ("workers", "adapt")


def settled(settings: Settings, given: Iterable[str] = (), *, using: bool = True) -> Settings:
    """Return the settings, with what the definition of their cluster says where nothing goes before it.

    A size that is `given` for this call must be one that the cluster takes; where it is for `using` workers that are there
    already, it is not used, and that is said. What stands anywhere else is for every cluster that takes it. Raises
    ConfigError as `definition` does, and where there are both a cluster and a scheduler.
    """
    if settings.cluster and settings.scheduler:
        raise ConfigError(
            f"--cluster {settings.cluster} and --scheduler {settings.scheduler}: only one of them; "
            "a cluster of kind existing has its scheduler in its definition"
        )
    found = definition(settings)
    takes = () if settings.scheduler else TAKES[found.kind]
    asked = [name for name in SIZES if name in set(given)]
    if asked:
        _check(settings, found, asked, using)
    # The count that was asked for goes before another kind of count from anywhere else.
    other = [name for name in COUNT if name not in asked] if set(COUNT) & set(asked) else []
    settings = settings.model_copy(
        update={name: None for name in SIZES if name not in takes or name in other}
    )
    if settings.cluster is not None:
        settings = _filled(settings, found)
        _dealt(settings, found)
    bounds(settings)
    return settings


def _filled(settings: Settings, found: Definition) -> Settings:
    counted = any(getattr(settings, name) is not None for name in COUNT)
    names = [name for name in DEFINED if not (counted and name in COUNT)]
    return settings.model_copy(
        update={name: getattr(found, name) for name in names if getattr(settings, name) is None}
    )


def _check(settings: Settings, found: Definition, asked: list[str], using: bool) -> None:
    """Raise ConfigError for sizes that a cluster of its kind would not obey; say so where there is one already."""
    flags = {name: f"--{name.replace('_', '-')}" for name in SIZES}
    if set(COUNT) <= set(asked):
        raise ConfigError(f"--workers {settings.workers} and --adapt {settings.adapt}: only one of them")
    if using and (address := address_of(settings)):
        log.warning(
            "warning: %s is not used: the workers at %s are there already, with sizes of their own",
            ", ".join(f"{flags[name]} {getattr(settings, name)}" for name in asked), mask(address),
        )  # fmt: skip
        return
    if unfit := [name for name in asked if name not in TAKES[found.kind]]:
        takes = ", ".join(flags[name] for name in SIZES if name in TAKES[found.kind])
        raise ConfigError(
            f"{flags[unfit[0]]} {getattr(settings, unfit[0])}: a cluster of kind {found.kind} takes "
            f"{takes or 'no sizes: they stand where it is described'}"
        )


def _dealt(settings: Settings, found: Definition) -> None:
    """Raise ConfigError for workers that cannot be dealt out over hosts, each of which has as many as another."""
    count, hosts = settings.workers, len(found.hosts)
    if count is not None and hosts and count % hosts:
        below = count - count % hosts
        fits = f"{below} or {below + hosts}" if below else str(hosts)
        raise ConfigError(
            f"cluster {settings.cluster}: {count} workers on {hosts} hosts: each has as many; make it {fits}"
        )
