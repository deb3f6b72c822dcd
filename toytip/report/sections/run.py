"""Sections about the run: warnings, summary, rows, time and lineage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from toytip.core.text import plural
from toytip.report import formatting
from toytip.report.blocks import (
    Block,
    MissingBlock,
    PairsBlock,
    Picture,
    PicturesBlock,
    TableBlock,
    TableCell,
    TextBlock,
    TreeBlock,
    WarningsBlock,
)
from toytip.report.charts import data
from toytip.report.facts import Facts
from toytip.report.findings import checked_topics, collect_findings
from toytip.report.sections.section import Content, missing, section
from toytip.store.lineage import DeletedVersion, LineageParent
from toytip.store.manifest import SourceFileRef, VersionRef

if TYPE_CHECKING:
    from toytip.pipeline.result import RunTiming

# Maximum number of reject reasons in the chart of rejected trips.
MAX_DRAWN_REASONS = 3


@section("warnings", "Warnings")
def findings_section(facts: Facts) -> Content:
    """Return the warnings, or without warnings the topics that were checked."""
    findings = collect_findings(facts)
    if findings:
        return Content("", [WarningsBlock(findings)])
    topics = checked_topics(facts)
    checked = f" Checked: {', '.join(topics)}." if topics else ""
    return Content("", [TextBlock(f"There are no warnings.{checked}")])


@section("run", "Run summary")
def run_section(facts: Facts) -> Content:
    """Return the version, its source, its model and its settings."""
    blocks: list[Block] = [PairsBlock([(name, text) for name, text in _run_pairs(facts) if text])]
    if "model" in facts.missing_reasons:
        blocks.append(MissingBlock(f"The model is not available: {facts.missing_reasons['model']}."))
    return Content("", blocks)


def _run_pairs(facts: Facts) -> Iterator[tuple[str, str]]:
    params = facts.config.get("models", {})
    split = [f"{name} {start[:10]} to {stop[:10]}" for name, (start, stop) in facts.split.items()]
    yield "version", facts.version
    yield "created", formatting.format_minute(facts.created_at)
    yield "store", facts.store
    yield "source", _source_text(facts)
    yield "kind and months", f"{facts.taxi}, {_month_range(facts.months)}"
    yield "split", ", ".join(split) + (" (end dates are exclusive)" if split else "")
    yield "trained on", f"{facts.segment} trips" if facts.segment else ""
    yield "features", f"{len(facts.features)}: {', '.join(facts.features)}" if facts.features else ""
    yield "model", _model_text(facts)
    yield (
        "parameters",
        ", ".join(
            f"{formatting.label(name)} {formatting.format_setting(value)}" for name, value in params.items()
        ),
    )
    yield (
        "parameter digest",
        next(
            (facts.digests[name] for name in ("models", "features", "trips") if facts.digests.get(name)), ""
        ),
    )
    yield "promotion gate", _gate_text(facts)
    yield "packages", ", ".join(f"{name} {version[:12]}" for name, version in facts.environment.items())


def _source_text(facts: Facts) -> str:
    files = len(facts.sources)
    if facts.run_result:
        source = facts.run_result.origin.source
    else:
        source = _source_folder(facts.sources) if files else ""
    return f"{source}, {plural(files, 'file')}" if files else source


def _source_folder(sources: Sequence[SourceFileRef]) -> str:
    folders = list(dict.fromkeys(source.uri.rpartition("/")[0] for source in sources))
    return folders[0] if len(folders) == 1 else f"{folders[0]} and {plural(len(folders) - 1, 'more folder')}"


def _month_range(months: Sequence[str]) -> str:
    if not months:
        return "no months"
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]} ({plural(len(months), 'month')})"


def _model_text(facts: Facts) -> str:
    if facts.rounds is None:
        return ""
    version = facts.tables.get("models", {}).get("version", "")
    return f"{version}, {plural(facts.rounds, 'round')}, decision threshold {facts.threshold:.4f}"


def _gate_text(facts: Facts) -> str:
    promotion = facts.run_result.promotion if facts.run_result else None
    if not promotion:
        return ""
    return ": ".join(filter(None, (promotion.decision.label, ", ".join(promotion.promotion_reasons))))


@section("rows", "Rows")
def rows_section(facts: Facts) -> Content:
    """Return the number of rows read, kept and rejected, by month and reject reason."""
    rule = "A trip is rejected for the first reason that applies."
    if not facts.rows:
        reason = facts.missing_reasons.get("rows", "no rows were counted")
        return missing(rule, f"Row counts are not available: {reason}.")
    read, accepted = _total_rows(facts)
    reasons = _reject_totals(facts)
    blocks: list[Block] = [PicturesBlock(list(_row_pictures(facts, reasons))), _month_table(facts, reasons)]
    if "rejects" in facts.missing_reasons:
        reason = facts.missing_reasons["rejects"]
        text = f"Counts of rejected trips are not available: {reason}. All counts are of kept trips only."
        blocks.append(MissingBlock(text))
    counts = " trips read, ".join(map(formatting.format_count, (read, accepted)))
    share = formatting.format_share((read - accepted) / max(read, 1), 2)
    rejected = formatting.format_count(read - accepted)
    return Content(f"{counts} kept, {rejected} rejected ({share}). {rule}", blocks)


def _total_rows(facts: Facts) -> tuple[int, int]:
    months = facts.rows.values()
    return sum(rows.read for rows in months), sum(rows.accepted for rows in months)


def _reject_totals(facts: Facts) -> dict[str, int]:
    """Return the rejected trips by reason, most frequent first."""
    totals: dict[str, int] = {}
    for rows in facts.rows.values():
        for reason, count in rows.rejects.items():
            totals[reason] = totals.get(reason, 0) + count
    return dict(sorted(totals.items(), key=lambda item: -item[1]))


def _row_pictures(facts: Facts, reasons: Mapping[str, int]) -> Iterator[Picture]:
    accepted = {month: rows.accepted for month, rows in facts.rows.items()}
    largest, smallest = max(accepted, key=accepted.__getitem__), min(accepted, key=accepted.__getitem__)
    caption = (
        f"{largest} has the most trips, {smallest} the fewest."
        if len(accepted) > 1
        else f"{plural(accepted[largest], 'trip')} in {largest}."
    )
    yield data.draw_accepted_trips("rows-kept", facts, caption)
    if reasons:
        reason, count = next(iter(reasons.items()))
        text = formatting.capitalize_first(formatting.label(reason))
        caption = f"{text} is the most frequent reject reason, with {plural(count, 'trip')}."
        yield data.draw_reject_shares("rows-rejected", facts, list(reasons)[:MAX_DRAWN_REASONS], caption)


def _month_table(facts: Facts, reasons: Mapping[str, int]) -> TableBlock:
    shares = [1 - rows.accepted / max(rows.read, 1) for rows in facts.rows.values()]
    largest = max([*shares, 1e-9])
    body: list[list[str | TableCell]] = []
    for (month, rows), share in zip(facts.rows.items(), shares, strict=True):
        counts = [formatting.format_count(rows.rejects.get(reason, 0)) for reason in reasons]
        totals = map(formatting.format_count, (rows.read, rows.accepted))
        rejected = TableCell(formatting.format_share(share, 2), bar=share / largest)
        body.append([month, *totals, rejected, *counts])
    read, accepted = _total_rows(facts)
    share_text = formatting.format_share(1 - accepted / max(read, 1), 2)
    counts = list(map(formatting.format_count, reasons.values()))
    body.append(
        ["all", formatting.format_count(read), formatting.format_count(accepted), share_text, *counts]
    )
    header = ["month", "read", "kept", "rejected", *map(formatting.label, reasons)]
    return TableBlock(caption="Trips by month and reject reason", header=header, rows=body)


@section("time", "Time and memory")
def time_section(facts: Facts) -> Content:
    """Return the time, memory and throughput of each stage."""
    lead = "Stages run one after the other. Within a stage, workers run in parallel."
    if facts.run_result is None:
        reason = facts.missing_reasons.get("time", "the run did not store them")
        return missing(lead, f"Time and memory are not available: {reason}.")
    timing = facts.run_result.timing
    workers = plural(timing.workers, "worker")
    stages = sum(timing.stage_seconds.values())
    lead = (
        f"Without this report, the run took {timing.elapsed_seconds:.1f} s on {workers}, at "
        f"{timing.rows_per_second:,.0f} rows/s. The stages took {stages:.1f} s, and start-up and shutdown took "
        f"the rest. {lead}"
    )
    table = TableBlock(
        caption="Time, rows and peak memory by stage",
        header=["stage", "seconds", "rows", "rows/s", "peak MB"],
        rows=list(_stage_rows(timing)),
        note="Memory is the sum over all processes of the run on the machine that started the run, sampled "
        f"once per second. The peak memory of the run is {timing.peak_memory_mb:,.0f} MB.",
    )
    return Content(lead, [table])


def _stage_rows(timing: RunTiming) -> Iterator[list[str | TableCell]]:
    slowest = max([*timing.stage_seconds.values(), 1e-9])
    for stage, seconds in timing.stage_seconds.items():
        rows = timing.stage_rows.get(stage, 0)
        memory = timing.stage_memory_mb.get(stage)
        yield [
            stage,
            TableCell(f"{seconds:.1f}", bar=seconds / slowest),
            formatting.format_count(rows) if rows else "",
            formatting.format_count(rows / seconds) if rows and seconds else "",
            "" if memory is None else f"{memory:,.0f}",
        ]


@section("lineage", "Lineage")
def lineage_section(facts: Facts) -> Content:
    """Return the inputs of the version, down to the source files."""
    lead = "The inputs of an entry are indented below the entry. Each source file is listed with the start of its checksum."
    if not facts.lineage:
        reason = facts.missing_reasons.get("lineage", "it was not stored")
        return missing(lead, f"The lineage is not available: {reason}.")
    blocks: list[Block] = [TreeBlock(list(_lineage_lines(facts.lineage, 0, set())))]
    if "lineage" in facts.missing_reasons:
        blocks.append(MissingBlock(f"{formatting.capitalize_first(facts.missing_reasons['lineage'])}."))
    return Content(lead, blocks)


def _lineage_lines(
    node: LineageParent, depth: int, visited: set[VersionRef]
) -> Iterator[tuple[int, str, str]]:
    if isinstance(node, SourceFileRef):
        rows, size = plural(node.rows, "row"), formatting.format_megabytes(node.bytes)
        yield depth, node.uri, f"{rows}, {size}, {node.checksum[:19]}"
        return
    if isinstance(node, DeletedVersion):
        yield depth, f"{node.table} {node.version}", "deleted"
        return
    if node.ref in visited:
        yield depth, str(node.ref), "listed above"
        return
    visited.add(node.ref)
    rows = f", {plural(node.rows, 'row')}" if node.rows else ""
    yield depth, str(node.ref), f"{formatting.format_minute(node.created_at)}{rows}"
    for parent in node.parents:
        yield from _lineage_lines(parent, depth + 1, visited)
