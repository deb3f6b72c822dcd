"""ran: sections of what ran, on what, from what, and in which time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from toytip.report import formatting
from toytip.report.blocks import (
    Block,
    MissingBlock,
    PairsBlock,
    PicturesBlock,
    Section,
    TableBlock,
    TableCell,
    TextBlock,
    TreeBlock,
    WarningsBlock,
)
from toytip.report.charts import data
from toytip.report.facts import Facts
from toytip.report.findings import checked_topics, collect_findings
from toytip.store.lineage import DeletedVersion, LineageParent
from toytip.store.manifest import SourceFileRef, VersionRef


def findings_section(facts: Facts) -> Section:
    """Return the warnings, or that there are none."""
    found = collect_findings(facts)
    if found:
        return Section("first", "Look at this first", "", [WarningsBlock(found)])
    looked = checked_topics(facts)
    of = f" Looked at: {', '.join(looked)}." if looked else ""
    return Section("first", "Look at this first", "", [TextBlock(f"Nothing to warn of.{of}")])


def run_section(facts: Facts) -> Section:
    """Return what ran on what."""
    split = [f"{name} {start[:10]} to {stop[:10]}" for name, (start, stop) in facts.split.items()]
    params = facts.config.get("models", {})
    digest = next((facts.digests[n] for n in ("models", "features", "trips") if facts.digests.get(n)), "")
    files = len(facts.sources)
    source = (
        facts.run_result.origin.source if facts.run_result else _source_folder(facts.sources) if files else ""
    )
    pairs = [
        ("version", facts.version),
        ("made", formatting.format_minute(facts.created_at)),
        ("store", f"{facts.store}"),
        ("source", f"{source}, {files} file{'s' if files > 1 else ''}" if files else source),
        ("taxi and months", f"{facts.taxi}, {_month_range(facts.months)}"),
        ("split", "; ".join(split) + (" (the last day is outside)" if split else "")),
        ("learned from", f"{facts.segment} trips" if facts.segment else ""),
        ("features", f"{len(facts.features)}: {', '.join(facts.features)}" if facts.features else ""),
        ("model", _model_text(facts)),
        (
            "parameters",
            ", ".join(f"{formatting.label(k)} {formatting.format_setting(v)}" for k, v in params.items()),
        ),
        ("digest of the parameters", digest),
        ("gate", _gate_text(facts)),
        ("made with", ", ".join(f"{k} {v[:12]}" for k, v in facts.environment.items())),
    ]
    blocks: list[Block] = [PairsBlock([(name, text) for name, text in pairs if text])]
    if "model" in facts.missing_reasons:
        blocks.append(MissingBlock(f"No model: {facts.missing_reasons['model']}."))
    return Section("ran", "What ran on what", "", blocks)


def _source_folder(sources: Sequence[SourceFileRef]) -> str:
    folders = list(dict.fromkeys(source.uri.rpartition("/")[0] for source in sources))
    return folders[0] if len(folders) == 1 else f"{folders[0]} and {len(folders) - 1} more"


def _month_range(months: Sequence[str]) -> str:
    if not months:
        return "no month"
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]} ({len(months)} months)"


def _model_text(facts: Facts) -> str:
    if facts.rounds is None:
        return ""
    told = facts.tables.get("models", {})
    return f"{told.get('version', '')}, {facts.rounds} rounds, threshold {facts.threshold:.4f}"


def _gate_text(facts: Facts) -> str:
    told = facts.run_result.promotion if facts.run_result else None
    if not told:
        return ""
    return ": ".join(filter(None, (str(told["decision"]), "; ".join(told["reasons"]))))


def rows_section(facts: Facts) -> Section:
    """Return rows read, kept, and rejected by reason and month."""
    lead = "Every trip read is kept, or rejected for the first reason that applies."
    if not facts.rows:
        return Section(
            "rows",
            "Rows",
            lead,
            [MissingBlock(f"No rows: {facts.missing_reasons.get('rows', 'none were counted')}.")],
        )
    read, kept = (sum(getattr(told, name) for told in facts.rows.values()) for name in ("read", "kept"))
    totals: dict[str, int] = {}
    for told in facts.rows.values():
        for reason, count in told.rejects.items():
            totals[reason] = totals.get(reason, 0) + count
    reasons = sorted(totals, key=lambda reason: -totals[reason])
    most, least = (
        max(facts.rows, key=lambda m: facts.rows[m].kept),
        min(facts.rows, key=lambda m: facts.rows[m].kept),
    )
    says = (
        f"Most trips in {most}, fewest in {least}."
        if len(facts.rows) > 1
        else f"{formatting.format_count(kept)} trips in {most}."
    )
    drawn = [data.draw_accepted_trips("rows-kept", facts, says)]
    if reasons:
        says = f"{formatting.capitalize_first(formatting.label(reasons[0]))} rejects most: {formatting.format_count(totals[reasons[0]])} trips."
        drawn.append(data.draw_reject_shares("rows-rejected", facts, reasons[:3], says))
    blocks: list[Block] = [PicturesBlock(drawn), _month_table(facts, reasons, totals)]
    if "rejects" in facts.missing_reasons:
        blocks.append(MissingBlock(f"No rejects: {facts.missing_reasons['rejects']}."))
    share = formatting.format_share((read - kept) / max(read, 1), 2)
    lead = f"{formatting.format_count(read)} trips read, {formatting.format_count(kept)} kept, {formatting.format_count(read - kept)} rejected ({share}). {lead}"
    return Section("rows", "Rows", lead, blocks)


def _month_table(facts: Facts, reasons: Sequence[str], totals: Mapping[str, int]) -> TableBlock:
    rates = [1 - told.kept / max(told.read, 1) for told in facts.rows.values()]
    top = max([*rates, 1e-9])
    body: list[list[str | TableCell]] = []
    for (month, told), rate in zip(facts.rows.items(), rates, strict=True):
        share = TableCell(formatting.format_share(rate, 2), bar=rate / top)
        counts = [formatting.format_count(told.rejects.get(reason, 0)) for reason in reasons]
        body.append(
            [month, formatting.format_count(told.read), formatting.format_count(told.kept), share, *counts]
        )
    read, kept = (sum(getattr(told, name) for told in facts.rows.values()) for name in ("read", "kept"))
    body.append(
        [
            "all",
            formatting.format_count(read),
            formatting.format_count(kept),
            formatting.format_share(1 - kept / max(read, 1), 2),
            *(formatting.format_count(totals[r]) for r in reasons),
        ]
    )
    head = ["month", "read", "kept", "rejected", *map(formatting.label, reasons)]
    return TableBlock(caption="Trips by month, and why they were rejected", header=head, rows=body)


def time_section(facts: Facts) -> Section:
    """Return seconds, memory and throughput by stage."""
    run = facts.run_result
    lead = "Stages run one after the other; within a stage, workers run side by side."
    if run is None:
        return Section(
            "time",
            "Time and memory",
            lead,
            [MissingBlock(f"Not told: {facts.missing_reasons.get('time', 'nothing was kept')}.")],
        )
    seconds = run.timing.stage_seconds
    top = max([*seconds.values(), 1e-9])
    told, memory = run.timing.stage_rows, run.timing.stage_memory_mb
    body: list[list[str | TableCell]] = []
    for name, took in seconds.items():
        done = told.get(name, 0)
        speed = formatting.format_count(done / took) if done and took else ""
        peak = f"{memory[name]:,.0f}" if name in memory else ""
        body.append(
            [
                name,
                TableCell(f"{took:.1f}", bar=took / top),
                formatting.format_count(done) if done else "",
                speed,
                peak,
            ]
        )
    whole = run.timing.elapsed_seconds
    blocks: list[Block] = [
        TableBlock(
            caption="Seconds, rows and the peak of memory by stage",
            header=["stage", "seconds", "rows", "rows/s", "peak MB"],
            rows=body,
            note="Memory is that of all processes of the run on this machine, sampled once a second; "
            f"{run.timing.peak_memory_mb:,.0f} MB at the peak of the run.",
        )
    ]
    workers = run.timing.workers
    lead = (
        f"{whole:.1f} s without this page, {run.timing.rows_per_second:,.0f} rows/s, on {workers} worker{'' if workers == 1 else 's'}; "
        f"{sum(seconds.values()):.1f} s of it in stages, the rest is starting and ending. {lead}"
    )
    return Section("time", "Time and memory", lead, blocks)


def lineage_section(facts: Facts) -> Section:
    """Return what the version was made from, down to the files."""
    lead = "What was made from what; the last are files, with the digest of their content."
    if not facts.lineage:
        return Section(
            "lineage",
            "Lineage",
            lead,
            [MissingBlock(f"Not told: {facts.missing_reasons.get('lineage', '')}.")],
        )
    blocks: list[Block] = [TreeBlock(list(_lineage_lines(facts.lineage, 0, set())))]
    if "lineage" in facts.missing_reasons:
        blocks.append(MissingBlock(f"{facts.missing_reasons['lineage']}."))
    return Section("lineage", "Lineage", lead, blocks)


def _lineage_lines(
    node: LineageParent, depth: int, visited: set[VersionRef]
) -> Iterator[tuple[int, str, str]]:
    if isinstance(node, SourceFileRef):
        size = f"{formatting.format_count(node.rows)} rows, {formatting.format_megabytes(node.bytes)}"
        yield depth, node.uri, f"{size}, {node.checksum[:19]}"
        return
    if isinstance(node, DeletedVersion):
        yield depth, f"{node.table} {node.version}", "deleted"
        return
    if node.ref in visited:
        yield depth, str(node.ref), "as above"
        return
    visited.add(node.ref)
    rows = f", {formatting.format_count(node.rows)} rows" if node.rows else ""
    yield depth, str(node.ref), f"{formatting.format_minute(node.created_at)}{rows}"
    for parent in node.parents:
        yield from _lineage_lines(parent, depth + 1, visited)
