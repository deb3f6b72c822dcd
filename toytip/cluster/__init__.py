"""The cluster: workers, one client of them, and the memory that all of it takes."""

from toytip.cluster.connect import answers, connect, reported
from toytip.cluster.definitions import definition, settled
from toytip.cluster.elastic import fixed
from toytip.cluster.local import SILENCE_S, shape, warm
from toytip.cluster.memory import MemoryWatch, trim
from toytip.cluster.standing import starts_here
from toytip.cluster.workers import Rank, Shape, at_once, cores, ranks, shape_of, workers_of

__all__ = [
    "SILENCE_S", "MemoryWatch", "Rank", "Shape", "answers", "at_once", "connect", "cores", "definition", "fixed", "ranks",
    "reported", "settled", "shape", "shape_of", "starts_here", "trim", "warm", "workers_of",
]  # fmt: skip
