"""The command line: parse, resolve the settings, call, and turn our errors into one line and an exit code.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

from toytip.cli import run, stages, models, serve, backtest, tune, monitor, look, history, upkeep, cluster  # noqa: F401, I001 - they register themselves, in the order of the help
from toytip.cli.app import app
from toytip.cli.shell import guarded

__all__ = ["app", "guarded"]
