"""The promotion gate of a run, in processes that prepare it while the workers compute.

One process opens the registry early, which takes seconds, and runs the gate at the end. The other
process scores the golden set. It has imported XGBoost, but has never seen a trip or a model.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from toytip.core.collector import collect_rarely
from toytip.core.model import TrainedModel
from toytip.datasets.project.trust import CodePolicy, get_policy, set_policy
from toytip.errors import RegistryError
from toytip.evaluation.gate import GateDecision
from toytip.models.package_check import Verify, answer_checks, verify_in_checker, verify_in_interpreter
from toytip.models.registry import Registry
from toytip.pipeline.promote import Challenger, ChampionMatch, match_champion, run_gate
from toytip.store.store import Store

# The preparation uses idle cores, and should not slow down the workers.
NICENESS = 10
EXIT_TIMEOUT_S = 10


class Gate(Protocol):
    """The promotion gate for the models of one registry."""

    def match_champion(self, model: TrainedModel) -> ChampionMatch:
        """Return the champion with which a model is compared on the model's test rows."""

    def start(
        self, store: Store, match: ChampionMatch, challenger: Challenger, *, dry_run: bool
    ) -> Callable[[], GateDecision]:
        """Start the gate. Returns a function that waits for the decision."""


@dataclass(frozen=True)
class LocalGate:
    """The gate in this process, which runs when its decision is requested."""

    registry: Registry
    verify: Verify = verify_in_interpreter

    def match_champion(self, model: TrainedModel) -> ChampionMatch:
        """See Gate."""
        return match_champion(self.registry, model)

    def start(
        self, store: Store, match: ChampionMatch, challenger: Challenger, *, dry_run: bool
    ) -> Callable[[], GateDecision]:
        """See Gate."""
        return functools.partial(
            run_gate, store, self.registry, match, challenger, verify=self.verify, dry_run=dry_run
        )


@dataclass(frozen=True)
class ProcessGate:
    """The gate in another process, which runs `_serve_gate`."""

    process: Connection

    def match_champion(self, model: TrainedModel) -> ChampionMatch:
        """See Gate."""
        self._send("match_champion", model)
        match: ChampionMatch = self._receive()
        return match

    def start(
        self, store: Store, match: ChampionMatch, challenger: Challenger, *, dry_run: bool
    ) -> Callable[[], GateDecision]:
        """See Gate."""
        self._send("decide", store, match, challenger, dry_run)
        return self._receive

    def _send(self, *request: Any) -> None:
        with _as_registry_error():
            self.process.send(request)

    def _receive(self) -> Any:
        with _as_registry_error():
            reply = self.process.recv()
        if isinstance(reply, Exception):
            raise reply
        return reply


@contextlib.contextmanager
def _as_registry_error() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError):
        raise RegistryError("cannot run the promotion gate: its process has exited") from None


@contextlib.contextmanager
def prepare_gate(registry: Registry, *, in_process: bool, create: bool) -> Iterator[Gate]:
    """Yield the gate for the models of a registry.

    With `in_process`, processes of the fork server prepare and run the gate. They exit when the
    context ends, and stop early after an error in the context. With `create`, they create the
    database of the registry if it does not exist.
    """
    if not in_process:
        yield LocalGate(registry)
        return
    context = multiprocessing.get_context("forkserver")
    (client_end, gate_end), (asking_end, answering_end) = context.Pipe(), context.Pipe()
    processes = [
        context.Process(target=_serve_checks, args=(answering_end,), daemon=True),
        context.Process(
            target=_serve_gate, args=(gate_end, asking_end, registry, get_policy(), create), daemon=True
        ),
    ]
    try:
        for process in processes:
            process.start()
        for connection in (gate_end, asking_end, answering_end):
            connection.close()  # the processes have copies
        yield ProcessGate(client_end)
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        client_end.close()
        for process in processes:
            _wait_for_exit(process)


def _wait_for_exit(process: BaseProcess) -> None:
    process.join(EXIT_TIMEOUT_S)
    if process.is_alive():
        process.kill()
        process.join()


def _serve_gate(
    requests: Connection, checker: Connection, registry: Registry, policy: CodePolicy, create: bool
) -> None:
    """Open the registry, and answer requests until the process of the run closes the connection."""
    signal.signal(signal.SIGTERM, _interrupt)
    _exit_with_parent()
    os.nice(NICENESS)
    collect_rarely()
    set_policy(policy)
    gate = LocalGate(registry, verify=functools.partial(verify_in_checker, checker))
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        with contextlib.suppress(Exception):  # a request raises the same error
            registry.prepare(create=create)
        while True:
            requests.send(_reply(gate, *requests.recv()))


def _reply(gate: LocalGate, name: str, *args: Any) -> ChampionMatch | GateDecision | Exception:
    """Return the result of a request, or its error, which the process of the run raises again."""
    try:
        if name == "match_champion":
            return gate.match_champion(*args)
        store, match, challenger, dry_run = args
        return gate.start(store, match, challenger, dry_run=dry_run)()
    except Exception as error:  # noqa: BLE001 - raised again
        return error


def _serve_checks(requests: Connection) -> None:
    """Answer the requests of the process of the gate until it closes the connection."""
    _exit_with_parent()
    os.nice(NICENESS)
    answer_checks(requests)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _exit_with_parent() -> None:
    """Exit at once if the process of the run is killed, so that nothing is registered later."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
