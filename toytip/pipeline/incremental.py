"""Incremental stages: reuse the files whose fingerprint the store has, and compute the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from toytip.core.dataset.dataset import Dataset
from toytip.core.months import Month
from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.tables import STAGE_LABELS, get_table
from toytip.core.text import plural
from toytip.engine import compute, graph
from toytip.errors import StoreError
from toytip.evaluation.tally import Tallies, combine_tallies
from toytip.pipeline.context import RunContext
from toytip.pipeline.fingerprints import chain_of, code_digest, package_versions
from toytip.pipeline.result import StageDecision
from toytip.progress.tracker import StageProgress
from toytip.store.changes import MonthInputs, Recipe, explain_changes
from toytip.store.manifest import Manifest

FilesByTable = dict[str, list[DataFile]]
# The data files of one partition, by table.
FileSet = Mapping[str, DataFile]
SummaryBuilder = Callable[[Sequence[int]], graph.SummaryInputs]
REUSE_THREADS = 8
FULL_REFRESH = "recomputed, as requested (--full-refresh)"
FIRST_VERSION = "the store has no earlier version"


@dataclass(frozen=True, kw_only=True)
class BuildJob:
    """The data files that a stage builds, and how."""

    stage: str
    """Name of the stage in `STAGE_MODULES`."""
    tables: Sequence[Table]
    """Tables that the stage writes."""
    planned: Sequence[FileSet]
    """Planned data files of each partition, with their fingerprints."""
    build_frames: Callable[[Sequence[int]], dict[Table, Any]]
    """Builds lazy frames of the partitions with the given numbers, by table."""
    recipe: Recipe
    """Everything that determines the files of the first table."""
    recipe_of: Callable[[Manifest], Recipe]
    """Returns the recipe of an earlier version of the first table."""
    build_summary: SummaryBuilder | None = None
    """Builds the inputs for the summary of the first table. None if there is no summary."""
    descriptions: Sequence[str] = ()
    """Description of each partition in errors. By default, stage and path."""
    source_uris: Sequence[str] = ()
    """Source file of each partition, so that a worker reads consecutive partitions of a file."""
    shape: str = ""
    """Facts other than the number of rows that change the duration."""

    @property
    def label(self) -> str:
        """The name of the stage that users see."""
        return STAGE_LABELS.get(self.stage, self.stage)

    @property
    def files(self) -> list[DataFile]:
        """The planned files of the first table."""
        return [files[self.tables[0].name] for files in self.planned]

    @property
    def months(self) -> list[str]:
        """The month of each partition."""
        return month_names(self.files)

    def description(self, number: int) -> str:
        """Return the description of a partition in errors."""
        if self.descriptions:
            return self.descriptions[number]
        return f"{self.label} of {self.files[number].path}"


class BuiltFiles(NamedTuple):
    """The data files of a stage by table, and the metric histograms of the first table."""

    files: FilesByTable
    tallies: Tallies


def build_data_files(context: RunContext, job: BuildJob) -> BuiltFiles:
    """Build the data files of a stage, or reuse data files with the same fingerprint."""
    reused, versions = _reuse_files(context, job)
    missing = [number for number in range(len(job.planned)) if number not in reused]
    reason = _describe_reuse(context, job, missing, versions)
    context.record_decision(job.label, StageDecision(reused=bool(reused), reason=reason))
    files, tallies = dict(reused), Tallies()
    with context.progress.stage(job.label, len(job.planned), job.months) as stage:
        stage.set_shape(job.shape)
        _show_reused(stage, job, reused)
        if missing:
            results = _compute_files(context, job, missing, stage)
            files |= {number: result.records for number, result in zip(missing, results, strict=True)}
            tallies = graph.merge_tallies(results)
        if job.build_summary and reused:
            inputs = job.build_summary(list(reused))
            records = [files_by_table[job.tables[0].name] for files_by_table in reused.values()]
            tallies = combine_tallies(tallies, _summarize_reused(context, job.tables[0], records, inputs))
        stage.set_note(_reuse_note(reused))
    numbers = range(len(job.planned))
    return BuiltFiles(
        {table.name: [files[number][table.name] for number in numbers] for table in job.tables}, tallies
    )


def _compute_files(
    context: RunContext, job: BuildJob, numbers: Sequence[int], stage: StageProgress
) -> list[graph.PartitionResult]:
    planned = [job.planned[number] for number in numbers]
    inputs = job.build_summary(numbers) if job.build_summary else None
    frames = job.build_frames(numbers)
    return compute.compute_partitions(
        context.client,
        graph.write_partitions(context.store, context.version, planned, frames, inputs),
        stage,
        names=[job.description(number) for number in numbers],
        files=[job.source_uris[number] for number in numbers] if job.source_uris else (),
        months=[job.months[number] for number in numbers],
    )


def _show_reused(stage: StageProgress, job: BuildJob, reused: Mapping[int, FileSet]) -> None:
    """Show reused files as done."""
    for number, files in reused.items():
        rejects = {reason: count for file in files.values() for reason, count in file.rejects.items()}
        stage.advance(month=job.months[number], rejects=rejects, reused=True)
    stage.set_note(_reuse_note(reused))


def _reuse_note(reused: Mapping[int, FileSet]) -> str:
    return f"{len(reused)} reused" if reused else ""


def _reuse_files(context: RunContext, job: BuildJob) -> tuple[dict[int, FileSet], set[str]]:
    """Reuse the planned files that exist in all tables with the same fingerprint.

    Returns the files by partition, and their versions.
    """
    versions: set[str] = set()
    if context.settings.full_refresh:
        return {}, versions
    existing = {table.name: context.store.find_data_files(table.name) for table in job.tables}

    def reuse(number: int) -> FileSet | None:
        planned = job.planned[number]
        files = {table: by_key[planned[table].fingerprint] for table, by_key in existing.items()}
        if not all(
            context.store.reuse_data_file(table, context.version, file) for table, file in files.items()
        ):
            return None
        versions.update(file.version for file in files.values())
        return {table: file.record for table, file in files.items()}

    candidates = [
        number
        for number, planned in enumerate(job.planned)
        if all(planned[table].fingerprint in by_key for table, by_key in existing.items())
    ]
    with ThreadPoolExecutor(REUSE_THREADS) as pool:
        results = zip(candidates, pool.map(reuse, candidates), strict=True)
        reused = {number: files for number, files in results if files is not None}
    context.reused_versions.update(versions)
    return reused, versions


def _summarize_reused(
    context: RunContext, table: Table, files: Sequence[DataFile], inputs: graph.SummaryInputs
) -> Tallies:
    frame = graph.read_version(context.store, table, context.version, files, staged=True)
    summaries, months = graph.summarize_partitions(frame, inputs), month_names(files)
    with context.progress.stage("summary", len(files), months) as stage:
        return graph.merge_tallies(
            compute.compute_partitions(context.client, summaries, stage, months=months)
        )


def _describe_reuse(
    context: RunContext, job: BuildJob, missing: Sequence[int], reused_versions: set[str]
) -> str:
    """Return why a stage runs, or which versions its files are reused from."""
    if context.settings.full_refresh:
        return FULL_REFRESH
    total = len(job.planned)
    versions = [version for version in sorted(reused_versions) if version != context.version]
    reuse = f"{total - len(missing)} of {plural(total, 'file')} reused"
    reuse += f" from {', '.join(versions)}" if versions else ""
    if not missing:
        return f"same input, code and config: {reuse}"
    manifests = context.store.list_tables(job.tables[0].name)
    if not manifests:
        return FIRST_VERSION if len(missing) == total else f"{reuse}, the store does not have the others"
    months = {job.files[number].key.month for number in missing}
    earlier = {manifest.version: job.recipe_of(manifest) for manifest in manifests}
    reason = explain_changes(job.recipe, earlier, months)
    return reason if len(missing) == total else f"{reuse}. The rest {reason}"


def new_recipe(table: Table, dataset: Dataset, inputs: Mapping[Month, MonthInputs], **fields: Any) -> Recipe:
    """Return the recipe of a table for the installed code and packages."""
    code = code_digest(chain_of(table), dataset)
    return Recipe(code=code, packages=package_versions(), inputs=inputs, **fields)


def stored_recipe(manifest: Manifest, inputs: Mapping[Month, MonthInputs], **fields: Any) -> Recipe:
    """Return the recipe of a published version."""
    packages = {name: manifest.environment.get(name, "") for name in package_versions()}
    return Recipe(code=manifest.code, packages=packages, inputs=inputs, **fields)


def check_row_balance(rows_in: int, files: FilesByTable) -> None:
    """Raise StoreError if the tables do not have as many rows as were read."""
    tables = (table_files for name, table_files in files.items() if get_table(name).rows_are_trips)
    rows_out = sum(file.rows for table_files in tables for file in table_files)
    if rows_out != rows_in:
        raise StoreError(
            f"cannot publish: {plural(rows_in, 'row')} read, but {plural(rows_out, 'row')} written",
            hint="Report this error. The tables were not published.",
        )


def build_from_table(
    context: RunContext,
    stage: str,
    upstream: Manifest,
    tables: Sequence[Table],
    build_frames: Callable[[list[DataFile]], dict[Table, Any]],
    *,
    plan_file: Callable[[DataFile], DataFile],
    recipe: Recipe,
    recipe_of: Callable[[Manifest], Recipe],
    build_summary: SummaryBuilder | None = None,
    shape: str = "",
) -> BuiltFiles:
    """Build the data files of a stage from the data files of an input table.

    `plan_file` returns the planned data file for a data file of the input table. Raises StoreError.
    """
    names = [table.name for table in tables]
    job = BuildJob(
        stage=stage,
        tables=tables,
        planned=[dict.fromkeys(names, plan_file(file)) for file in upstream.files],
        build_frames=lambda numbers: build_frames([upstream.files[number] for number in numbers]),
        recipe=recipe,
        recipe_of=recipe_of,
        build_summary=build_summary,
        shape=shape,
    )
    built = build_data_files(context, job)
    check_row_balance(upstream.rows, built.files)
    return built


def month_names(files: Sequence[DataFile]) -> list[str]:
    """Return the month of each data file as text."""
    return [str(file.key.month) for file in files]


def find_reusable(
    context: RunContext,
    stage: str,
    table: Table,
    fingerprint: str,
    recipe: Recipe,
    recipe_of: Callable[[Manifest], Recipe],
) -> Manifest | None:
    """Return the newest version of an artifact with a fingerprint, or None.

    `recipe` describes the artifact, and `recipe_of` returns the recipe of an earlier version.
    """
    if context.settings.full_refresh:
        context.record_decision(stage, StageDecision(reused=False, reason=FULL_REFRESH))
        return None
    manifests = context.store.list_tables(table.name)
    for manifest in reversed(manifests):
        if manifest.fingerprint == fingerprint:
            reason = f"same input, code and config: {manifest.version} is reused"
            context.record_decision(stage, StageDecision(reused=True, reason=reason))
            context.progress.skip(stage, f"{manifest.version} is reused")
            return manifest
    earlier = {manifest.version: recipe_of(manifest) for manifest in manifests}
    reason = explain_changes(recipe, earlier) if earlier else FIRST_VERSION
    context.record_decision(stage, StageDecision(reused=False, reason=reason))
    return None
