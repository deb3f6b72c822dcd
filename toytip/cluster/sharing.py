"""What driver and workers must both reach: a store that all of them read and write, files that all of them read."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from typing import Any

from toytip.cluster.workers import told
from toytip.config import mask
from toytip.errors import SourceError, StoreError, ToytipError
from toytip.place import Place
from toytip.reach import open_file, place_of
from toytip.values import Access

FOLDER = "_probes"


def unshared_store(client: Any, root: str, env: str, access: Access) -> list[str]:
    """Write a file from here that every worker reads, and one from every worker that is read here.

    Return what did not work, a line for each worker. Raises StoreError where the store cannot be written from here.
    """
    place, token = place_of(root, access), secrets.token_hex(8)
    folder = f"{env}/{FOLDER}/{token}"
    try:
        place.write(f"{folder}/driver", token.encode())
    except OSError as error:
        raise StoreError(f"the store {mask(root)} cannot be written: {error.strerror or error}") from None
    try:
        answers = told(client, _answer, root, access, folder, token)
        lines = [_complaint(place, worker, said) for worker, said in sorted(answers.items())]
        return [line for line in lines if line]
    finally:
        with contextlib.suppress(OSError):
            place.remove(list(place.files(folder)))


def _answer(root: str, access: Access, folder: str, token: str) -> str:
    """On a worker: read what the driver wrote, and write an answer; return its name."""
    place = place_of(root, access)
    if place.read(f"{folder}/driver") != token.encode():
        raise StoreError("another file lies where the driver wrote")
    name = f"{folder}/worker-{secrets.token_hex(8)}"
    place.write(name, token.encode())
    return name


def _complaint(place: Place, worker: str, said: Any) -> str | None:
    if isinstance(said, FileNotFoundError):
        return f"worker {worker} does not see what is written here"
    if isinstance(said, BaseException):
        return f"worker {worker}: {getattr(said, 'strerror', None) or said}"
    try:
        place.read(said)
    except OSError:
        return f"what worker {worker} writes is not seen here"
    return None


def refuse_unshared_store(client: Any, root: str, env: str, access: Access) -> None:
    """Raise StoreError where the store is not the same place for every worker as for this process."""
    if lines := unshared_store(client, root, env, access):
        raise StoreError(
            f"the store {mask(root)} is not shared: {lines[0]}; put it on a file system that all hosts mount at this "
            "path, or on an object store: --store s3://bucket/prefix"
        )


def unreadable(client: Any, files: Sequence[tuple[str, int, Access]]) -> list[str]:
    """Return which workers cannot read which of the files (address, bytes, how it is reached): a line for each worker."""
    return [
        f"worker {worker} {said if isinstance(said, str) else f'cannot look: {said}'}"
        for worker, said in sorted(told(client, _look, list(files)).items())
        if said is not None
    ]


def _look(files: list[tuple[str, int, Access]]) -> str | None:
    """On a worker: open every file and read its last bytes; return what does not work."""
    for uri, size, access in files:
        try:
            with open_file(uri, access) as file:
                file.seek(max(size - 4, 0))
                if len(file.read(8)) != min(size, 4):
                    return f"sees another file than the driver under {mask(uri)}"
        except (OSError, ToytipError) as error:
            return f"cannot read {mask(uri)}: {getattr(error, 'strerror', None) or error}"
    return None


def refuse_unreadable(client: Any, files: Sequence[tuple[str, int, Access]]) -> None:
    """Raise SourceError where a worker cannot read a file, or finds another under its address."""
    if lines := unreadable(client, files):
        raise SourceError(
            f"{lines[0]}; put the source where all hosts mount it at this path, or on an object store"
        )
