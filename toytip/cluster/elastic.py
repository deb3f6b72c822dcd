"""As many workers as there is work for, between two bounds; and as many as there can be, unchanging, while it trains.

A row stage is many small tasks, any of which may move; training is one task on each rank, and a rank that goes is a loss.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from toytip.config import Settings
from toytip.errors import ConfigError

TOPIC = "toytip-adapt"
GROWS_S = 120


def bounds(settings: Settings) -> tuple[int, int] | None:
    """Return the fewest and the most workers; None where their number is fixed. Raises ConfigError.

    >>> bounds(Settings(adapt="2:8"))
    (2, 8)
    """
    if settings.adapt is None:
        return None
    low, high = map(int, settings.adapt.split(":"))
    if low > high:
        raise ConfigError(f"--adapt {settings.adapt}: write it as MIN:MAX")
    return low, high


def begin(client: Any, settings: Settings) -> None:
    """Have the cluster that this process has started follow the work, and let its scheduler know."""
    if limits := bounds(settings):
        client.cluster.adapt(minimum=limits[0], maximum=limits[1])
        client.set_metadata(TOPIC, limits)


def limits_of(client: Any) -> tuple[int, int] | None:
    """Return the fewest and the most workers that a cluster may have; None where their number is fixed.

    A run may know no more of a cluster than its address: the cluster says it itself.
    """
    found = client.get_metadata(TOPIC, default=None)
    return found and tuple(found)


def obey(client: Any, settings: Settings) -> None:
    """Follow what runs ask for: in the process that holds a standing cluster."""
    limits = bounds(settings)
    if limits is None:
        return
    low, high = limits

    def hear(event: tuple[float, dict[str, bool]]) -> None:
        client.cluster.adapt(minimum=high if event[1]["fixed"] else low, maximum=high)

    client.subscribe_topic(TOPIC, hear)


@contextlib.contextmanager
def fixed(client: Any) -> Iterator[None]:
    """Have all the workers that there can be, and keep them, for as long as the context lasts."""
    limits = limits_of(client)
    if limits is None:
        yield
        return
    low, high = limits
    _ask(client, high, high)
    with contextlib.suppress(
        TimeoutError
    ):  # a queue may not give them all: then it trains on those that came
        client.wait_for_workers(high, timeout=GROWS_S)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            _ask(client, low, high)


def _ask(client: Any, low: int, high: int) -> None:
    """Set the bounds: where the deployer is in this process itself, else in the one that holds the cluster."""
    if client.cluster is not None:
        client.cluster.adapt(minimum=low, maximum=high)
    else:
        client.log_event(TOPIC, {"fixed": low == high})
