"""Stop a run at an exact step. Importing this module wraps the function in the variable KILL_AT.

The gate and the registry run in a process of their own, which the fork server starts. The variable
and `run_until` therefore install the wrapper in the fork server too.
"""

import functools
import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

VARIABLE = "TEST_KILL_AT"
MODULE = "tests.support.kill_at"
START = f"""
import sys
from toytip.cluster.local import PRELOADED_MODULES
PRELOADED_MODULES.append({MODULE!r})
import {MODULE}
from toytip.__main__ import main
sys.exit(main())
"""
STOP_TIMEOUT_S = 60


class Step(NamedTuple):
    """A call of a function: before or after it, and the number of the call in its process."""

    module: str
    function: str
    when: str
    call: int = 1


def run_until(step, number, *args):
    """Run the command line, which gets a signal at a step."""
    return subprocess.run(
        [sys.executable, "-c", START, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, VARIABLE: json.dumps([*step, int(number)])},
    )


def _stop_run(number):
    """Send a signal to the process of the run, and stay at this step until the run has stopped."""
    parent = multiprocessing.parent_process()
    if parent is None:
        os.kill(os.getpid(), number)
        return
    os.kill(parent.pid, number)
    if number == signal.SIGKILL:
        os.kill(os.getpid(), number)
    time.sleep(STOP_TIMEOUT_S)
    raise AssertionError("the run has not stopped this process")


def _install(module, function, when, call, number):
    *owners, name = function.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    original, calls = getattr(owner, name), []

    @functools.wraps(original)
    def stopped(*args, **kwargs):
        calls.append(name)
        if when == "before" and len(calls) == call:
            _stop_run(number)
        result = original(*args, **kwargs)
        if when == "after" and len(calls) == call:
            _stop_run(number)
        return result

    setattr(owner, name, stopped)


if VARIABLE in os.environ:
    _install(*json.loads(os.environ[VARIABLE]))
