"""The stages, one function each: from published versions to a published version.

Each runs alone from the command line, and in its place in `run`; the tables are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toytip.config import mask_credentials
from toytip.core.partitions import DataFile, SourcePartition
from toytip.core.schema import Table
from toytip.core.tables import FEATURE_HISTOGRAMS, REJECTS, TRIPS
from toytip.engine import graph, source_tasks
from toytip.errors import StoreError
from toytip.pipeline import incremental
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.identity import code_digest, planned_from_slice
from toytip.pipeline.incremental import build_from_parts
from toytip.sources.discovery import Source
from toytip.stages.featurize import FEATURES_SCHEMA
from toytip.store.manifest import Manifest, SourceFileRef


def clean(context: RunContext, source: Source) -> PublishedTables:
    """Source -> `trips` and `rejects`."""

    def frames(parts: list[SourcePartition]) -> dict[Table, Any]:
        trips, rejects = graph.clean_trips(graph.read_raw_trips(parts))
        return {TRIPS: trips, REJECTS: rejects}

    return _build_from_source(context, source, "clean", (TRIPS, REJECTS), frames)


def read_source(context: RunContext, source: Source) -> PublishedTables:
    """Source -> `features`, their `profiles`, and `rejects`: conform, clean and featurize in one task a partition."""

    def frames(parts: list[SourcePartition]) -> dict[Table, Any]:
        trips, rejects = graph.clean_trips(graph.read_raw_trips(parts))
        features = graph.build_features(trips)
        return {
            FEATURES_SCHEMA: features,
            REJECTS: rejects,
            FEATURE_HISTOGRAMS: graph.build_feature_histograms(features),
        }

    return _build_from_source(context, source, "read", (FEATURES_SCHEMA, REJECTS, FEATURE_HISTOGRAMS), frames)


def _build_from_source(
    context: RunContext,
    source: Source,
    stage: str,
    tables: tuple[Table, ...],
    frames: Callable[[list[SourcePartition]], dict[Table, Any]],
) -> PublishedTables:
    contents = _file_checksums(context, source)
    parts = source.partitions(context.settings.partition_rows)
    planned = [planned_from_slice(stage, part, contents[part.uri]) for part in parts]
    written, _ = incremental.build_parts(
        context, stage, tables, planned, lambda todo: frames([parts[n] for n in todo]),
        descriptions=[f"{mask_credentials(part.uri)}, rows {part.start:,} to {part.stop:,}," for part in parts],
        source_files=[part.uri for part in parts],
    )  # fmt: skip
    incremental.check_row_balance(source.rows, written)
    if not any(record.rows for record in written[tables[0].name]):
        raise StoreError("not one trip is left after cleaning; look at what --source holds")
    parents = [
        SourceFileRef(
            uri=mask_credentials(file.uri),
            rows=file.rows,
            bytes=file.bytes,
            modified=file.modified,
            checksum=contents[file.uri],
        )
        for file in source.files
    ]
    config = {"taxi": source.taxi, "partition_rows": context.settings.partition_rows}
    return {
        table.name: context.publish(table, written[table.name], config, parents, code=code_digest(stage))
        for table in tables
    }


def _file_checksums(context: RunContext, source: Source) -> dict[str, str]:
    """Return what names the content of every file; a file that an earlier run has summed up is not read again."""
    known = {
        (source_file.uri, source_file.bytes, source_file.modified): source_file.checksum
        for manifest in context.store.list_manifests()
        for source_file in manifest.source_files
    }
    contents = {
        file.uri: file.content_tag or known.get((mask_credentials(file.uri), file.bytes, file.modified), "")
        for file in source.files
    }
    unknown = [file for file in source.files if not contents[file.uri]]
    if unknown:
        with context.progress.stage("checksum", len(unknown)) as shown:
            sums = source_tasks.compute_checksums(context.client, unknown, shown)
        contents |= {file.uri: value for file, value in zip(unknown, sums, strict=True)}
    return contents


def featurize(context: RunContext, trips: Manifest) -> PublishedTables:
    """`trips` -> `features`, and their `profiles`."""

    def frames(parts: list[DataFile]) -> dict[Table, Any]:
        features = graph.build_features(graph.read_version(context.store, TRIPS, trips.version, parts))
        return {FEATURES_SCHEMA: features, FEATURE_HISTOGRAMS: graph.build_feature_histograms(features)}

    written, _ = build_from_parts(
        context, "featurize", trips, (FEATURES_SCHEMA, FEATURE_HISTOGRAMS), frames, None
    )
    return {
        name: context.publish(table, written[name], trips.config, [trips.ref], code=code_digest("featurize"))
        for name, table in (
            (FEATURE_HISTOGRAMS.name, FEATURE_HISTOGRAMS),
            (FEATURES_SCHEMA.name, FEATURES_SCHEMA),
        )
    }
