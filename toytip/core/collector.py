"""The garbage collector of processes that import large libraries and soon end."""

from __future__ import annotations

import gc

# The imports create several hundred thousand objects that stay. By default, the collector visits
# them again and again, which takes half a second of a run.
THRESHOLDS = (100_000, 50, 50)


def collect_rarely() -> None:
    """Start the collector only after many new objects."""
    gc.set_threshold(*THRESHOLDS)


def end_collection() -> None:
    """Exclude all objects from collection. At exit, visiting them would take half a second."""
    gc.freeze()
