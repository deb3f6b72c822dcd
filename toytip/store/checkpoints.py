"""The checkpoint of a training, and the scores of its training rows, as files in a store."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import numpy as np

from toytip.core.arrays import Float32Array
from toytip.store.store import Store


@dataclass(frozen=True)
class StoreCheckpoints:
    """The checkpoint and the training scores of one training, in a store.

    The name of the checkpoint depends only on `fingerprint`, so any run with the same training
    inputs resumes from this checkpoint. `paths` has the path of the data file for each partition of
    training rows.
    """

    store: Store
    version: str
    fingerprint: str = ""
    paths: tuple[str, ...] = ()
    interval_rounds: int = 10

    @property
    def _checkpoint_name(self) -> str:
        return self.store.layout.checkpoint(self.fingerprint)

    def load(self) -> bytes | None:
        """Return the checkpoint, or None if there is none."""
        return self._read_if_exists(self._checkpoint_name)

    def save(self, checkpoint: bytes) -> None:
        """Replace the checkpoint."""
        with self.store.writing():
            self.store.file_io.write(self._checkpoint_name, checkpoint)

    def delete(self) -> None:
        """Remove the checkpoint after the model is published."""
        with self.store.writing():
            self.store.file_io.remove([self._checkpoint_name])

    def _scores_name(self, path: str) -> str:
        return self.store.layout.training_scores(self.version, path)

    def save_scores(self, partition: int, probabilities: Float32Array) -> None:
        """Save the probabilities of a partition's training rows, in the order of the rows."""
        buffer = io.BytesIO()
        np.save(buffer, probabilities, allow_pickle=False)
        with self.store.writing():
            self.store.file_io.write(self._scores_name(self.paths[partition]), buffer.getvalue())

    def load_scores(self, path: str) -> Float32Array | None:
        """Return the saved training scores of a data file, or None if there are none."""
        content = self._read_if_exists(self._scores_name(path))
        return None if content is None else np.asarray(np.load(io.BytesIO(content), allow_pickle=False))

    def _read_if_exists(self, name: str) -> bytes | None:
        with self.store.reading(passed_through=FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                return self.store.file_io.read(name)
            return None
