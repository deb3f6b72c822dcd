"""The stages that turn source files into trips, rejects and features."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from toytip.core.dataset.dataset import Dataset
from toytip.core.dataset.declarations import MISSING_VALUE, OUT_OF_MONTH
from toytip.core.months import Month
from toytip.core.partitions import DataFile, SourcePartition
from toytip.core.redact import mask_credentials
from toytip.core.schema import Table
from toytip.core.tables import FEATURE_HISTOGRAMS, FEATURES, REJECTS, TRIPS
from toytip.core.text import plural
from toytip.engine import graph, source_tasks
from toytip.monitoring.required_trips import CleanedRows, require_accepted_rows
from toytip.pipeline.context import PublishedTables, RunContext
from toytip.pipeline.fingerprints import chain_of, code_digest, plan_file_of_partition, plan_next_file
from toytip.pipeline.incremental import (
    BuildJob,
    FilesByTable,
    build_data_files,
    build_from_table,
    check_row_balance,
    new_recipe,
    stored_recipe,
)
from toytip.pipeline.plan import RunPlan
from toytip.pipeline.startup.project import manifest_module, open_dataset
from toytip.sources.discovery import require_months_of_files
from toytip.sources.reader import count_nulls
from toytip.sources.source import Source
from toytip.store.catalog import checksums_by_file
from toytip.store.changes import MonthInputs, Recipe, inputs_by_month
from toytip.store.manifest import Manifest, SourceFileRef


def clean_source(context: RunContext, plan: RunPlan) -> PublishedTables:
    """Clean a source, and publish `trips` and `rejects`."""
    dataset = plan.dataset
    tables = (dataset.table(TRIPS), dataset.table(REJECTS))

    def build_frames(partitions: Sequence[SourcePartition]) -> dict[Table, Any]:
        frames = graph.clean_trips(graph.read_raw_trips(partitions, dataset), dataset)
        return dict(zip(tables, frames, strict=True))

    return _build_from_source(context, plan, "clean", tables, build_frames)


def read_source(context: RunContext, plan: RunPlan) -> PublishedTables:
    """Clean and featurize a source, and publish `features`, feature histograms and `rejects`.

    One task per partition does conform, clean and featurize.
    """
    dataset = plan.dataset
    tables = (dataset.table(FEATURES), dataset.table(REJECTS), FEATURE_HISTOGRAMS)

    def build_frames(partitions: Sequence[SourcePartition]) -> dict[Table, Any]:
        trips, rejects = graph.clean_trips(graph.read_raw_trips(partitions, dataset), dataset)
        features = graph.build_features(trips, dataset)
        frames = (features, rejects, graph.build_feature_histograms(features, dataset))
        return dict(zip(tables, frames, strict=True))

    return _build_from_source(context, plan, "read", tables, build_frames)


def _build_from_source(
    context: RunContext,
    plan: RunPlan,
    stage: str,
    tables: tuple[Table, ...],
    build_frames: Callable[[Sequence[SourcePartition]], dict[Table, Any]],
) -> PublishedTables:
    source, partitions = plan.source, plan.partitions
    checksums = _file_checksums(context, source)
    planned = [_plan_files(plan.dataset, tables, partition, checksums) for partition in partitions]
    job = BuildJob(
        stage=stage,
        tables=tables,
        planned=planned,
        recipe=_recipe(
            tables[0],
            plan.dataset,
            inputs_by_month(files[tables[0].name] for files in planned),
            plan.partition_rows,
        ),
        recipe_of=_recipe_of,
        build_frames=lambda numbers: build_frames([partitions[number] for number in numbers]),
        descriptions=[_describe_partition(partition) for partition in partitions],
        source_uris=[partition.uri for partition in partitions],
        shape=f"{source.taxi} from {'S3' if source.files[0].content_tag else 'files'}",
    )
    files = build_data_files(context, job).files
    check_row_balance(source.rows, files)
    require_months_of_files(source, _rows_out_of_month(files))
    _report_rejected_months(context, plan, tables[0], files)
    parents = _source_references(source, checksums)
    config = {"taxi": source.taxi, "partition_rows": plan.partition_rows}
    return {
        table.name: context.add_table(
            table,
            files[table.name],
            config,
            parents,
            code=code_digest(chain_of(table), plan.dataset),
            module=manifest_module(plan.dataset),
        )
        for table in tables
    }


def _rows_out_of_month(files: FilesByTable) -> Counter[Month]:
    outside = Counter[Month]()
    for file in files[REJECTS.name]:
        outside[file.key.month] += file.rejects.get(OUT_OF_MONTH, 0)
    return outside


def _report_rejected_months(context: RunContext, plan: RunPlan, accepted: Table, files: FilesByTable) -> None:
    """Warn about the months of which the cleaning rules rejected all trips.

    Raises StoreError if no month has trips in the table of accepted trips.
    """
    accepted_rows, rejects = Counter[Month](), dict[Month, Counter[str]]()
    for file in files[accepted.name]:
        accepted_rows[file.key.month] += file.rows
    for file in files[REJECTS.name]:
        rejects.setdefault(file.key.month, Counter()).update(file.rejects)

    def find_missing(months: Sequence[Month]) -> str | None:
        return _missing_column(
            context, plan, [file for file in files[REJECTS.name] if file.key.month in months]
        )

    months = {
        month: CleanedRows(accepted=accepted_rows[month], rejects=counts) for month, counts in rejects.items()
    }
    leaking = plan.dataset.leaking_columns
    if warning := require_accepted_rows(accepted.name, months, leaking, find_missing):
        context.progress.warn(warning)


def _missing_column(context: RunContext, plan: RunPlan, rejects: Sequence[DataFile]) -> str | None:
    """Return the column that is null in most rejected trips, or None without missing values."""
    nulls, dataset = Counter[str](), plan.dataset
    for file in rejects:
        if MISSING_VALUE in file.rejects:
            content = context.store.read_file(REJECTS.name, context.version, file, staged=True)
            metadata = pq.read_metadata(io.BytesIO(content))
            nulls.update({name: count_nulls(metadata, name) for name in dataset.required_columns})
    return dataset.layout.source_column(nulls.most_common(1)[0][0], plan.source.taxi) if nulls else None


def _plan_files(
    dataset: Dataset, tables: Sequence[Table], partition: SourcePartition, checksums: Mapping[str, str]
) -> dict[str, DataFile]:
    """Describe the data files of a partition: those of cleaning, and those of the features."""
    cleaned = plan_file_of_partition("clean", dataset, partition, checksums)
    featurized = plan_next_file("featurize", dataset, cleaned, None)
    return {table.name: cleaned if table.made_by == "clean" else featurized for table in tables}


def _recipe(
    table: Table, dataset: Dataset, inputs: Mapping[Month, MonthInputs], partition_rows: int
) -> Recipe:
    return new_recipe(
        table, dataset, inputs, input_name="source files", detail_name="partition_rows", detail=partition_rows
    )


def _recipe_of(manifest: Manifest) -> Recipe:
    inputs = inputs_by_month(manifest.files)
    return stored_recipe(manifest, inputs, detail=manifest.config["partition_rows"])


def _describe_partition(partition: SourcePartition) -> str:
    first, *others = partition.file_rows
    name = f"{mask_credentials(first.uri)}, rows {first.start:,} to {first.stop:,}"
    return f"{name}, and {plural(len(others), 'other file')}" if others else name


def _source_references(source: Source, checksums: Mapping[str, str]) -> list[SourceFileRef]:
    """Return the source files as parents in a manifest."""
    rows = Counter[str]()
    for file in source.files:
        rows[file.uri] += file.rows
    return [
        SourceFileRef(
            uri=mask_credentials(file.uri),
            rows=rows[file.uri],
            bytes=file.bytes,
            modified=file.modified,
            checksum=checksums[file.uri],
        )
        for file in source.distinct_files
    ]


def _file_checksums(context: RunContext, source: Source) -> dict[str, str]:
    """Return the checksum or entity tag of each source file, by URI.

    A file whose checksum is in an earlier manifest is not read again, if its file system tells when
    the file was modified.
    """
    earlier = checksums_by_file(context.store.list_tables())
    keys = {
        file.uri: (mask_credentials(file.uri), file.bytes, file.modified) for file in source.distinct_files
    }
    checksums = {
        file.uri: file.content_tag or (earlier.get(keys[file.uri], "") if file.modified else "")
        for file in source.distinct_files
    }
    unread = [file for file in source.distinct_files if not checksums[file.uri]]
    if unread:
        with context.progress.stage("checksum", len(unread)) as stage:
            computed = source_tasks.compute_checksums(context.client, unread, stage)
        checksums |= {file.uri: checksum for file, checksum in zip(unread, computed, strict=True)}
    return checksums


def featurize_trips(context: RunContext, trips: Manifest) -> PublishedTables:
    """Featurize `trips`, and publish `features` and feature histograms."""
    dataset = open_dataset(context.settings, str(trips.config["taxi"]))
    context.require_usable_module(dataset)
    tables = (dataset.table(FEATURES), FEATURE_HISTOGRAMS)

    def build_frames(files: list[DataFile]) -> dict[Table, Any]:
        frame = graph.read_version(context.store, dataset.table(TRIPS), trips.version, files)
        features = graph.build_features(frame, dataset)
        return {tables[0]: features, tables[1]: graph.build_feature_histograms(features, dataset)}

    recipe = _recipe(FEATURES, dataset, inputs_by_month(trips.files), trips.config["partition_rows"])
    built = build_from_table(
        context,
        "featurize",
        trips,
        tables,
        build_frames,
        plan_file=lambda file: plan_next_file("featurize", dataset, file, None),
        recipe=recipe,
        recipe_of=_recipe_of,
    )
    parents, code = [trips.ref], code_digest(chain_of(FEATURES), dataset)
    # Publish the histograms first, so that a version with features is complete.
    return {
        table.name: context.add_table(
            table, built.files[table.name], trips.config, parents, code=code, module=manifest_module(dataset)
        )
        for table in reversed(tables)
    }
