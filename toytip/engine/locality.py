"""File affinity: choose partitions so that a worker continues with the file that it already reads.

A row group can only be decoded from its start. A worker that gets every second partition of a row
group must also decode the partitions in between. Each lane, which is one thread of a worker,
therefore gets a range of consecutive partitions. If no range is waiting, an idle lane takes half of
the longest remaining range.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from itertools import groupby


class LocalityQueue:
    """A queue of the partitions 0 to n - 1. Partitions of the same file are consecutive.

    `files` has the file of each partition.

    >>> queue = LocalityQueue(["a", "a", "a", "a", "b"])
    >>> queue.next(None), queue.next(None), queue.next(0), queue.next(4), queue.next(1)
    (0, 4, 1, 3, 2)
    >>> queue.next(2), queue.next(3)
    (None, None)
    """

    def __init__(self, files: Sequence[Hashable]) -> None:
        runs = groupby(range(len(files)), key=lambda index: files[index])
        self._waiting = deque(deque(indices) for _, indices in runs)
        # The rest of each started range, by the partition that was taken from the range last.
        self._started: dict[int, deque[int]] = {}

    def next(self, finished: int | None) -> int | None:
        """Return the next partition for a lane that finished a partition, or None if none is left.

        A lane that has not finished a partition yet passes None.
        """
        run = self._started.pop(finished, None) if finished is not None else None
        run = run or self._take_run()
        if not run:
            return None
        index = run.popleft()
        self._started[index] = run
        return index

    def _take_run(self) -> deque[int]:
        """Return a waiting range, or the second half of the longest started range."""
        if self._waiting:
            return self._waiting.popleft()
        longest = max(self._started.values(), key=len, default=deque())
        half = -(-len(longest) // 2)
        return deque(reversed([longest.pop() for _ in range(half)]))
