"""Preflight checks: whether the client process and all workers can use the store and source."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from distributed.protocol import pickle

from toytip.cluster.workers import run_on_workers
from toytip.core.access import StorageOptions
from toytip.core.redact import mask_credentials
from toytip.errors import ClusterError, SourceError, StoreError, ToytipError
from toytip.io.access import as_store_error, open_file, open_file_io
from toytip.io.base import FileIO
from toytip.io.s3_errors import describe_fault
from toytip.store.layout import Layout


class FileProbe(NamedTuple):
    """A source file that every worker has to read."""

    uri: str
    bytes: int
    storage_options: StorageOptions


def check_store(client: object, root: str, env: str, storage_options: StorageOptions) -> list[str]:
    """Write a file that every worker reads, and read a file from every worker.

    Returns one problem per worker that does not share the store with this process. Raises
    StoreError if this process cannot write to the store.
    """
    file_io, token = open_file_io(root, storage_options), secrets.token_hex(8)
    folder = Layout(env).probes(token)
    with as_store_error(f"cannot write to the store {mask_credentials(root)}"):
        file_io.write(f"{folder}/client", token.encode())
    try:
        replies = run_on_workers(client, _reply_to_probe, root, storage_options, folder, token)
        problems = [_store_problem(file_io, worker, reply) for worker, reply in sorted(replies.items())]
        return [problem for problem in problems if problem]
    finally:
        with contextlib.suppress(OSError):
            file_io.remove(list(file_io.list_files(folder)))


def _reply_to_probe(root: str, storage_options: StorageOptions, folder: str, token: str) -> str:
    """Read the client's probe file on a worker, and write a new one. Returns the new name."""
    file_io = open_file_io(root, storage_options)
    if file_io.read(f"{folder}/client") != token.encode():
        raise StoreError("the probe file that the client process wrote has different content on this worker")
    name = f"{folder}/worker-{secrets.token_hex(8)}"
    file_io.write(name, token.encode())
    return name


def _store_problem(file_io: FileIO, worker: str, reply: str | BaseException) -> str | None:
    if isinstance(reply, FileNotFoundError):
        return f"worker {worker} cannot see the files that the client process writes"
    if isinstance(reply, BaseException):
        return f"worker {worker}: {_cause(reply)}"
    try:
        file_io.read(reply)
    except OSError:
        return f"the client process cannot see the files that worker {worker} writes"
    return None


def _cause(error: BaseException) -> str:
    fault = describe_fault(error)
    return fault.cause if fault else str(getattr(error, "strerror", None) or error)


def require_shared_store(client: object, root: str, env: str, storage_options: StorageOptions) -> None:
    """Raise StoreError unless all workers share the store with this process."""
    if problems := check_store(client, root, env, storage_options):
        raise StoreError(
            f"cannot use the store {mask_credentials(root)}: it is not shared: {problems[0]}",
            hint="Use a file system that all hosts mount at this path, or an object store: "
            "set --store s3://bucket/prefix.",
        )


def check_files(client: object, files: Sequence[FileProbe]) -> list[str]:
    """Return one problem per worker that cannot read every file."""
    replies = run_on_workers(client, _read_file_ends, list(files))
    return [
        f"worker {worker} {reply if isinstance(reply, str) else f'cannot check the files: {reply}'}"
        for worker, reply in sorted(replies.items())
        if reply is not None
    ]


def _read_file_ends(files: list[FileProbe]) -> str | None:
    """Read the last bytes of every file on a worker. Returns the first problem."""
    for file in files:
        uri, size = mask_credentials(file.uri), file.bytes
        try:
            with open_file(file.uri, file.storage_options) as content:
                content.seek(max(size - 4, 0))
                if len(content.read(8)) != min(size, 4):
                    return f"sees a different file than the client process at {uri}"
        except (OSError, ToytipError) as error:
            return f"cannot read {uri}: {_cause(error)}"
    return None


def require_readable_files(client: object, files: Sequence[FileProbe]) -> None:
    """Raise SourceError if a worker cannot read a file, or sees a different file in its place."""
    if problems := check_files(client, files):
        raise SourceError(
            f"cannot use the source: {problems[0]}",
            hint="Use a file system that all hosts mount at this path, or an object store.",
        )


def require_usable_module(client: object, dataset: object) -> None:
    """Raise the error of the first worker that cannot load the data set of a project.

    Without this check, Dask waits forever for a task whose arguments a worker cannot read.
    """
    replies = run_on_workers(client, _load, pickle.dumps(dataset))
    for worker, reply in sorted(replies.items()):
        if isinstance(reply, ToytipError):
            raise type(reply)(f"{reply} (worker {worker})", hint=reply.hint)
        if isinstance(reply, BaseException):
            raise ClusterError(f"cannot use the module of the project on worker {worker}: {reply}")


def _load(content: bytes) -> None:
    """Load the data set of a project on a worker, which executes its module."""
    pickle.loads(content)
