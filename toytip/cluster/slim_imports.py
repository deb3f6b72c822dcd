"""lean: to import this is to import Dask and XGBoost without what they import only because it is installed.

Dask's arrays ask for `sparse`, which brings numba and LLVM; XGBoost asks for scikit-learn, for estimators that toytip does
not use. Neither is met in a run, and together they are 67 MB in every process that imports
them by itself, and half of the time that it takes.

It is for processes of toytip's own, the command's and the fork server's: in anyone else's, `xgboost.XGBClassifier` would
be without its base.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _hide_package(name: str) -> Iterator[None]:
    """Have a package look as if it were not installed, unless it has been imported before."""
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # what the import system itself takes for absent
    try:
        yield
    finally:
        if hidden:
            del sys.modules[name]


with _hide_package("sparse"), _hide_package("sklearn"):
    import dask.dataframe
    import xgboost.dask

__all__ = ["dask", "xgboost"]
