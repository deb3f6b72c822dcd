"""Adaptive scaling: the number of workers follows the load, but is fixed while any run trains.

Partition-wise stages consist of many small tasks, which can move between workers. Training has one
task per rank, and starts again from its checkpoint if the worker of a rank stops.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

from toytip.config import MAX_WORKERS, Settings
from toytip.errors import ConfigError

LIMITS_KEY = "toytip-adapt"
SCALE_UP_TIMEOUT_S = 120


class AdaptiveLimits(NamedTuple):
    """The minimum and maximum number of workers."""

    minimum: int
    maximum: int


def parse_adapt(settings: Settings) -> AdaptiveLimits | None:
    """Return the limits of `--adapt`, or None if the number of workers is fixed.

    Raises ConfigError if the limits are out of range.

    >>> parse_adapt(Settings(adapt="2:8"))
    AdaptiveLimits(minimum=2, maximum=8)
    """
    if settings.adapt is None:
        return None
    minimum, maximum = map(int, settings.adapt.split(":"))
    if not 1 <= minimum <= maximum <= MAX_WORKERS:
        raise ConfigError(
            f"cannot use --adapt {settings.adapt}: the limits are out of range",
            hint=f"Set --adapt to MIN:MAX, two numbers from 1 to {MAX_WORKERS}, with MIN not above MAX.",
        )
    return AdaptiveLimits(minimum, maximum)


def enable_adaptive(client: Any, settings: Settings) -> None:
    """Let the client's cluster scale with the load, but stay at its maximum during training."""
    limits = parse_adapt(settings)
    if limits is None:
        return
    from toytip.cluster.adaptive_plugin import HOLD_TOPIC, SizeHoldPlugin

    adaptive = client.cluster.adapt(minimum=limits.minimum, maximum=limits.maximum)

    def update_minimum(event: tuple[float, dict[str, bool]]) -> None:
        adaptive.minimum = limits.maximum if event[1]["held"] else limits.minimum

    client.subscribe_topic(HOLD_TOPIC, update_minimum)
    client.register_plugin(SizeHoldPlugin(client.id))
    client.set_metadata(LIMITS_KEY, limits)


def adaptive_limits(client: Any) -> AdaptiveLimits | None:
    """Return the limits of a running cluster, or None if its number of workers is fixed.

    The limits are stored on the scheduler, because a run may know only the scheduler's address.
    """
    limits = client.get_metadata(LIMITS_KEY, default=None)
    return AdaptiveLimits(*limits) if limits else None


@contextlib.contextmanager
def hold_size(client: Any) -> Iterator[None]:
    """Scale the cluster to its maximum. The size stays fixed while any run is in this context."""
    limits = adaptive_limits(client)
    if limits is None:
        yield
        return
    token = secrets.token_hex(8)
    _set_hold(client, token, active=True)
    try:
        # The queue of a cluster may not start all workers in time. Training then uses the workers
        # that have started.
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(limits.maximum, timeout=SCALE_UP_TIMEOUT_S)
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            _set_hold(client, token, active=False)


def _set_hold(client: Any, token: str, *, active: bool) -> None:
    client.sync(client.scheduler.toytip_hold_size, token=token, client=client.id, active=active)
