"""As many workers as there is work for, between two bounds; and as many as there can be, unchanging, while it trains.

A row stage is many small tasks, any of which may move; training is one task on each rank, and a rank that goes is a loss.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

from toytip.config import MOST, Settings
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
    if not 1 <= low <= high <= MOST:
        raise ConfigError(f"--adapt {settings.adapt}: write it as MIN:MAX, two numbers from 1 to {MOST}")
    return low, high


def begin(client: Any, settings: Settings) -> None:
    """Have the cluster that this process has started follow the work, and keep all its workers while any run trains."""
    limits = bounds(settings)
    if limits is None:
        return
    from toytip.cluster.held import TOPIC as HELD
    from toytip.cluster.held import Held

    low, high = limits
    adaptive = client.cluster.adapt(minimum=low, maximum=high)

    def hear(event: tuple[float, dict[str, bool]]) -> None:
        adaptive.minimum = high if event[1]["held"] else low

    client.subscribe_topic(HELD, hear)
    client.register_plugin(Held(client.id))
    client.set_metadata(TOPIC, limits)


def limits_of(client: Any) -> tuple[int, int] | None:
    """Return the fewest and the most workers that a cluster may have; None where their number is fixed.

    A run may know no more of a cluster than its address: the cluster says it itself.
    """
    found = client.get_metadata(TOPIC, default=None)
    return found and tuple(found)


@contextlib.contextmanager
def fixed(client: Any) -> Iterator[None]:
    """Have all the workers that there can be, and keep them, for as long as the context lasts, of this run or another."""
    limits = limits_of(client)
    if limits is None:
        yield
        return
    token = secrets.token_hex(8)
    _hold(client, token, wanted=True)
    try:
        # A queue may not give them all: then it trains on those that came.
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(limits[1], timeout=GROWS_S)
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            _hold(client, token, wanted=False)


def _hold(client: Any, token: str, *, wanted: bool) -> None:
    client.sync(client.scheduler.toytip_hold, token=token, client=client.id, wanted=wanted)
