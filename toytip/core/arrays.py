"""Types of NumPy arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BinIndices = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
