"""Exclusive locks of open files, which the operating system releases when the process ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from toytip.errors import StoreError

if TYPE_CHECKING:
    import fcntl
else:
    try:
        import fcntl
    except ImportError:
        # Windows has no such locks. `toytip.__main__` says so, before any other module is imported.
        fcntl = None

# The errors of `flock` on a file system without locks, for example NFS without a lock service.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EIO}
STORE_CHOICE = "--store to a folder on a local disk, or to s3://bucket/prefix"


def lock_file(descriptor: int, path: Path, *, wait: bool = False, choice: str = STORE_CHOICE) -> None:
    """Lock an open file. `choice` is the setting with a different folder, for the hint of an error.

    Raises BlockingIOError if another process holds the lock, unless `wait` is set. Raises
    StoreError if the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in NO_LOCKS:
            cause = f"the file system does not support locks ({os.strerror(error.errno).lower()})"
            raise no_locks(path, cause, choice) from None
        raise


def no_locks(path: Path, cause: str, choice: str = STORE_CHOICE) -> StoreError:
    """Return the error for a folder whose files cannot be locked."""
    return StoreError(
        f"cannot lock files in {path.parent}: {cause}",
        hint=f"Set {choice}. On NFS, you can also mount the file system with a lock service, or with the "
        "option local_lock=flock if only one machine uses the folder.",
    )
