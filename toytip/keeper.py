"""keeper: what training must not lose. Checkpoints outlive the run that made them; scores of training rows do not."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toytip.claim import STAGING
from toytip.reach import saying
from toytip.store import Store

CHECKPOINTS = "_checkpoints"
SCORES = "scores"


@dataclass(frozen=True)
class StoreKeeper:
    """Keeps in a store; `identity` says what is trained on what, `paths` name the partitions.

    A checkpoint goes by the identity alone: whichever run trains the same takes it up.
    """

    store: Store
    version: str
    identity: str = ""
    paths: tuple[str, ...] = ()
    every: int = 10

    @property
    def _checkpoint(self) -> str:
        return f"{self.store.env}/{CHECKPOINTS}/{self.identity}.ubj"

    def checkpoint(self) -> bytes | None:
        """Return the booster that was kept last; None where there is none."""
        return self._read(self._checkpoint)

    def keep(self, booster: bytes) -> None:
        """Keep a booster half-way, in place of the one before."""
        with saying(f"cannot write to the store {self.store.shown}"):
            self.store.place.write(self._checkpoint, booster)

    def forget(self) -> None:
        """Remove the checkpoint: the model is published."""
        with saying(f"cannot tidy up in {self.store.shown}"):
            self.store.place.remove([self._checkpoint])

    def _scores(self, path: str) -> str:
        return f"{self.store.env}/{STAGING}/{self.version}/{SCORES}/{path}.npy"

    def scores(self, number: int, chances: npt.NDArray[np.float32]) -> None:
        """Keep what the model says of the training rows of a partition, in order, while the version is made."""
        buffer = io.BytesIO()
        np.save(buffer, chances, allow_pickle=False)
        with saying(f"cannot write to the store {self.store.shown}"):
            self.store.place.write(self._scores(self.paths[number]), buffer.getvalue())

    def scores_of(self, path: str) -> npt.NDArray[np.float32] | None:
        """Return what was kept of a partition; None where nothing was."""
        content = self._read(self._scores(path))
        return None if content is None else np.asarray(np.load(io.BytesIO(content), allow_pickle=False))

    def _read(self, name: str) -> bytes | None:
        with saying(f"the store {self.store.shown} cannot be read", but=FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                return self.store.place.read(name)
            return None
