"""A rate limit per client."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

# So many clients are told apart by the rate limit; the one that was quiet longest is forgotten first.
MAX_TRACKED_CLIENTS = 10_000


@dataclass
class RateLimiter:
    """A token bucket for each client: `requests_per_second` requests a second, with a burst of two seconds' worth."""

    requests_per_second: float
    buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def seconds_to_wait(self, client: str, now: float) -> float:
        """Return the seconds that a client must wait; 0 lets the request through, and counts it."""
        if self.requests_per_second <= 0:
            return 0.0
        full = max(2 * self.requests_per_second, 1.0)
        tokens, at = self.buckets.pop(client, (full, now))
        tokens = min(full, tokens + (now - at) * self.requests_per_second)
        through = tokens >= 1
        self.buckets[client] = (tokens - through, now)
        while len(self.buckets) > MAX_TRACKED_CLIENTS:
            self.buckets.popitem(last=False)
        return 0.0 if through else (1 - tokens) / self.requests_per_second
