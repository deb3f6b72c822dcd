"""The versions of toytip, Python and the packages that determine the output bytes."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
from pathlib import Path

COMPARED_PACKAGES = ("dask", "distributed", "numpy", "pandas", "pyarrow", "xgboost")
# Versions by package name. The version of `toytip` includes the digest of its code.
PackageVersions = dict[str, str]


@functools.cache
def local_versions() -> PackageVersions:
    """Return the versions of toytip, Python, and the packages that determine the output bytes."""
    return {
        "toytip": f"{_package_version('toytip')} (code {_code_digest()})",
        "Python": platform.python_version(),
        **{name: _package_version(name) for name in COMPARED_PACKAGES},
    }


def _package_version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"


def _code_digest(root: Path = Path(__file__).parents[1]) -> str:
    """Return a digest of all modules of the package.

    Two different checkouts can have the same version number.
    """
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:8]
