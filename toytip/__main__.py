"""The console script. Workers import this module again when they start: it stays light."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    from toytip.cli import app, run_cli

    sys.exit(run_cli(app))


if __name__ == "__main__":
    main()
