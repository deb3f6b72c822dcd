"""The engines: folders with `engine.toml` and an executable `run`, and their environments."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.results import InvalidInputError

ENGINES = Path(__file__).parent / "engines"
ENGINE_FILE = "engine.toml"
# A file of this name in the folder of an environment lists the packages of a complete installation.
COMPLETE = "complete.txt"
KINDS, TIMES = ("vanilla", "tuned"), ("wall", "laps")


class InstallationError(RuntimeError):
    """An engine whose packages or programs cannot be installed."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine, as its `engine.toml` describes it."""

    folder: Path
    """Folder of the engine."""
    name: str
    """Name in the results, which is the name of the folder."""
    description: str
    """Programs and libraries of the engine, in one or two sentences."""
    languages: list[str]
    """Languages in which the engine is written."""
    kind: str
    """`vanilla` for the settings of the documentation, `tuned` for settings for this job."""
    job: str
    """Name of the job in `RULES.md`, which is the name of a workload."""
    requirements: list[str]
    """Packages of the engine, as pip names them. Empty if `install` prepares the engine."""
    version_of: list[str]
    """Packages whose versions identify the version of the engine."""
    install: list[str] = field(default_factory=list)
    """Command that prepares the engine, run in its folder. Empty without such a command."""
    run: str = "run"
    """Executable, relative to the folder."""
    trains_alike: bool = True
    """Whether the engine trains the same model as toytip, so that both have a similar AUC."""
    isolated: bool = False
    """Whether the engine has only the loopback interface, because it opens ports on others."""
    optional: bool = False
    """Whether the engine runs only if it is named."""
    time: str = "wall"
    """`wall` for the time of the command, `laps` for the sum of its laps."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the job that only this engine has."""

    @property
    def program(self) -> Path:
        """The executable."""
        return (self.folder / self.run).resolve()


def load_engine(folder: Path) -> Engine:
    """Return the engine in a folder. Raises InvalidInputError if the folder is not an engine."""
    file = folder / ENGINE_FILE
    try:
        record = tomllib.loads(file.read_text(encoding="utf-8"))
        engine = Engine(folder=folder, **record)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInputError(f"cannot use engine {folder.name}: {error}") from None
    problems = {
        f"name is not {folder.name}": engine.name != folder.name,
        f"kind is not {' or '.join(KINDS)}": engine.kind not in KINDS,
        f"time is not {' or '.join(TIMES)}": engine.time not in TIMES,
        f"{engine.program} is not executable": not os.access(engine.program, os.X_OK),
    }
    for problem, is_found in problems.items():
        if is_found:
            raise InvalidInputError(f"cannot use engine {folder.name}: {problem}")
    return engine


def find_engines(folder: Path = ENGINES) -> list[Engine]:
    """Return all engines in the folder of engines, by name."""
    return [load_engine(file.parent) for file in sorted(folder.glob(f"*/{ENGINE_FILE}"))]


def prepare_environment(engine: Engine, environments: Path) -> Path:
    """Return the folder of the programs of an engine's environment, and prepare it once.

    An engine whose packages the benchmark itself has runs in the environment of the benchmark. Any
    other engine gets an environment of its own. Raises InstallationError if the installation fails.
    """
    # Engines with the same program share an environment.
    folder = environments.absolute() / engine.program.parent.name
    has_packages = all(map(_is_installed, engine.requirements))
    programs = Path(sys.executable).parent if has_packages else folder / "bin"
    complete, prepared = folder / COMPLETE, "\n".join([*engine.requirements, *engine.install])
    is_prepared = complete.exists() and complete.read_text() == prepared
    if is_prepared or (has_packages and not engine.install):
        return programs
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not has_packages:
        venv.create(folder, with_pip=True)
        pip = [str(programs / "pip"), "install", "--quiet", *engine.requirements]
        _install(engine, pip, engine.folder)
    if engine.install:
        _install(engine, engine.install, engine.folder)
    complete.write_text(prepared)
    return programs


def _install(engine: Engine, command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        text = done.stderr.strip().splitlines()
        raise InstallationError(f"cannot install engine {engine.name}: {text[-1] if text else 'no message'}")


def _is_installed(requirement: str) -> bool:
    """Return whether this environment has a package. XGBoost has two packages with its module."""
    names = {requirement, requirement.removesuffix("-cpu")}
    return any(_version(name) for name in names)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def engine_versions(engine: Engine, programs: Path) -> dict[str, str]:
    """Return the versions of the packages that identify the version of an engine."""
    script = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    done = subprocess.run(
        [str(programs / "python3"), "-c", script], check=True, capture_output=True, text=True
    )
    installed = json.loads(done.stdout)
    return {name: installed[name] for name in engine.version_of if name in installed}
