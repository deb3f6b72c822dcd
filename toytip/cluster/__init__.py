"""The cluster: workers, one client of them, and the memory that all of it takes."""

from toytip.cluster.connect import answers, connect, reported
from toytip.cluster.definitions import SIZES, definition
from toytip.cluster.elastic import fixed, limits_of
from toytip.cluster.local import SILENCE_S, shape, warm
from toytip.cluster.memory import MemoryWatch, trim
from toytip.cluster.sizes import settled
from toytip.cluster.standing import starts_here
from toytip.cluster.workers import Rank, Shape, cores, ranks, room, shape_of, told, workers_of

__all__ = [
    "SILENCE_S", "SIZES", "MemoryWatch", "Rank", "Shape", "answers", "connect", "cores", "definition", "fixed", "limits_of", "ranks",
    "reported", "room", "settled", "shape", "shape_of", "starts_here", "told", "trim", "warm", "workers_of",
]  # fmt: skip
