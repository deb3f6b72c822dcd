"""The home folder of the user, which some libraries need when they are imported."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def ensure_home() -> None:
    """Set `HOME` for a user without a home folder, as in a container with an arbitrary user ID.

    MLflow and Bokeh cannot be imported without a home folder. Child processes inherit the variable.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()
