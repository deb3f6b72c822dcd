"""Import Dask and XGBoost without optional packages that toytip does not need.

Dask's arrays import `sparse`, which loads numba and LLVM, and SciPy. XGBoost imports scikit-learn
for estimators that toytip does not use. A run needs none of these imports. Together, `sparse` and
scikit-learn take 67 MB of memory in every process that imports them, and half of the import time.

Import this module only in toytip's own processes (the command and the fork server). In other
programs, `xgboost.XGBClassifier` would lose its base class.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _hide_package(name: str) -> Iterator[None]:
    """Make a package appear as not installed, unless it is already imported."""
    is_hidden = name not in sys.modules
    if is_hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # the import system's mark of a missing module
    try:
        yield
    finally:
        if is_hidden:
            del sys.modules[name]


with _hide_package("sparse"), _hide_package("sklearn"):
    with _hide_package("scipy"):
        import dask.dataframe
    import xgboost.dask

__all__ = ["dask", "xgboost"]
