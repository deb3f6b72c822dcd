"""File affinity: choose the next partition so that a worker continues in the file that it reads.

A row group can only be decoded from its start. A worker that gets every second partition of a row
group also decodes the partitions in between. Each lane, which is one thread of a worker, therefore
gets a run of consecutive partitions. A lane without a run takes half of the longest remaining one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from itertools import groupby


class LocalityQueue:
    """Partitions 0 to n - 1, with the file of each. Partitions of a file are consecutive.

    >>> queue = LocalityQueue(["a", "a", "a", "a", "b"])
    >>> queue.next(None), queue.next(None), queue.next(0), queue.next(4), queue.next(1)
    (0, 4, 1, 3, 2)
    >>> queue.next(2), queue.next(3)
    (None, None)
    """

    def __init__(self, files: Sequence[Hashable]) -> None:
        runs = groupby(range(len(files)), key=lambda index: files[index])
        self._waiting = deque(deque(indices) for _, indices in runs)
        # The rest of each started run, by the partition that was taken from it last.
        self._started: dict[int, deque[int]] = {}

    def next(self, finished: int | None) -> int | None:
        """Return the partition that follows a lane's finished one, or None if nothing is left.

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
        """Return a waiting run, or the second half of the longest started one."""
        if self._waiting:
            return self._waiting.popleft()
        longest = max(self._started.values(), key=len, default=deque())
        half = -(-len(longest) // 2)
        return deque(reversed([longest.pop() for _ in range(half)]))
