"""Prometheus metrics of the scoring server."""

from __future__ import annotations

import prometheus_client as prom


class ServerMetrics:
    """The figures of one server, for Prometheus."""

    def __init__(self) -> None:
        self.registry = prom.CollectorRegistry()
        self.requests = prom.Counter(
            "toytip_requests", "Requests, by status.", ["status"], registry=self.registry
        )
        self.trips = prom.Counter(
            "toytip_trips", "Trips, by what became of them.", ["outcome"], registry=self.registry
        )
        self.request_seconds = prom.Histogram(
            "toytip_score_seconds", "Seconds a scoring request took.", registry=self.registry
        )
        self.reloads = prom.Counter(
            "toytip_reloads", "Reloads of the model, by outcome.", ["outcome"], registry=self.registry
        )
        self.model = prom.Info("toytip_model", "The model that answers.", registry=self.registry)
