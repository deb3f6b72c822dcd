"""The default style of Matplotlib, whatever style a user or a program has configured."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

# Settings of windows and of the process, which do not change a drawing.
_OTHER_SETTINGS = (
    "backend",
    "interactive",
    "toolbar",
    "tk.",
    "webagg.",
    "docstring.",
    "keymap.",
    "savefig.directory",
    "date.epoch",
)


@contextlib.contextmanager
def default_style(changes: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Draw with the default style and some changes. Restore the configured style afterwards.

    A configuration file of a user could, for example, require LaTeX.
    """
    import matplotlib as mpl

    configured, defaults = mpl.rcParams, mpl.rcParamsDefault
    differences = {name: defaults[name] for name in _style_settings() if configured[name] != defaults[name]}
    with mpl.rc_context({**differences, **(changes or {})}):
        yield


@functools.cache
def _style_settings() -> tuple[str, ...]:
    import matplotlib as mpl

    return tuple(name for name in mpl.rcParamsDefault if not name.startswith(_OTHER_SETTINGS))
