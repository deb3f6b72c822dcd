"""Other work on the machine: measured for a second before and after each measurement."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.results import InvalidInputError

STAT_FILE, PRESSURE_FILE = Path("/proc/stat"), Path("/proc/pressure/cpu")
DROP_FILE = Path("/proc/sys/vm/drop_caches")
OBSERVED_S = 1.0
# Above one of these limits, a result is noisy: CPU time of other processes in cores, share of CPU
# time that the host took for other machines, and share of the time in which a process waited for a
# core.
MAX_BUSY_CORES, MAX_STEAL, MAX_PRESSURE = 0.2, 0.02, 0.2


class Ticks(NamedTuple):
    """CPU time of all cores since the start of the machine, in ticks of the system's clock."""

    busy: int
    stolen: int
    total: int

    def steal_since(self, earlier: Ticks) -> float:
        """Return the share of the CPU time that was stolen since an earlier time."""
        return (self.stolen - earlier.stolen) / max(self.total - earlier.total, 1)

    def busy_since(self, earlier: Ticks) -> float:
        """Return the share of the CPU time that was used since an earlier time."""
        return (self.busy - earlier.busy) / max(self.total - earlier.total, 1)


@dataclass(frozen=True)
class Activity:
    """The work of a machine in a second without a contender."""

    load: float
    """Mean number of processes that ran or waited in the last minute. It includes contenders."""
    busy_cores: float
    """CPU time of all processes, in cores."""
    steal: float
    """Share of the CPU time that the host took for other machines."""
    pressure: float | None
    """Share of the time in which a process waited for a core. None if the system does not tell."""

    def noise(self) -> str:
        """Return which value exceeds its limit, or an empty text."""
        if self.busy_cores > MAX_BUSY_CORES:
            return f"other processes used {self.busy_cores:.2f} cores"
        if self.steal > MAX_STEAL:
            return f"the host took {self.steal:.0%} of the CPU time"
        if self.pressure is not None and self.pressure > MAX_PRESSURE:
            return f"processes waited for a core for {self.pressure:.0%} of the time"
        return ""


def read_ticks() -> Ticks | None:
    """Return the CPU time of the machine. None if the system does not have Linux's /proc."""
    if not STAT_FILE.exists():
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal. The guest's times are part of user.
    user, nice, system, idle, waiting, irq, soft, stolen = map(
        int, STAT_FILE.read_text().split("\n", 1)[0].split()[1:9]
    )
    busy = user + nice + system + irq + soft
    return Ticks(busy, stolen, busy + idle + waiting + stolen)


def observe(seconds: float = OBSERVED_S) -> Activity | None:
    """Return the work of the machine in the next second. None without Linux's /proc."""
    before, waited = read_ticks(), _waited_us()
    if before is None:
        return None
    start = time.perf_counter()
    time.sleep(seconds)
    after, passed = read_ticks(), time.perf_counter() - start
    assert after is not None
    waited_now = _waited_us()
    return Activity(
        load=round(os.getloadavg()[0], 2),
        busy_cores=round(after.busy_since(before) * (os.cpu_count() or 1), 3),
        steal=round(after.steal_since(before), 4),
        pressure=None
        if waited is None or waited_now is None
        else round((waited_now - waited) / 1e6 / passed, 4),
    )


def _waited_us() -> int | None:
    """Return the time in which a process waited for a core, in microseconds."""
    try:
        line = PRESSURE_FILE.read_text().split("\n", 1)[0]
    except OSError:
        return None
    return int(line.rpartition("total=")[2])


def describe_noise(before: Activity | None, after: Activity | None, steal: float) -> str:
    """Return why a measurement is noisy, or an empty text. `steal` is that of the measurement."""
    if before is not None and (cause := before.noise()):
        return f"before: {cause}"
    if steal > MAX_STEAL:
        return f"during: the host took {steal:.0%} of the CPU time"
    if after is not None and (cause := after.noise()):
        return f"after: {cause}"
    return ""


def drop_page_cache() -> None:
    """Let the system forget the contents of files. Raises InvalidInputError without the right."""
    os.sync()
    try:
        DROP_FILE.write_text("1\n")
    except OSError as error:
        raise InvalidInputError(
            f"cannot drop the page cache: {error.strerror}. Run the command as root, or without --cold"
        ) from None
