"""As many workers as there is work for, between two bounds; and as many as there can be, unchanging, while it trains.

A row stage is many small tasks, any of which may move; training is one task on each rank, and a rank that goes is a loss.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

from toytip.config import MAX_WORKERS, Settings
from toytip.errors import ConfigError

LIMITS_KEY = "toytip-adapt"
SCALE_UP_TIMEOUT_S = 120


def parse_adapt(settings: Settings) -> tuple[int, int] | None:
    """Return the fewest and the most workers; None where their number is fixed. Raises ConfigError.

    >>> parse_adapt(Settings(adapt="2:8"))
    (2, 8)
    """
    if settings.adapt is None:
        return None
    low, high = map(int, settings.adapt.split(":"))
    if not 1 <= low <= high <= MAX_WORKERS:
        raise ConfigError(
            f"--adapt {settings.adapt}: write it as MIN:MAX, two numbers from 1 to {MAX_WORKERS}"
        )
    return low, high


def enable_adaptive(client: Any, settings: Settings) -> None:
    """Have the cluster that this process has started follow the work, and keep all its workers while any run trains."""
    limits = parse_adapt(settings)
    if limits is None:
        return
    from toytip.cluster.adaptive_plugin import HOLD_TOPIC, SizeHoldPlugin

    low, high = limits
    adaptive = client.cluster.adapt(minimum=low, maximum=high)

    def hear(event: tuple[float, dict[str, bool]]) -> None:
        adaptive.minimum = high if event[1]["held"] else low

    client.subscribe_topic(HOLD_TOPIC, hear)
    client.register_plugin(SizeHoldPlugin(client.id))
    client.set_metadata(LIMITS_KEY, limits)


def adaptive_limits(client: Any) -> tuple[int, int] | None:
    """Return the fewest and the most workers that a cluster may have; None where their number is fixed.

    A run may know no more of a cluster than its address: the cluster says it itself.
    """
    found = client.get_metadata(LIMITS_KEY, default=None)
    return found and tuple(found)


@contextlib.contextmanager
def hold_size(client: Any) -> Iterator[None]:
    """Have all the workers that there can be, and keep them, for as long as the context lasts, of this run or another."""
    limits = adaptive_limits(client)
    if limits is None:
        yield
        return
    token = secrets.token_hex(8)
    _set_hold(client, token, active=True)
    try:
        # A queue may not give them all: then it trains on those that came.
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(limits[1], timeout=SCALE_UP_TIMEOUT_S)
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            _set_hold(client, token, active=False)


def _set_hold(client: Any, token: str, *, active: bool) -> None:
    client.sync(client.scheduler.toytip_hold, token=token, client=client.id, wanted=active)
