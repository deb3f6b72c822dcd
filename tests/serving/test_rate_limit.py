"""The token buckets of clients."""

from toytip.serving import rate_limit
from toytip.serving.rate_limit import RateLimiter


def test_a_client_has_a_burst_and_then_its_rate():
    limiter = RateLimiter(requests_per_second=10)
    assert [limiter.seconds_to_wait("a", 0.0) > 0 for _ in range(21)] == [False] * 20 + [True]
    assert limiter.seconds_to_wait("b", 0.0) == 0
    assert limiter.seconds_to_wait("a", 0.11) == 0


def test_the_client_with_the_oldest_request_is_forgotten(monkeypatch):
    monkeypatch.setattr(rate_limit, "MAX_TRACKED_CLIENTS", 2)
    limiter = RateLimiter(requests_per_second=1)
    for client in ("a", "b", "a", "c"):
        limiter.seconds_to_wait(client, 0.0)
    assert list(limiter.buckets) == ["a", "c"]


def test_a_rate_of_zero_is_no_limit():
    limiter = RateLimiter(requests_per_second=0)
    assert [limiter.seconds_to_wait("a", 0.0) for _ in range(99)] == [0.0] * 99
