"""Prometheus metrics of the scoring server."""

from __future__ import annotations

from collections.abc import Iterable

import prometheus_client as prom

from toytip.core.model import TrainedModel


class ServerMetrics:
    """The metrics of one server, in their own registry."""

    def __init__(self) -> None:
        self.registry = prom.CollectorRegistry()
        self.requests = prom.Counter(
            "toytip_requests", "Number of requests by HTTP status.", ["status"], registry=self.registry
        )
        self.trips = prom.Counter(
            "toytip_trips",
            "Number of trips by outcome: scored, or the reason why a trip has no probability.",
            ["outcome"],
            registry=self.registry,
        )
        self.request_seconds = prom.Histogram(
            "toytip_score_seconds", "Duration of scoring requests in seconds.", registry=self.registry
        )
        self.reloads = prom.Counter(
            "toytip_reloads",
            "Number of model reloads by outcome: done or failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.model = prom.Info(
            "toytip_model", "The models that answer requests.", ["taxi"], registry=self.registry
        )

    def show_models(self, models: Iterable[TrainedModel]) -> None:
        """Replace the metrics of the models that answer requests."""
        self.model.clear()
        for model in models:
            self.model.labels(model.taxi).info(
                {
                    "version": model.version,
                    "segment": model.encoding.segment,
                    "threshold": repr(model.threshold),
                }
            )
