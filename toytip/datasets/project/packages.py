"""The packages that a module of a project imports, as a part of the digests of its code."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

# Folders of installed packages.
PACKAGE_FOLDERS = {"site-packages", "dist-packages"}
# Packages that do not change, or whose versions and code are in all fingerprints.
_KNOWN_PACKAGES = {*sys.stdlib_module_names, "toytip", "numpy", "pandas", "pyarrow", "sklearn", "xgboost"}


@functools.cache
def describe_package(name: str) -> str:
    """Return the version of a package in `site-packages`, else a digest of its files, or `missing`.

    An editable package has a version, but its files can change.

    >>> describe_package("math"), describe_package("not_installed")
    ('', 'not_installed missing')
    """
    if name in _KNOWN_PACKAGES:
        return ""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return f"{name} missing"
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    files = files or [Path(spec.origin or "")]
    if PACKAGE_FOLDERS.intersection(files[0].parts):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            pass  # the distribution has another name
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]
    return f"{name} {' '.join(contents)}"
