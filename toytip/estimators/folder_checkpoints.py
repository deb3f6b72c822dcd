"""Checkpoints of an estimator, in a folder that all workers can access."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from toytip.core.arrays import Float32Array
from toytip.errors import DataError


@dataclass(frozen=True)
class FolderCheckpoints:
    """The checkpoint of a training. `digest` depends on the rows and on the parameters.

    A training with other rows or parameters never resumes from this checkpoint.
    """

    folder: Path
    digest: str
    interval_rounds: int = 10

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.digest}.checkpoint"

    def load(self) -> bytes | None:
        """Return the checkpoint, or None if there is no checkpoint."""
        with contextlib.suppress(FileNotFoundError):
            return self._file.read_bytes()
        return None

    def require_writable(self) -> None:
        """Create the folder. Raises DataError if no file can be written in it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            raise DataError(f"cannot write checkpoints to {self.folder}: {error.strerror}") from None

    def save(self, checkpoint: bytes) -> None:
        """Replace the checkpoint."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".checkpoint")
        with os.fdopen(descriptor, "wb") as file:
            file.write(checkpoint)
        Path(name).replace(self._file)

    def save_scores(self, partition: int, probabilities: Float32Array) -> None:
        """Do nothing. Only a run uses the scores of its training rows."""

    def delete(self) -> None:
        """Remove the checkpoint after the training."""
        self._file.unlink(missing_ok=True)
