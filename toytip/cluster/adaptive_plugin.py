"""A scheduler plugin that keeps an adaptive cluster at its size while any run trains."""

from __future__ import annotations

from typing import Any

from distributed import SchedulerPlugin

HOLD_TOPIC = "toytip-hold"


class SizeHoldPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Keeps the cluster at its size while any run trains.

    Every run that trains has a token. The plugin drops the token when the run releases it, or when
    the client of the run disconnects. `deployer` is the ID of the client that scales the cluster.
    After each change, this client receives an event that says whether any token exists.
    """

    name = HOLD_TOPIC
    idempotent = True

    def __init__(self, deployer: str) -> None:
        self.deployer = deployer

    async def start(self, scheduler: Any) -> None:
        """See SchedulerPlugin."""
        self.scheduler = scheduler
        self.clients_by_token: dict[str, str] = {}
        scheduler.handlers["toytip_hold_size"] = self.hold
        # The deployer's own subscription may arrive after the first token.
        scheduler.subscribe_topic(HOLD_TOPIC, self.deployer)

    def hold(self, token: str, client: str, active: bool) -> None:
        """Add a client's token if `active`, otherwise drop it."""
        # A client that has disconnected could never release its token.
        if active and client in self.scheduler.clients:
            self.clients_by_token[token] = client
        else:
            self.clients_by_token.pop(token, None)
        self._notify()

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002 - the hook's fixed signature
        """See SchedulerPlugin: drop the tokens of the disconnected client."""
        remaining = {token: owner for token, owner in self.clients_by_token.items() if owner != client}
        if len(remaining) < len(self.clients_by_token):
            self.clients_by_token = remaining
            self._notify()

    def _notify(self) -> None:
        self.scheduler.log_event(HOLD_TOPIC, {"held": bool(self.clients_by_token)})
