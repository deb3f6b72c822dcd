"""held: on the scheduler of an elastic cluster: which runs hold it at its size while they train."""

from __future__ import annotations

from typing import Any

from distributed import SchedulerPlugin

HOLD_TOPIC = "toytip-held"


class SizeHoldPlugin(SchedulerPlugin):  # type: ignore[misc]
    """Has a token of every run that trains, until that gives it back or its client goes; tells the deployer whether any is left.

    The deployer listens as the client of that id.
    """

    name = HOLD_TOPIC
    idempotent = True

    def __init__(self, deployer: str) -> None:
        self.deployer = deployer

    async def start(self, scheduler: Any) -> None:
        """See SchedulerPlugin."""
        self.scheduler = scheduler
        self.tokens: dict[str, str] = {}
        scheduler.handlers["toytip_hold"] = self.hold
        # What the client itself has sent of it may come later than the first hold.
        scheduler.subscribe_topic(HOLD_TOPIC, self.deployer)

    def hold(self, token: str, client: str, active: bool) -> None:
        """Take a token of a client, or give it back."""
        if active and client in self.scheduler.clients:  # one that has gone could never give it back
            self.tokens[token] = client
        else:
            self.tokens.pop(token, None)
        self._notify()

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002 - the hook's fixed signature
        """See SchedulerPlugin: a run that has gone without a word trains no more."""
        left = {token: holder for token, holder in self.tokens.items() if holder != client}
        if len(left) < len(self.tokens):
            self.tokens = left
            self._notify()

    def _notify(self) -> None:
        self.scheduler.log_event(HOLD_TOPIC, {"held": bool(self.tokens)})
