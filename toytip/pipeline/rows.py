"""Row stages: parts in, parts out; what was made before from the same input, code and config is taken over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toytip import barrier, flow
from toytip.errors import StoreError
from toytip.pipeline.context import Context
from toytip.pipeline.identity import code_of
from toytip.schema import PROFILES, Table
from toytip.store import Manifest
from toytip.tally import Summary, merge
from toytip.values import PartRecord

Records = dict[str, list[PartRecord]]
COPIES = 8
# In a run two stages are one task; it goes by the name that people know.
SHOWN = {"read": "featurize", "predict": "infer"}


def make(
    context: Context,
    stage: str,
    tables: Sequence[Table],
    planned: Sequence[PartRecord],
    frames: Callable[[list[int]], dict[Table, Any]],
    summing: Callable[[list[int]], flow.Summing] | None = None,
    names: Sequence[str] = (),
    files: Sequence[str] = (),
) -> tuple[Records, Summary]:
    """Make the parts of a stage's tables: their records, and the summary of the first table where one is asked for.

    `planned` says of every part what it is made from; `frames` builds lazy frames of those that must be made, and
    `summing` what the first table is summed up with; `names` say where every part comes from, if not from its like, and
    `files` which of them are read from one file, in order.
    """
    shown_as = SHOWN.get(stage, stage)
    called = names or [f"{shown_as} of {part.path}" for part in planned]
    taken = _take(context, tables, planned)
    todo = [number for number in range(len(planned)) if number not in taken]
    context.tell(shown_as, _why(context, stage, tables[0], planned, todo))
    summary: Summary = {}
    made: dict[int, dict[str, PartRecord]] = dict(taken)
    months = [str(part.key.month) for part in planned]
    with context.progress.stage(shown_as, len(planned), months) as shown:
        for number, there in taken.items():
            rejects = {reason: n for record in there.values() for reason, n in record.rejects.items()}
            shown.advance(month=months[number], rejects=rejects, taken=True)
        shown.note = f"{len(taken)} taken over" if taken else ""
        if todo:
            parts = [planned[number] for number in todo]
            with_ = summing(todo) if summing else None
            lazy = flow.written(context.store, context.version, parts, frames(todo), with_)
            done = barrier.collect(
                context.client, lazy, shown,
                names=[called[n] for n in todo], files=[files[n] for n in todo] if files else (),
                months=[months[n] for n in todo],
            )  # fmt: skip
            made |= {number: item.records for number, item in zip(todo, done, strict=True)}
            summary = flow.merged(done)
        if summing and taken:
            records = [item[tables[0].name] for item in taken.values()]
            summary = merge(summary, _summed(context, tables[0], records, summing(list(taken))))
        shown.note = f"{len(taken)} taken over" if taken else ""
    return {table.name: [made[n][table.name] for n in range(len(planned))] for table in tables}, summary


def _take(
    context: Context, tables: Sequence[Table], planned: Sequence[PartRecord]
) -> dict[int, dict[str, PartRecord]]:
    """Take over the parts that are there in all of the tables."""
    if context.settings.fresh:
        return {}
    made = {table.name: context.store.made(table.name) for table in tables}
    there = [n for n, part in enumerate(planned) if all(part.identity in found for found in made.values())]

    def adopt(number: int) -> dict[str, PartRecord] | None:
        parts = {table: found[planned[number].identity] for table, found in made.items()}
        if not all(context.store.adopt(table, context.version, part) for table, part in parts.items()):
            return None
        context.taken_from.update(part.version for part in parts.values())
        return {table: part.record for table, part in parts.items()}

    with ThreadPoolExecutor(COPIES) as pool:
        results = dict(zip(there, pool.map(adopt, there), strict=True))
    return {number: records for number, records in results.items() if records is not None}


def _summed(context: Context, table: Table, records: list[PartRecord], summing: flow.Summing) -> Summary:
    lazy = flow.published(context.store, table, context.version, records, making=True)
    months = [str(record.key.month) for record in records]
    with context.progress.stage("summary", len(records), months) as shown:
        return flow.merged(barrier.collect(context.client, flow.tallied(lazy, summing), shown, months=months))


def _why(context: Context, stage: str, table: Table, planned: Sequence[PartRecord], todo: list[int]) -> str:
    """Say why a stage runs, or does not."""
    if context.settings.fresh:
        return "everything is made anew, as asked (--fresh)"
    versions = [v for v in sorted(context.taken_from) if v != context.version]
    taken = f"{len(planned) - len(todo)} of {len(planned)} parts taken over"
    taken += f" from {', '.join(versions)}" if versions else ""
    if not todo:
        return f"same input, code and config: {taken}"
    before = context.store.newest(table.name)
    if before is None:
        return (
            f"{taken}; the rest is not in the store yet" if len(todo) < len(planned) else "first of its kind"
        )
    if before.code != code_of(stage):
        reason = f"its code or packages are not those of {before.version}"
    else:
        reason = _changes(before, [planned[number] for number in todo])
    return f"{taken}; {reason}" if len(todo) < len(planned) else reason


def _changes(before: Manifest, todo: list[PartRecord]) -> str:
    there = {part.key: part.input for part in before.parts}
    new = sorted({str(part.key.month) for part in todo if part.key not in there})
    other = sorted({str(p.key.month) for p in todo if p.key in there and p.input != there[p.key]})
    same = sorted({str(p.key.month) for p in todo if p.key in there and p.input == there[p.key]})
    said = [("new", new), ("changed input", other), ("changed model, config, or a lost part", same)]
    return "; ".join(f"{what}: {', '.join(months)}" for what, months in said if months)


def check_sum(rows_in: int, records: Records) -> None:
    """Check the law of the rows before anything is published. Raises StoreError."""
    # A profile's rows are values of features, no trips.
    tables = (parts for name, parts in records.items() if name != PROFILES.name)
    out = sum(record.rows for parts in tables for record in parts)
    if out != rows_in:
        raise StoreError(f"{rows_in} rows were read but {out} written; nothing was published: report this")
