"""Check a packaged model in a separate process, which has nothing but the files of the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from toytip.errors import RegistryError
from toytip.models.package import verify_package

TIMEOUT_S = 120
# Verifies the package in a folder, and returns the result as a message. Raises RegistryError.
Verify = Callable[[Path], str]


def verify_in_interpreter(folder: Path) -> str:
    """Verify the package in a folder in a new interpreter, and return the result as a message.

    Raises RegistryError if the check fails.
    """
    command = [sys.executable, "-m", "toytip.models.package", str(folder)]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise _timeout() from None
    lines = (process.stdout or process.stderr).strip().splitlines()
    message = lines[-1] if lines else "the process printed nothing"
    if process.returncode:
        raise RegistryError(message)
    return message


def verify_in_checker(checker: Connection, folder: Path) -> str:
    """Verify the package in a folder in a process that runs `answer_checks`.

    Returns the result as a message. Raises RegistryError if the check fails, or if the process has
    exited.
    """
    try:
        checker.send(folder)
        if not checker.poll(TIMEOUT_S):
            raise _timeout()
        reply: str | RegistryError = checker.recv()
    except (OSError, EOFError):
        raise RegistryError("the process that scores the golden set has exited") from None
    if isinstance(reply, RegistryError):
        raise reply
    return reply


def answer_checks(requests: Connection) -> None:
    """Verify packages until the other process closes the connection."""
    while True:
        try:
            folder: Path = requests.recv()
        except EOFError:
            return
        try:
            requests.send(verify_package(folder))
        except (RegistryError, OSError, ValueError) as error:
            requests.send(RegistryError(str(error)))


def _timeout() -> RegistryError:
    return RegistryError(f"the golden set was not scored within {TIMEOUT_S} s")
