"""keeper: what training must not lose. Checkpoints outlive the run that made them; scores of training rows do not."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toytip.io.access import as_store_error
from toytip.store.lease import STAGING_FOLDER
from toytip.store.store import Store

CHECKPOINTS_FOLDER = "_checkpoints"
TRAINING_SCORES_FOLDER = "scores"


@dataclass(frozen=True)
class StoreCheckpoints:
    """Keeps in a store; `fingerprint` says what is trained on what, `paths` name the partitions.

    A checkpoint goes by the identity alone: whichever run trains the same takes it up.
    """

    store: Store
    version: str
    fingerprint: str = ""
    paths: tuple[str, ...] = ()
    interval_rounds: int = 10

    @property
    def _checkpoint_name(self) -> str:
        return f"{self.store.env}/{CHECKPOINTS_FOLDER}/{self.fingerprint}.ubj"

    def load(self) -> bytes | None:
        """Return the booster that was kept last; None where there is none."""
        return self._read_if_exists(self._checkpoint_name)

    def save(self, booster: bytes) -> None:
        """Keep a booster half-way, in place of the one before."""
        with as_store_error(f"cannot write to the store {self.store.display_uri}"):
            self.store.file_io.write(self._checkpoint_name, booster)

    def delete(self) -> None:
        """Remove the checkpoint: the model is published."""
        with as_store_error(f"cannot tidy up in {self.store.display_uri}"):
            self.store.file_io.remove([self._checkpoint_name])

    def _scores_name(self, path: str) -> str:
        return f"{self.store.env}/{STAGING_FOLDER}/{self.version}/{TRAINING_SCORES_FOLDER}/{path}.npy"

    def save_scores(self, partition: int, probabilities: npt.NDArray[np.float32]) -> None:
        """Keep what the model says of the training rows of a partition, in order, while the version is made."""
        buffer = io.BytesIO()
        np.save(buffer, probabilities, allow_pickle=False)
        with as_store_error(f"cannot write to the store {self.store.display_uri}"):
            self.store.file_io.write(self._scores_name(self.paths[partition]), buffer.getvalue())

    def load_scores(self, path: str) -> npt.NDArray[np.float32] | None:
        """Return what was kept of a partition; None where nothing was."""
        content = self._read_if_exists(self._scores_name(path))
        return None if content is None else np.asarray(np.load(io.BytesIO(content), allow_pickle=False))

    def _read_if_exists(self, name: str) -> bytes | None:
        with as_store_error(
            f"the store {self.store.display_uri} cannot be read", passed_through=FileNotFoundError
        ):
            with contextlib.suppress(FileNotFoundError):
                return self.store.file_io.read(name)
            return None
