"""The command line: parse, resolve the settings, call, and turn our errors into one line and an exit code.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

# They register themselves, in the order of the help.
from toytip.cli import run, stages, models, score, backtest, tune, monitor  # noqa: F401, I001
from toytip.cli import source, report, versions, maintenance, cluster  # noqa: F401
from toytip.cli.app import app
from toytip.cli.command import run_cli

__all__ = ["app", "run_cli"]
