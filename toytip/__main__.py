"""The console script. Workers import this module again when they start: it stays light."""

from __future__ import annotations

import os
import sys

from toytip.core.collector import collect_rarely, end_collection


def main() -> None:
    """Run the command line. Ctrl-C during the imports also exits with 130, without a traceback."""
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
