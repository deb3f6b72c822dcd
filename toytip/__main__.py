"""The console script. It has few imports, because workers import this module when they start."""

from __future__ import annotations

import contextlib
import os
import sys

from toytip import unsupported_system
from toytip.core.collector import collect_rarely, end_collection


def main() -> None:
    """Run the command line. Ctrl-C during the imports also exits with 130, without a traceback."""
    if cause := unsupported_system():
        _write_stderr(f"error: {cause}\n")
        sys.exit(1)
    _open_standard_files()
    collect_rarely()
    try:
        from toytip.cli import app, run_cli

        code = run_cli(app)
    except KeyboardInterrupt:
        _write_stderr("stopped\n")
        code = 130
    end_collection()
    sys.exit(code)


def _write_stderr(text: str) -> None:
    with contextlib.suppress(OSError):  # stderr may be full or closed
        os.write(2, text.encode())


def _open_standard_files() -> None:
    """Open stdin, stdout and stderr if they are closed, so that no data file takes their place.

    Libraries print messages to stderr, which would then be in a data file. `sys.stdout` and
    `sys.stderr` remain None.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free. Workers need these files, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


if __name__ == "__main__":
    main()
