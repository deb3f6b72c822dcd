"""Start and stop persistent clusters, and record the running ones in a private folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from toytip.cluster.definitions import ClusterDefinition, load_definition
from toytip.config import Settings
from toytip.core.jsonable import dump_json
from toytip.core.redact import first_line
from toytip.errors import ClusterError, ConfigError
from toytip.io.file_locks import lock_file
from toytip.settings_files import state_folder

STOP_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class ClusterRecord:
    """A running persistent cluster: its addresses, and the daemon that manages it."""

    name: str
    kind: str
    address: str
    dashboard_url: str
    pid: int
    process_started_at: float
    """Start time of the daemon in seconds since the Unix epoch. A later process can have the same
    process ID, but not the same start time."""


@dataclass(frozen=True, kw_only=True)
class DaemonMessage:
    """The single line that a daemon reports: the scheduler's address, or an error with its hint."""

    address: str | None = None
    error: str | None = None
    hint: str = ""
    is_config_error: bool = False

    def to_line(self) -> str:
        """Return one line of JSON."""
        return dump_json(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self | None:
        """Parse a line. Returns None for other lines, for example lines that a library logged."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return None


def records_folder(settings: Settings) -> Path:
    """Return the folder of the cluster records. Only the owner of the folder can read it.

    Raises ConfigError if the folder cannot be created.
    """
    configured = state_folder(settings.state_dir)
    try:
        folder = configured.expanduser() / "clusters"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        raise ConfigError(
            f"cannot create {configured}: {first_line(error)}",
            hint="Set TOYTIP_STATE_DIR to a writable folder.",
        ) from None
    return folder


def save_record(settings: Settings, record: ClusterRecord) -> None:
    """Write the record of a running cluster, atomically."""
    target = _record_path(settings)
    temporary = target.with_suffix(".part")
    with _open_private(temporary) as file:
        file.write(dump_json(asdict(record)))
    temporary.replace(target)


def find_record(settings: Settings) -> ClusterRecord | None:
    """Return the record of the named cluster, or None if the cluster is not running."""
    path = _record_path(settings)
    try:
        record = ClusterRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if _is_alive(record):
        return record
    path.unlink(missing_ok=True)
    return None


def _record_path(settings: Settings) -> Path:
    return records_folder(settings) / f"{settings.cluster or 'local'}.json"


def _log_path(settings: Settings) -> Path:
    return records_folder(settings) / f"{settings.cluster}.log"


def _is_alive(record: ClusterRecord) -> bool:
    """Return whether the daemon is running. A later process with the same ID does not count."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(record.pid)
        is_same = abs(process.create_time() - record.process_started_at) < 1
        return process.status() != psutil.STATUS_ZOMBIE and is_same
    return False


@dataclass(frozen=True, kw_only=True)
class ClusterPlan:
    """The cluster that a run uses. The plan is computed once, from the settings."""

    definition: ClusterDefinition
    """Definition of the cluster."""
    address: str | None
    """Address of a running scheduler, or None if workers must be started."""

    @property
    def starts_local_workers(self) -> bool:
        """Whether the run starts its own workers on this machine."""
        return self.address is None and self.definition.kind == "local"


def plan_cluster(settings: Settings) -> ClusterPlan:
    """Return the plan for the configured cluster.

    Raises ConfigError if the definition of the cluster is invalid.
    """
    definition = load_definition(settings)
    return ClusterPlan(definition=definition, address=_running_scheduler(settings, definition))


def _running_scheduler(settings: Settings, definition: ClusterDefinition) -> str | None:
    if settings.scheduler or settings.cluster is None:
        return settings.scheduler
    if definition.kind in ("existing", "compose"):
        return definition.scheduler
    record = find_record(settings)
    return record.address if record else None


def start_persistent_cluster(settings: Settings) -> str:
    """Start the named cluster and keep it running. Returns the address of the scheduler.

    Raises ClusterError if the cluster is already running, cannot be started, or is not managed by
    toytip.
    """
    definition, name = load_definition(settings), settings.cluster
    if definition.kind == "existing":
        raise _not_managed("start", settings)
    if definition.kind == "compose":
        scale = ["--scale", f"worker={settings.workers}"] if settings.workers else []
        _docker_compose(settings, "up", "--detach", "--wait", *scale)
        return str(definition.scheduler)
    with _lock_name(settings) as lock:
        if record := find_record(settings):
            raise ClusterError(
                f"cannot start cluster {name}: it is already running at {record.address}",
                hint=f"To stop the cluster, run `toytip cluster down {name}`.",
            )
        if not lock:
            raise ClusterError(
                f"cannot start cluster {name}: another process is starting or stopping it",
                hint="Wait for the other process, then try again.",
            )
        return _spawn_daemon(settings, lock)


def _not_managed(verb: str, settings: Settings) -> ClusterError:
    scheduler = load_definition(settings).scheduler
    return ClusterError(
        f"cannot {verb} cluster {settings.cluster}: it refers to an existing scheduler ({scheduler}), "
        "which toytip does not manage"
    )


@contextlib.contextmanager
def _lock_name(settings: Settings) -> Iterator[IO[str] | None]:
    """Lock a cluster's name. Yields None if another process holds the lock.

    The daemon inherits the lock. The operating system releases the lock when the last process that
    holds it exits.
    """
    path = records_folder(settings) / f"{settings.cluster}.lock"
    with _open_private(path) as lock:
        try:
            lock_file(lock.fileno(), path, choice="TOYTIP_STATE_DIR to a folder on a local disk")
        except BlockingIOError:
            yield None
        else:
            yield lock


def _open_private(path: Path) -> IO[str]:
    """Open an empty file for writing. Only the owner of the file can read it."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")


def _spawn_daemon(settings: Settings, lock: IO[str]) -> str:
    """Start a daemon, wait until its cluster is running, and return the scheduler's address."""
    with _open_private(_log_path(settings)) as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "toytip.cluster.daemon"],
            pass_fds=[lock.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        message = _exchange(daemon, settings)
    except BaseException:
        daemon.terminate()
        _wait_for_daemon(daemon)
        raise
    if message and message.address:
        return message.address
    _wait_for_daemon(daemon)
    raise _start_error(settings, message)


def _exchange(daemon: subprocess.Popen[str], settings: Settings) -> DaemonMessage | None:
    """Send the settings to the daemon. Returns the daemon's message, or None without a message."""
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        daemon.stdin.write(settings.model_dump_json())
        daemon.stdin.close()
    return DaemonMessage.from_line(daemon.stdout.readline())


def _start_error(settings: Settings, message: DaemonMessage | None) -> ClusterError | ConfigError:
    log = _log_path(settings)
    log_hint = f"See {log}." if log.stat().st_size else ""
    if message and message.error:
        error_type = ConfigError if message.is_config_error else ClusterError
        return error_type(message.error, hint=" ".join(filter(None, (message.hint, log_hint))))
    return ClusterError(f"cannot start cluster {settings.cluster}: its daemon exited", hint=log_hint)


def _wait_for_daemon(daemon: subprocess.Popen[str]) -> None:
    """Wait for the daemon to exit. Kills the daemon's process group on a timeout or Ctrl-C."""
    try:
        daemon.wait(STOP_TIMEOUT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def stop_persistent_cluster(settings: Settings) -> bool:
    """Stop the named cluster. Returns whether the cluster was running.

    Raises ClusterError if the cluster does not stop, or is not managed by toytip.
    """
    definition = load_definition(settings)
    if definition.kind == "existing":
        raise _not_managed("stop", settings)
    if definition.kind == "compose":
        _docker_compose(settings, "down")
        return True
    record = find_record(settings)
    if record is None:
        return False
    _stop_daemon(record)
    _record_path(settings).unlink(missing_ok=True)
    lines = _log_path(settings).read_text(encoding="utf-8").splitlines()
    message = DaemonMessage.from_line(lines[-1]) if lines else None
    if message and message.error:
        raise ClusterError(f"cannot stop cluster {record.name} cleanly: {message.error}", hint=message.hint)
    return True


def _stop_daemon(record: ClusterRecord) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_alive(record):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"cannot stop cluster {record.name}: "
                f"process {record.pid} is still running after {STOP_TIMEOUT_S} s",
                hint=f"To kill the process, run `kill -9 {record.pid}`.",
            )
        time.sleep(0.1)


def _docker_compose(settings: Settings, *arguments: str) -> None:
    """Run docker compose with the config file of the cluster definition. Raises ClusterError."""
    command = ["docker", "compose", "--file", str(load_definition(settings).config_file), *arguments]
    text = " ".join(command)
    try:
        process = _run_command(*command)
        has_plugin = not process.returncode or not _run_command("docker", "compose", "version").returncode
    except FileNotFoundError:
        raise ClusterError(
            f"cannot run `{text}`: docker is not installed",
            hint="Install Docker with its compose plugin.",
        ) from None
    if not has_plugin:
        raise ClusterError(
            f"cannot run `{text}`: docker has no compose plugin",
            hint="Install the compose plugin. `docker compose version` must succeed.",
        )
    if process.returncode:
        cause = (process.stdout.strip() or "no output").splitlines()[-1]
        raise ClusterError(f"cannot run `{text}`: {cause}")


def _run_command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
