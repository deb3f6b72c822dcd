"""Clusters that are left running: brought up, remembered in a private folder, and taken down."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from toytip.cluster.definitions import load_definition
from toytip.config import Settings
from toytip.errors import ClusterError

STOP_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class ClusterRecord:
    """A cluster that was brought up: where it is, and the process that holds it."""

    name: str
    kind: str
    address: str
    dashboard: str
    pid: int
    started: float


def records_folder(settings: Settings) -> Path:
    """Return the folder that remembers clusters, for its owner alone."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    folder = Path(settings.state_dir or f"{state}/toytip").expanduser() / "clusters"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def save_record(settings: Settings, record: ClusterRecord) -> None:
    """Write down a cluster that is up."""
    target = records_folder(settings) / f"{record.name}.json"
    part = target.with_suffix(".part")
    with _open_private(part) as file:
        json.dump(asdict(record), file)
    part.replace(target)


def find_record(settings: Settings) -> ClusterRecord | None:
    """Return the cluster of the settings' name that is up; None where there is none, or its holder is gone."""
    path = records_folder(settings) / f"{settings.cluster or 'local'}.json"
    try:
        found = ClusterRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if _is_alive(found):
        return found
    path.unlink(missing_ok=True)
    return None


def _is_alive(record: ClusterRecord) -> bool:
    """Tell whether the process that holds a cluster lives, and is not another that has got its number."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(record.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - record.started) < 1
    return False


def scheduler_address(settings: Settings) -> str | None:
    """Return the address of a scheduler that is there already; None where workers must be started."""
    if settings.scheduler or settings.cluster is None:
        return settings.scheduler
    found = load_definition(settings)
    if found.kind in ("existing", "compose"):
        return found.scheduler
    there = find_record(settings)
    return there.address if there else None


def starts_local_workers(settings: Settings) -> bool:
    """Tell whether the run starts workers of its own on this machine, from which nothing differs."""
    return scheduler_address(settings) is None and load_definition(settings).kind == "local"


def start_persistent_cluster(settings: Settings) -> str:
    """Start the cluster that the settings name and leave it running; return its address.

    Raises ClusterError where it is up already, cannot be started, or is not ours to start.
    """
    found, name = load_definition(settings), settings.cluster
    if found.kind == "existing":
        raise ClusterError(
            f"cluster {name} is of kind existing: whoever started it at {found.scheduler} ends it"
        )
    if found.kind == "compose":
        scale = ["--scale", f"worker={settings.workers}"] if settings.workers else []
        _docker_compose(settings, "up", "--detach", "--wait", *scale)
        return str(found.scheduler)
    with _lock_name(settings) as claim:
        if there := find_record(settings):
            raise ClusterError(
                f"cluster {name} is up already, at {there.address}; `toytip cluster down {name}` ends it"
            )
        if not claim:
            raise ClusterError(f"cluster {name} is being started, or ended, by somebody else at this moment")
        return _spawn_daemon(settings, claim)


@contextlib.contextmanager
def _lock_name(settings: Settings) -> Iterator[IO[str] | None]:
    """Yield a file that is locked for a cluster's name; None where another has it: an `up`, or the holder that it handed it to.

    The system lets go of it when the last of them ends, however that ends.
    """
    with _open_private(records_folder(settings) / f"{settings.cluster}.lock") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield claim


def _open_private(path: Path) -> IO[str]:
    """Open a file to write, empty, for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")


def _spawn_daemon(settings: Settings, lock: IO[str]) -> str:
    """Start a process that holds the cluster; it gets the settings through a pipe, and says on it when all is up."""
    log = _log_path(settings)
    with _open_private(log) as errors:
        holder = subprocess.Popen(
            [sys.executable, "-m", "toytip.cluster.daemon"], pass_fds=[lock.fileno()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
        )  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            holder.stdin.write(settings.model_dump_json())
            holder.stdin.close()
        said = holder.stdout.readline().strip()
    except BaseException:
        holder.terminate()
        _wait_for_daemon(holder)
        raise
    kind, _, rest = said.partition(" ")
    if kind == "up":
        return rest
    _wait_for_daemon(holder)
    more = f"; {log} has more" if log.stat().st_size else ""
    raise ClusterError(f"{rest or f'cluster {settings.cluster} could not be started'}{more}")


def _log_path(settings: Settings) -> Path:
    return records_folder(settings) / f"{settings.cluster}.log"


def _wait_for_daemon(daemon: subprocess.Popen[str]) -> None:
    """Wait for a holder that ends what it has started; kill it and its workers where it does not, or who waits has had enough."""
    try:
        daemon.wait(STOP_TIMEOUT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def stop_persistent_cluster(settings: Settings) -> bool:
    """End the cluster that the settings name; tell whether it was up. Raises ClusterError where it is not ours to end."""
    found, name = load_definition(settings), settings.cluster
    if found.kind == "existing":
        raise ClusterError(
            f"cluster {name} is of kind existing: whoever started it at {found.scheduler} ends it"
        )
    if found.kind == "compose":
        _docker_compose(settings, "down")
        return True
    there = find_record(settings)
    if there is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(there.pid, signal.SIGTERM)
    end = time.monotonic() + STOP_TIMEOUT_S
    while _is_alive(there):
        if time.monotonic() > end:
            raise ClusterError(
                f"cluster {name}: process {there.pid} has not ended within {STOP_TIMEOUT_S} s; end it by hand"
            )
        time.sleep(0.1)
    (records_folder(settings) / f"{name}.json").unlink(missing_ok=True)
    said = _log_path(settings).read_text(encoding="utf-8").splitlines()
    if said and said[-1].startswith("failed "):
        raise ClusterError(f"cluster {name} has ended, but not in order: {said[-1].removeprefix('failed ')}")
    return True


def _docker_compose(settings: Settings, *command: str) -> None:
    """Have docker compose do something with the file of the definition. Raises ClusterError."""
    found = load_definition(settings)
    words = ["docker", "compose", "--file", str(found.config_file), *command]
    try:
        done = _run_command(*words)
        plugin = not done.returncode or not _run_command("docker", "compose", "version").returncode
    except FileNotFoundError:
        raise ClusterError(
            "there is no docker here; a cluster of kind compose needs Docker with its compose plugin"
        ) from None
    if not plugin:
        raise ClusterError("docker has no compose plugin here (`docker compose version` fails); install it")
    if done.returncode:
        last = (done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ClusterError(f"`{' '.join(words)}` failed: {last}")


def _run_command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
