"""The console script. It has few imports, because workers import this module when they start."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from toytip.core.collector import collect_rarely, end_collection

UNSUPPORTED_SYSTEM = b"error: toytip needs Linux or macOS. On Windows, use WSL 2\n"


def main() -> None:
    """Run the command line. Ctrl-C during the imports also exits with 130, without a traceback."""
    if find_spec("fcntl") is None:  # Windows
        os.write(2, UNSUPPORTED_SYSTEM)
        sys.exit(1)
    collect_rarely()
    try:
        from toytip.cli import app, run_cli

        code = run_cli(app)
    except KeyboardInterrupt:
        os.write(2, b"stopped\n")
        code = 130
    end_collection()
    sys.exit(code)


if __name__ == "__main__":
    main()
