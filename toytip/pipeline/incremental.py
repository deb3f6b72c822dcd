"""Row stages: parts in, parts out; what was made before from the same input, code and config is taken over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toytip.core.partitions import DataFile
from toytip.core.schema import Table
from toytip.core.tables import STAGE_LABELS, get_table
from toytip.engine import compute, graph
from toytip.errors import StoreError
from toytip.evaluation.tally import Tallies, combine_tallies
from toytip.pipeline.context import RunContext, StageDecision
from toytip.pipeline.identity import code_digest, planned_from_part
from toytip.store.manifest import Manifest

RecordsByTable = dict[str, list[DataFile]]
REUSE_THREADS = 8


def build_parts(
    context: RunContext,
    stage: str,
    tables: Sequence[Table],
    planned: Sequence[DataFile],
    build_frames: Callable[[list[int]], dict[Table, Any]],
    build_summary_inputs: Callable[[list[int]], graph.SummaryInputs] | None = None,
    descriptions: Sequence[str] = (),
    source_files: Sequence[str] = (),
) -> tuple[RecordsByTable, Tallies]:
    """Make the parts of a stage's tables: their records, and the summary of the first table where one is asked for.

    `planned` says of every part what it is made from; `build_frames` builds lazy frames of those that must be made, and
    `build_summary_inputs` what the first table is summed up with; `descriptions` say where every part comes from, if not from its like, and
    `source_files` which of them are read from one file, in order.
    """
    shown_as = STAGE_LABELS.get(stage, stage)
    called = descriptions or [f"{shown_as} of {part.path}" for part in planned]
    taken = _reuse_parts(context, tables, planned)
    todo = [number for number in range(len(planned)) if number not in taken]
    reason = _run_reason(context, stage, tables[0], planned, todo)
    context.record_decision(shown_as, StageDecision(reused=bool(taken), reason=reason))
    summary: Tallies = {}
    made: dict[int, dict[str, DataFile]] = dict(taken)
    months = [str(part.key.month) for part in planned]
    with context.progress.stage(shown_as, len(planned), months) as shown:
        for number, there in taken.items():
            rejects = {reason: n for record in there.values() for reason, n in record.rejects.items()}
            shown.advance(month=months[number], rejects=rejects, reused=True)
        shown.note = f"{len(taken)} taken over" if taken else ""
        if todo:
            parts = [planned[number] for number in todo]
            with_ = build_summary_inputs(todo) if build_summary_inputs else None
            lazy = graph.write_partitions(context.store, context.version, parts, build_frames(todo), with_)
            done = compute.compute_partitions(
                context.client, lazy, shown,
                names=[called[n] for n in todo], files=[source_files[n] for n in todo] if source_files else (),
                months=[months[n] for n in todo],
            )  # fmt: skip
            made |= {number: item.records for number, item in zip(todo, done, strict=True)}
            summary = graph.merge_tallies(done)
        if build_summary_inputs and taken:
            records = [item[tables[0].name] for item in taken.values()]
            summary = combine_tallies(
                summary, _summarize_reused(context, tables[0], records, build_summary_inputs(list(taken)))
            )
        shown.note = f"{len(taken)} taken over" if taken else ""
    return {table.name: [made[n][table.name] for n in range(len(planned))] for table in tables}, summary


def _reuse_parts(
    context: RunContext, tables: Sequence[Table], planned: Sequence[DataFile]
) -> dict[int, dict[str, DataFile]]:
    """Take over the parts that are there in all of the tables."""
    if context.settings.full_refresh:
        return {}
    made = {table.name: context.store.find_data_files(table.name) for table in tables}
    there = [n for n, part in enumerate(planned) if all(part.fingerprint in found for found in made.values())]

    def adopt(number: int) -> dict[str, DataFile] | None:
        parts = {table: found[planned[number].fingerprint] for table, found in made.items()}
        if not all(
            context.store.reuse_data_file(table, context.version, part) for table, part in parts.items()
        ):
            return None
        context.reused_versions.update(part.version for part in parts.values())
        return {table: part.record for table, part in parts.items()}

    with ThreadPoolExecutor(REUSE_THREADS) as pool:
        results = dict(zip(there, pool.map(adopt, there), strict=True))
    return {number: records for number, records in results.items() if records is not None}


def _summarize_reused(
    context: RunContext, table: Table, records: list[DataFile], summing: graph.SummaryInputs
) -> Tallies:
    lazy = graph.read_version(context.store, table, context.version, records, staged=True)
    months = [str(record.key.month) for record in records]
    with context.progress.stage("summary", len(records), months) as shown:
        return graph.merge_tallies(
            compute.compute_partitions(
                context.client, graph.summarize_partitions(lazy, summing), shown, months=months
            )
        )


def _run_reason(
    context: RunContext, stage: str, table: Table, planned: Sequence[DataFile], todo: list[int]
) -> str:
    """Say why a stage runs, or does not."""
    if context.settings.full_refresh:
        return "everything is made anew, as asked (--fresh)"
    versions = [v for v in sorted(context.reused_versions) if v != context.version]
    taken = f"{len(planned) - len(todo)} of {len(planned)} parts taken over"
    taken += f" from {', '.join(versions)}" if versions else ""
    if not todo:
        return f"same input, code and config: {taken}"
    before = context.store.newest_manifest(table.name)
    if before is None:
        return (
            f"{taken}; the rest is not in the store yet" if len(todo) < len(planned) else "first of its kind"
        )
    if before.code != code_digest(stage):
        reason = f"its code or packages are not those of {before.version}"
    else:
        reason = _describe_changes(before, [planned[number] for number in todo])
    return f"{taken}; {reason}" if len(todo) < len(planned) else reason


def _describe_changes(before: Manifest, todo: list[DataFile]) -> str:
    there = {part.key: part.input_fingerprint for part in before.files}
    new = sorted({str(part.key.month) for part in todo if part.key not in there})
    other = sorted({str(p.key.month) for p in todo if p.key in there and p.input_fingerprint != there[p.key]})
    same = sorted({str(p.key.month) for p in todo if p.key in there and p.input_fingerprint == there[p.key]})
    said = [("new", new), ("changed input", other), ("changed model, config, or a lost part", same)]
    return "; ".join(f"{what}: {', '.join(months)}" for what, months in said if months)


def check_row_balance(rows_in: int, records: RecordsByTable) -> None:
    """Check the law of the rows before anything is published. Raises StoreError."""
    out = sum(
        file.rows for name, files in records.items() if get_table(name).rows_are_trips for file in files
    )
    if out != rows_in:
        raise StoreError(f"{rows_in} rows were read but {out} written; nothing was published: report this")


def build_from_parts(
    context: RunContext,
    stage: str,
    upstream: Manifest,
    tables: tuple[Table, ...],
    frames: Callable[[list[DataFile]], dict[Table, Any]],
    config: Any,
    summing: Callable[[list[int]], graph.SummaryInputs] | None = None,
) -> tuple[RecordsByTable, Tallies]:
    """Build tables from the parts of an upstream table. Raises StoreError."""
    planned = [planned_from_part(stage, record, config) for record in upstream.files]
    written, summary = build_parts(
        context,
        stage,
        tables,
        planned,
        lambda todo: frames([upstream.files[n] for n in todo]),
        summing,
    )
    check_row_balance(upstream.rows, written)
    return written, summary


def month_names(records: list[DataFile]) -> list[str]:
    """Return the month of each part as text."""
    return [str(record.key.month) for record in records]


def find_reusable(context: RunContext, stage: str, table: str, made_from: str) -> Manifest | None:
    """Return the version of an artifact that was made from the very same; None where it must be made."""
    if context.settings.full_refresh:
        reason = "everything is made anew, as asked (--fresh)"
        context.record_decision(stage, StageDecision(reused=False, reason=reason))
        return None
    before = context.store.list_manifests(table)
    for manifest in reversed(before):
        if manifest.fingerprint == made_from:
            reason = f"same input, code and config: {manifest.version} is reused"
            context.record_decision(stage, StageDecision(reused=True, reason=reason))
            context.progress.skip(stage, f"{manifest.version} is reused")
            return manifest
    if not before:
        reason = "first of its kind"
    elif before[-1].code != code_digest(stage):
        reason = f"its code or packages are not those of {before[-1].version}"
    else:
        reason = f"its input or config are not those of {before[-1].version}"
    context.record_decision(stage, StageDecision(reused=False, reason=reason))
    return None
