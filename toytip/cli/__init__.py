"""The command line: parses options, resolves settings, calls the pipeline and prints results.

Commands import heavy modules inside their functions, so that `--help` is fast.
"""

from toytip.cli.app import app
from toytip.cli.command import run_cli

__all__ = ["app", "run_cli"]
