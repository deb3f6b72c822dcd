"""toytip as a user installs it: a wheel in a virtual environment that does not see the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Without this package, pip downloads it to build the wheel.
BUILD_BACKEND = "hatchling"


def install_wheel(folder: Path) -> Path:
    """Build a wheel, install it without dependencies, and return the folder of its programs.

    The environment has the packages of this one, but not the checkout, because Python follows only
    the `.pth` files of its own environment.
    """
    isolation = ["--no-build-isolation"] if find_spec(BUILD_BACKEND) else []
    _run_pip("wheel", "--no-deps", *isolation, "--wheel-dir", folder / "wheels", ROOT)
    (wheel,) = (folder / "wheels").glob("toytip-*.whl")
    environment = folder / "venv"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    programs = environment / "bin"
    _run_pip("--python", programs / "python", "install", "--no-deps", "--no-index", "--no-compile", wheel)
    return programs


def copy_module(name: str, folder: Path) -> Path:
    """Copy a module that imports nothing of the checkout to a folder, and return the file."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(shutil.copy(spec.origin, folder))


def _run_pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert process.returncode == 0, f"{command}\n{process.stdout}\n{process.stderr}"
