"""The console script. Workers import this module again when they start: it stays light."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line. Ctrl-C during the imports also exits with 130, without a traceback."""
    try:
        from toytip.cli import app, run_cli

        code = run_cli(app)
    except KeyboardInterrupt:
        os.write(2, b"stopped\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
