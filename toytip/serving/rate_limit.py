"""A limit of the request rate per client."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

# If there are more clients than this, the limiter forgets the client with the oldest last request.
MAX_TRACKED_CLIENTS = 10_000
BURST_SECONDS = 2


class TokenBucket(NamedTuple):
    """The tokens of a client at a point in time. Each request takes one token."""

    tokens: float
    updated_at: float


@dataclass
class RateLimiter:
    """Token buckets by client. A bucket gets `requests_per_second` tokens per second (0: no limit).

    A bucket holds the tokens of up to `BURST_SECONDS`, so that a client can send short bursts.
    """

    requests_per_second: float
    buckets: OrderedDict[str, TokenBucket] = field(default_factory=OrderedDict)

    def seconds_to_wait(self, client: str, now: float) -> float:
        """Return the seconds that a client must wait. Without a wait, the request takes a token."""
        if self.requests_per_second <= 0:
            return 0.0
        capacity = max(BURST_SECONDS * self.requests_per_second, 1.0)
        bucket = self.buckets.pop(client, TokenBucket(capacity, now))
        refill = (now - bucket.updated_at) * self.requests_per_second
        tokens = min(capacity, bucket.tokens + refill)
        is_allowed = tokens >= 1
        self.buckets[client] = TokenBucket(tokens - is_allowed, now)
        while len(self.buckets) > MAX_TRACKED_CLIENTS:
            self.buckets.popitem(last=False)
        return 0.0 if is_allowed else (1 - tokens) / self.requests_per_second
