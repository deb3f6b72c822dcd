"""Measures commands, whatever they are: wall and processor time, memory, bytes, of all processes they start."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import first

# Seconds from one look at the processes to the next, or longer: the kernel walks through every page, and a look must not
# take more than a fiftieth of a core from what is measured.
SAMPLE_INTERVAL_S, MAX_SAMPLING_FACTOR = 0.5, 50


@dataclass
class Measurement:
    """What a command took. Memory is PSS, summed over its processes: pages that they share count once."""

    output: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    read_mb: float = 0.0
    written_mb: float = 0.0
    spilled_mb: float = 0.0
    memory: list[tuple[float, float]] = field(default_factory=list)  # seconds, MB
    # Of a Dask cluster: when its first task began, the threads and the memory of the tightest worker at that moment.
    first_task_s: float | None = None
    threads: int | None = None
    memory_limit_mb: int | None = None


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measurement:
    """Run a command to its end and measure it. Raises RuntimeError with what it said where it fails."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        scratch, begun = Path(folder, "scratch"), Path(folder, "first.json")
        scratch.mkdir()
        own = {"DASK_TEMPORARY_DIRECTORY": str(scratch), first.FILE_VARIABLE: str(begun), **first.PRELOAD}
        env = {**os.environ, **own, **(environment or {})}
        start, clock = time.perf_counter(), time.time()
        process = subprocess.Popen(
            [sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=said, text=True, env=env
        )
        watch = _ProcessSampler(process.pid, scratch, start)
        watch.start()
        try:
            out = process.communicate()[0]
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            wall = time.perf_counter() - start
            watch.stop()
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command[:3]))} failed: {said.read()[-2000:]}")
        there = json.loads(begun.read_text()) if begun.exists() else None
    told = watch.told
    if there:
        told.first_task_s = round(there["began"] - clock, 2)
        told.threads, told.memory_limit_mb = there["threads"], there["memory_limit_mb"]
    told.output, told.wall_s = out, round(wall, 3)
    told.cpu_s = round(sum(watch.cpu.values()), 2)
    told.read_mb, told.written_mb = (
        round(sum(side.values()) / 1e6, 1) for side in (watch.read, watch.written)
    )
    return told


class _ProcessSampler(threading.Thread):
    """Looks at a process and its children, and keeps the last of what only grows."""

    def __init__(self, pid: int, scratch: Path, start: float) -> None:
        super().__init__(daemon=True)
        self.told = Measurement()
        self.cpu: dict[tuple[int, float], float] = {}
        self.read: dict[tuple[int, float], int] = {}
        self.written: dict[tuple[int, float], int] = {}
        self._pid, self._scratch, self._start = pid, scratch, start
        self._ended = threading.Event()

    def run(self) -> None:
        took = 0.0
        while not self._ended.wait(max(SAMPLE_INTERVAL_S, MAX_SAMPLING_FACTOR * took)):
            start = time.perf_counter()
            self._sample()
            took = time.perf_counter() - start

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _sample(self) -> None:
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self._pid)
            memory = 0.0
            for process in (parent, *parent.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory += self._sample_process(process)
            self.told.memory.append((round(time.perf_counter() - self._start, 1), round(memory, 1)))
            self.told.peak_mb = max(self.told.peak_mb, round(memory, 1))
        with contextlib.suppress(OSError):  # files come and go
            spilled = sum(path.stat().st_size for path in self._scratch.rglob("*") if path.is_file()) / 1e6
            self.told.spilled_mb = max(self.told.spilled_mb, round(spilled, 1))

    def _sample_process(self, process: psutil.Process) -> float:
        key = process.pid, process.create_time()
        times = process.cpu_times()
        self.cpu[key] = times.user + times.system
        with contextlib.suppress(AttributeError, psutil.AccessDenied):
            counters = process.io_counters()
            self.read[key], self.written[key] = counters.read_chars, counters.write_chars
        info = process.memory_full_info()
        return float(getattr(info, "pss", info.rss)) / 1e6
