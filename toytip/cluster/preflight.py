"""What driver and workers must both reach: a store that all of them read and write, files that all of them read."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from typing import Any

from toytip.cluster.workers import run_on_workers
from toytip.config import mask_credentials
from toytip.core.access import StorageOptions
from toytip.errors import SourceError, StoreError, ToytipError
from toytip.io.access import open_file, open_file_io
from toytip.io.base import FileIO
from toytip.store.layout import Layout


def check_store(client: Any, root: str, env: str, access: StorageOptions) -> list[str]:
    """Write a file from here that every worker reads, and one from every worker that is read here.

    Return what did not work, a line for each worker. Raises StoreError where the store cannot be written from here.
    """
    place, token = open_file_io(root, access), secrets.token_hex(8)
    folder = Layout(env).probes(token)
    try:
        place.write(f"{folder}/driver", token.encode())
    except OSError as error:
        raise StoreError(
            f"the store {mask_credentials(root)} cannot be written: {error.strerror or error}"
        ) from None
    try:
        answers = run_on_workers(client, _answer_probe, root, access, folder, token)
        lines = [_store_problem(place, worker, said) for worker, said in sorted(answers.items())]
        return [line for line in lines if line]
    finally:
        with contextlib.suppress(OSError):
            place.remove(list(place.list_files(folder)))


def _answer_probe(root: str, access: StorageOptions, folder: str, token: str) -> str:
    """On a worker: read what the driver wrote, and write an answer; return its name."""
    place = open_file_io(root, access)
    if place.read(f"{folder}/driver") != token.encode():
        raise StoreError("another file lies where the driver wrote")
    name = f"{folder}/worker-{secrets.token_hex(8)}"
    place.write(name, token.encode())
    return name


def _store_problem(file_io: FileIO, worker: str, answer: Any) -> str | None:
    if isinstance(answer, FileNotFoundError):
        return f"worker {worker} does not see what is written here"
    if isinstance(answer, BaseException):
        return f"worker {worker}: {getattr(answer, 'strerror', None) or answer}"
    try:
        file_io.read(answer)
    except OSError:
        return f"what worker {worker} writes is not seen here"
    return None


def require_shared_store(client: Any, root: str, env: str, access: StorageOptions) -> None:
    """Raise StoreError where the store is not the same place for every worker as for this process."""
    if lines := check_store(client, root, env, access):
        raise StoreError(
            f"the store {mask_credentials(root)} is not shared: {lines[0]}; put it on a file system that all hosts mount at this "
            "path, or on an object store: --store s3://bucket/prefix"
        )


def check_files(client: Any, files: Sequence[tuple[str, int, StorageOptions]]) -> list[str]:
    """Return which workers cannot read which of the files (address, bytes, how it is reached): a line for each worker."""
    return [
        f"worker {worker} {said if isinstance(said, str) else f'cannot look: {said}'}"
        for worker, said in sorted(run_on_workers(client, _read_file_ends, list(files)).items())
        if said is not None
    ]


def _read_file_ends(files: list[tuple[str, int, StorageOptions]]) -> str | None:
    """On a worker: open every file and read its last bytes; return what does not work."""
    for uri, size, access in files:
        try:
            with open_file(uri, access) as file:
                file.seek(max(size - 4, 0))
                if len(file.read(8)) != min(size, 4):
                    return f"sees another file than the driver under {mask_credentials(uri)}"
        except (OSError, ToytipError) as error:
            return f"cannot read {mask_credentials(uri)}: {getattr(error, 'strerror', None) or error}"
    return None


def require_readable_files(client: Any, files: Sequence[tuple[str, int, StorageOptions]]) -> None:
    """Raise SourceError where a worker cannot read a file, or finds another under its address."""
    if lines := check_files(client, files):
        raise SourceError(
            f"{lines[0]}; put the source where all hosts mount it at this path, or on an object store"
        )
