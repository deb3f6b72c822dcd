"""lanes: which partition comes next, so that a worker goes on in the file that it is at.

A row group can only be read from its start: a worker that took every other slice of it would decode those between too.
So a lane, that is a thread of a worker, has a run of slices, one after the other; and at the end half of the longest run that is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby


class LocalityQueue:
    """Partitions 0 to n - 1, each of a file; those of one file stand together, in the order of its rows.

    >>> lanes = LocalityQueue(["a", "a", "a", "a", "b"])
    >>> lanes.next(None), lanes.next(None), lanes.next(0), lanes.next(4), lanes.next(1), lanes.next(2), lanes.next(3)
    (0, 4, 1, 3, 2, None, None)
    """

    def __init__(self, files: Sequence[object]) -> None:
        runs = groupby(range(len(files)), key=lambda number: files[number])
        self._waiting = deque(deque(numbers) for _, numbers in runs)
        # What is left of the runs that were begun, by the partition that was handed out last.
        self._begun: dict[int, deque[int]] = {}

    def next(self, finished: int | None) -> int | None:
        """Return the partition that a lane takes after the one that it has done, None: its first; None where nothing is left."""
        rest = (self._begun.pop(finished, None) if finished is not None else None) or self._start_run()
        if not rest:
            return None
        number = rest.popleft()
        self._begun[number] = rest
        return number

    def _start_run(self) -> deque[int]:
        if self._waiting:
            return self._waiting.popleft()
        longest = max(self._begun.values(), key=len, default=deque())
        return deque(reversed([longest.pop() for _ in range(-(-len(longest) // 2))]))
