"""Measure the time, CPU, memory, reads and writes of a command with all its child processes."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import first_task_plugin
from benchmarks.machine.memory_cap import MemoryGroup, memory_group

# Minimum time between two samples: in seconds, and as a multiple of the CPU time of a sample. The
# kernel walks through every page of a process, and sampling must not use more than 1/50 of a core.
# On a machine with other work, a sample takes longer, but does not need more CPU time.
SAMPLE_INTERVAL_S, MAX_SAMPLING_FACTOR = 0.5, 50
# Commands that start a command in a new network namespace, whose only interface is the loopback
# interface. The first command needs root, the second needs the right to create user namespaces.
LOOPBACK_ONLY = ("sh", "-c", 'ip link set lo up && exec "$@"', "sh")
NAMESPACES = (("unshare", "--net"), ("unshare", "--user", "--map-root-user", "--net"))
# Seconds that a program has to end after SIGTERM.
GRACE_S = 10.0
# Maximum number of characters of a cause, and of the end of stderr in a row.
MAX_CAUSE, MAX_STDERR = 500, 2_000


@dataclass
class Measurement:
    """The resources of a command. Memory is the sum of the PSS, which counts shared pages once."""

    output: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    read_mb: float = 0.0
    written_mb: float = 0.0
    spilled_mb: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Samples of the memory: (seconds since the start, MB)."""
    first_task_s: float | None = None
    """Seconds until the first task started. None if the command has no Dask cluster."""
    first_task: str | None = None
    """Name of this task."""
    threads: int | None = None
    """Total threads of the Dask workers at that time."""
    memory_limit_mb: int | None = None
    """Lowest memory limit of the Dask workers at that time."""
    memory_cap: str | None = None
    """`cgroup` if the kernel enforced a cap, `sampled` if this module did. None without a cap."""
    open_addresses: set[str] = field(default_factory=set)
    """Addresses other than loopback at which a process listened. Without those of an isolated
    command."""


@dataclass(frozen=True)
class Limits:
    """The limits of a command. A command that exceeds a limit is killed with all its children."""

    seconds: float | None = None
    memory_mb: int | None = None


NO_LIMITS = Limits()


class CommandFailedError(RuntimeError):
    """A command that failed or exceeded a limit, with its measurement until then.

    `outcome` is `failed`, `timeout` or `out of memory`. A command that failed on its own has an
    exit code, which is negative for a signal, and the end of its stderr.
    """

    def __init__(
        self,
        message: str,
        outcome: str,
        measurement: Measurement,
        *,
        exit_code: int | None = None,
        stderr: str = "",
    ) -> None:
        super().__init__(message)
        self.outcome, self.measurement = outcome, measurement
        self.exit_code, self.stderr = exit_code, stderr


@functools.cache
def loopback_prefix() -> tuple[str, ...]:
    """Return a command that isolates another command from the network, or () if none works.

    The isolated command has only the loopback interface.
    """
    for namespace in NAMESPACES:
        prefix = (*namespace, *LOOPBACK_ONLY)
        with contextlib.suppress(OSError):
            if not subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
                return prefix
    return ()


def measure(
    command: Sequence[str],
    *,
    name: str = "",
    exit_codes: Collection[int] = (0,),
    isolated: bool = False,
    program: str = sys.executable,
    variables: Mapping[str, str] | None = None,
    limits: Limits = NO_LIMITS,
) -> Measurement:
    """Run a program with the arguments `command` to its end, and measure its resources.

    `program` is Python by default. `variables` are added to the environment. With `isolated`, the
    program has only the loopback interface, if the system allows it. Raises CommandFailedError if
    the program exceeds a limit, or if it exits with a code that is not in `exit_codes`. The error
    then has the last line that the program wrote to stderr. `name` is the name in the error.
    """
    prefix = loopback_prefix() if isolated else ()
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        memory_group(limits.memory_mb) as group,
    ):
        local_directory, first_task_file = Path(folder, "dask"), Path(folder, "first-task.json")
        local_directory.mkdir()
        start, started_at = time.perf_counter(), time.time()
        process = subprocess.Popen(
            [*(group.prefix if group else ()), *prefix, program, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            env={**_environment(local_directory, first_task_file), **(variables or {})},
            start_new_session=True,
        )
        sampler = _ProcessSampler(process.pid, local_directory, start, _sampled_limits(limits, group))
        sampler.start()
        try:
            output = process.communicate()[0]
        except BaseException:
            _kill_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
            raise
        finally:
            wall_s = time.perf_counter() - start
            sampler.stop()
            _kill_group(process.pid, signal.SIGKILL)  # children that outlive the program
            process.wait()
        measurement = sampler.finish(output, wall_s)
        measurement.memory_cap = _memory_cap(limits, group)
        has_failed = process.returncode not in exit_codes
        exceeded = sampler.exceeded or (_exceeded_cap(limits, group) if has_failed else None)
        if has_failed or exceeded:
            errors.seek(0)
            name = name or " ".join(map(str, command[:3]))
            raise _failure(name, exceeded, process.returncode, errors.read(), measurement)
        _add_first_task(measurement, first_task_file, started_at)
    return measurement


def exit_on_sigterm() -> None:
    """Let SIGTERM raise an exception, so that the benchmark ends the program that it measures."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _sampled_limits(limits: Limits, group: MemoryGroup | None) -> Limits:
    """Return the limits that the sampler enforces. The kernel enforces the cap of a group."""
    return limits if group is None else Limits(limits.seconds)


def _memory_cap(limits: Limits, group: MemoryGroup | None) -> str | None:
    if limits.memory_mb is None:
        return None
    return "sampled" if group is None else "cgroup"


def _exceeded_cap(limits: Limits, group: MemoryGroup | None) -> tuple[str, str] | None:
    """Return the outcome and the cause if the kernel ended a process of a command that failed."""
    if group is None or not group.ended_processes():
        return None
    return "out of memory", f"the kernel ended a process at the limit of {limits.memory_mb:,} MB"


def _failure(
    name: str,
    exceeded: tuple[str, str] | None,
    exit_code: int,
    stderr: str,
    measurement: Measurement,
) -> CommandFailedError:
    """Return the error of a command that exceeded a limit or failed on its own."""
    if exceeded:
        return CommandFailedError(f"cannot measure {name}: {exceeded[1]}", exceeded[0], measurement)
    message = f"cannot measure {name}: {_describe_exit(exit_code)}: {_last_line(stderr)}"
    end = stderr[-MAX_STDERR:].strip()
    return CommandFailedError(message, "failed", measurement, exit_code=exit_code, stderr=end)


def _describe_exit(code: int) -> str:
    """Return how a program failed, in words. A signal has a negative code."""
    if code < 0:
        return f"it was ended by signal {-code} ({signal.strsignal(-code)})"
    return f"it failed with exit code {code}"


def _last_line(stderr: str) -> str:
    """Return the last line that a program wrote. toytip writes a hint after the error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    if not lines:
        return "no message"
    return (errors or lines)[-1][:MAX_CAUSE]


def _kill_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and to its children that are in the same group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _add_first_task(measurement: Measurement, file: Path, started_at: float) -> None:
    """Add the record of the first-task plugin, if the command has a Dask cluster."""
    if file.exists():
        record = json.loads(file.read_text())
        measurement.first_task_s = round(record["started_at"] - started_at, 2)
        measurement.first_task = record["task"]
        measurement.threads = record["threads"]
        measurement.memory_limit_mb = record["memory_limit_mb"]


def _environment(local_directory: Path, first_task_file: Path) -> dict[str, str]:
    """Return the environment of the command, without settings of toytip.

    Python stores compiled modules, even if the system tells it not to. Each start of a program
    would otherwise compile all modules again.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOYTIP_")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **inherited,
        "DASK_TEMPORARY_DIRECTORY": str(local_directory),
        first_task_plugin.FILE_VARIABLE: str(first_task_file),
        **first_task_plugin.PRELOAD,
    }


class _ProcessSampler(threading.Thread):
    """Samples a process and its children. For counters that only grow, it keeps the last value."""

    exceeded: tuple[str, str] | None = None
    """The outcome and the cause if the process exceeded a limit."""

    def __init__(self, pid: int, local_directory: Path, start: float, limits: Limits) -> None:
        super().__init__(daemon=True)
        self._limits = limits
        self._measurement = Measurement()
        self._cpu: dict[tuple[int, float], float] = {}
        self._read: dict[tuple[int, float], int] = {}
        self._written: dict[tuple[int, float], int] = {}
        self._pid, self._local_directory, self._start = pid, local_directory, start
        self._stopped = threading.Event()

    def run(self) -> None:
        duration = 0.0
        while not self._stopped.wait(max(SAMPLE_INTERVAL_S, MAX_SAMPLING_FACTOR * duration)):
            start = time.thread_time()
            self._sample()
            self._check_limits()
            duration = time.thread_time() - start

    def _check_limits(self) -> None:
        """Kill the process group if it exceeds a limit."""
        limits, memory = self._limits, self._measurement.memory
        if limits.memory_mb is not None and memory and memory[-1][1] > limits.memory_mb:
            cause = f"it used {memory[-1][1]:,.0f} MB, and the limit is {limits.memory_mb:,} MB"
            self.exceeded = "out of memory", cause
        elif limits.seconds is not None and time.perf_counter() - self._start > limits.seconds:
            self.exceeded = "timeout", f"it ran for more than {limits.seconds:g} s"
        if self.exceeded:
            _kill_group(self._pid, signal.SIGKILL)

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def finish(self, output: str, wall_s: float) -> Measurement:
        """Return the measurement of a process that has ended."""
        self._measurement.output, self._measurement.wall_s = output, round(wall_s, 3)
        self._measurement.cpu_s = round(sum(self._cpu.values()), 2)
        self._measurement.read_mb = round(sum(self._read.values()) / 1e6, 1)
        self._measurement.written_mb = round(sum(self._written.values()) / 1e6, 1)
        return self._measurement

    def _sample(self) -> None:
        measurement = self._measurement
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self._pid)
            memory_mb = 0.0
            for process in (parent, *parent.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory_mb += self._sample_process(process)
            measurement.memory.append((round(time.perf_counter() - self._start, 1), round(memory_mb, 1)))
            measurement.peak_mb = max(measurement.peak_mb, round(memory_mb, 1))
        with contextlib.suppress(OSError):  # files can be deleted at any time
            files = (path for path in self._local_directory.rglob("*") if path.is_file())
            spilled_mb = round(sum(path.stat().st_size for path in files) / 1e6, 1)
            measurement.spilled_mb = max(measurement.spilled_mb, spilled_mb)

    def _sample_process(self, process: psutil.Process) -> float:
        """Record the counters of a process, and return its memory in MB."""
        key = process.pid, process.create_time()
        times = process.cpu_times()
        self._cpu[key] = times.user + times.system
        with contextlib.suppress(AttributeError, psutil.AccessDenied):
            counters = process.io_counters()
            self._read[key], self._written[key] = counters.read_chars, counters.write_chars
            self._measurement.open_addresses |= _open_addresses(process)
        info = process.memory_full_info()
        return float(getattr(info, "pss", info.rss)) / 1e6


def _open_addresses(process: psutil.Process) -> set[str]:
    """Return the addresses other than loopback at which a process listens."""
    found = process.net_connections("inet")
    addresses = {item.laddr.ip for item in found if item.status == psutil.CONN_LISTEN}
    return {address for address in addresses if not ipaddress.ip_address(address).is_loopback}
