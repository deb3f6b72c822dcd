"""Tasks on source files: generate synthetic months, compute checksums, and count bytes read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import distributed
import pyarrow as pa

from toytip import cluster
from toytip.core.access import StorageOptions
from toytip.core.months import Month
from toytip.engine.compute import wait_for
from toytip.io import access
from toytip.progress.tracker import StageProgress
from toytip.sources.files import file_checksum, write_month_file
from toytip.sources.source import SourceFile


def generate_source(
    client: distributed.Client,
    uris: dict[Month, str],
    storage_options: StorageOptions,
    generate: Callable[[Month], pa.Table],
    stage: StageProgress,
) -> int:
    """Generate synthetic months, one task per month. Returns the total number of rows."""
    futures = [
        client.submit(_generate_month, month, uri, storage_options, generate, pure=False)
        for month, uri in uris.items()
    ]
    return sum(wait_for(futures, stage, rows=lambda rows: rows))


def _generate_month(
    month: Month, uri: str, storage_options: StorageOptions, generate: Callable[[Month], pa.Table]
) -> int:
    return write_month_file(generate(month), uri, storage_options)


def compute_checksums(
    client: distributed.Client, files: Sequence[SourceFile], stage: StageProgress
) -> list[str]:
    """Return the checksums of source files, which the workers compute."""
    futures = [client.submit(file_checksum, file.uri, file.storage_options, pure=False) for file in files]
    return wait_for(futures, stage, rows=lambda _: 0)


def worker_bytes_read(client: distributed.Client) -> int:
    """Return the number of source bytes that the current workers and this process have read."""
    replies = cluster.run_on_workers(client, access.source_bytes_read).values()
    return sum(reply for reply in replies if isinstance(reply, int)) + access.source_bytes_read()
