"""Clusters that are left running: brought up, remembered in a private folder, and taken down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from toytip.cluster.definitions import definition
from toytip.config import Settings
from toytip.errors import ClusterError

ENDS_S = 60


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A cluster that was brought up: where it is, and the process that holds it."""

    name: str
    kind: str
    address: str
    dashboard: str
    pid: int
    started: float


def folder_of(settings: Settings) -> Path:
    """Return the folder that remembers clusters, for its owner alone."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    folder = Path(settings.state or f"{state}/toytip").expanduser() / "clusters"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def remember(settings: Settings, standing: Standing) -> None:
    """Write down a cluster that is up."""
    target = folder_of(settings) / f"{standing.name}.json"
    part = target.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(standing), file)
    part.replace(target)


def standing_of(settings: Settings) -> Standing | None:
    """Return the cluster of the settings' name that is up; None where there is none, or its holder is gone."""
    path = folder_of(settings) / f"{settings.cluster or 'local'}.json"
    try:
        found = Standing(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if _holds(found):
        return found
    path.unlink(missing_ok=True)
    return None


def _holds(standing: Standing) -> bool:
    """Tell whether the process that holds a cluster lives, and is not another that has got its number."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(standing.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - standing.started) < 1
    return False


def address_of(settings: Settings) -> str | None:
    """Return the address of a scheduler that is there already; None where workers must be started."""
    if settings.scheduler or settings.cluster is None:
        return settings.scheduler
    found = definition(settings)
    if found.kind in ("existing", "compose"):
        return found.scheduler
    there = standing_of(settings)
    return there.address if there else None


def starts_here(settings: Settings) -> bool:
    """Tell whether the run starts workers of its own on this machine, from which nothing differs."""
    return address_of(settings) is None and definition(settings).kind == "local"


def up(settings: Settings) -> str:
    """Start the cluster that the settings name and leave it running; return its address.

    Raises ClusterError where it is up already, cannot be started, or is not ours to start.
    """
    found, name = definition(settings), settings.cluster
    if found.kind == "existing":
        raise ClusterError(
            f"cluster {name} is of kind existing: whoever started it at {found.scheduler} ends it"
        )
    if found.kind == "compose":
        scale = ["--scale", f"worker={settings.workers}"] if settings.workers else []
        _compose(settings, "up", "--detach", "--wait", *scale)
        return str(found.scheduler)
    if there := standing_of(settings):
        raise ClusterError(
            f"cluster {name} is up already, at {there.address}; `toytip cluster down {name}` ends it"
        )
    return _held(settings)


def _held(settings: Settings) -> str:
    """Start a process that holds the cluster; it gets the settings through a pipe, and says on it when all is up."""
    log = folder_of(settings) / f"{settings.cluster}.log"
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as errors:
        holder = subprocess.Popen(
            [sys.executable, "-m", "toytip.cluster.holder"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
        )  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        holder.stdin.write(settings.model_dump_json())
        holder.stdin.close()
        said = holder.stdout.readline().strip()
    except KeyboardInterrupt:
        holder.terminate()
        holder.wait(ENDS_S)
        raise
    kind, _, rest = said.partition(" ")
    if kind == "up":
        return rest
    raise ClusterError(rest or f"cluster {settings.cluster} could not be started; see {log}")


def down(settings: Settings) -> bool:
    """End the cluster that the settings name; tell whether it was up. Raises ClusterError where it is not ours to end."""
    found, name = definition(settings), settings.cluster
    if found.kind == "existing":
        raise ClusterError(
            f"cluster {name} is of kind existing: whoever started it at {found.scheduler} ends it"
        )
    if found.kind == "compose":
        _compose(settings, "down")
        return True
    there = standing_of(settings)
    if there is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(there.pid, signal.SIGTERM)
    end = time.monotonic() + ENDS_S
    while _holds(there):
        if time.monotonic() > end:
            raise ClusterError(
                f"cluster {name}: process {there.pid} has not ended within {ENDS_S} s; end it by hand"
            )
        time.sleep(0.1)
    (folder_of(settings) / f"{name}.json").unlink(missing_ok=True)
    return True


def _compose(settings: Settings, *command: str) -> None:
    """Have docker compose do something with the file of the definition. Raises ClusterError."""
    found = definition(settings)
    words = ["docker", "compose", "--file", str(found.manifest), *command]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise ClusterError(
            "there is no docker here; a cluster of kind compose needs Docker with its compose plugin"
        ) from None
    if done.returncode:
        last = (done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ClusterError(f"`{' '.join(words)}` failed: {last}")
