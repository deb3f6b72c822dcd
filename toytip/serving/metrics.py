"""Prometheus metrics of the scoring server."""

from __future__ import annotations

import prometheus_client as prom


class ServerMetrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = prom.CollectorRegistry()
        self.requests = prom.Counter(
            "toytip_requests", "Requests by status.", ["status"], registry=self.registry
        )
        self.trips = prom.Counter(
            "toytip_trips", "Trips by outcome: scored or rejected.", ["outcome"], registry=self.registry
        )
        self.request_seconds = prom.Histogram(
            "toytip_score_seconds", "Duration of scoring requests in seconds.", registry=self.registry
        )
        self.reloads = prom.Counter(
            "toytip_reloads", "Model reloads by outcome.", ["outcome"], registry=self.registry
        )
        self.model = prom.Info("toytip_model", "The model that answers requests.", registry=self.registry)
