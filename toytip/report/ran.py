"""ran: sections of what ran, on what, from what, and in which time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from toytip.report import months, say
from toytip.report.blocks import Block, Cell, Missing, Pairs, Pictures, Section, Table, Text, Tree, Warnings
from toytip.report.facts import Facts
from toytip.report.warn import none_of, warnings


def first(facts: Facts) -> Section:
    """Return the warnings, or that there are none."""
    found = warnings(facts)
    if found:
        return Section("first", "Look at this first", "", [Warnings(found)])
    looked = none_of(facts)
    of = f" Looked at: {', '.join(looked)}." if looked else ""
    return Section("first", "Look at this first", "", [Text(f"Nothing to warn of.{of}")])


def ran(facts: Facts) -> Section:
    """Return what ran on what."""
    split = [f"{name} {start[:10]} to {stop[:10]}" for name, (start, stop) in facts.split.items()]
    params = facts.config.get("models", {})
    digest = next((facts.digests[n] for n in ("models", "features", "trips") if facts.digests.get(n)), "")
    files = len(facts.sources)
    source = (facts.run or {}).get("source") or (_folder(facts.sources) if files else "")
    pairs = [
        ("version", facts.version),
        ("made", say.moment(facts.created)),
        ("store", f"{facts.store}"),
        ("source", f"{source}, {files} file{'s' if files > 1 else ''}" if files else source),
        ("taxi and months", f"{facts.taxi}, {_span(facts.months)}"),
        ("split", "; ".join(split) + (" (the last day is outside)" if split else "")),
        ("learned from", f"{facts.population} trips" if facts.population else ""),
        ("features", f"{len(facts.features)}: {', '.join(facts.features)}" if facts.features else ""),
        ("model", _model(facts)),
        ("parameters", ", ".join(f"{say.word(k)} {say.plain(v)}" for k, v in params.items())),
        ("digest of the parameters", digest),
        ("gate", _gate(facts)),
        ("made with", ", ".join(f"{k} {v[:12]}" for k, v in facts.environment.items())),
    ]
    blocks: list[Block] = [Pairs([(name, text) for name, text in pairs if text])]
    if "model" in facts.missing:
        blocks.append(Missing(f"No model: {facts.missing['model']}."))
    return Section("ran", "What ran on what", "", blocks)


def _folder(sources: Sequence[Mapping[str, Any]]) -> str:
    folders = list(dict.fromkeys(str(source["uri"]).rpartition("/")[0] for source in sources))
    return folders[0] if len(folders) == 1 else f"{folders[0]} and {len(folders) - 1} more"


def _span(months: Sequence[str]) -> str:
    if not months:
        return "no month"
    return months[0] if len(months) == 1 else f"{months[0]} to {months[-1]} ({len(months)} months)"


def _model(facts: Facts) -> str:
    if facts.rounds is None:
        return ""
    told = facts.tables.get("models", {})
    return f"{told.get('version', '')}, {facts.rounds} rounds, threshold {facts.threshold:.4f}"


def _gate(facts: Facts) -> str:
    told = (facts.run or {}).get("registry")
    if not told:
        return ""
    return ": ".join(filter(None, (str(told["decision"]), "; ".join(told["reasons"]))))


def rows(facts: Facts) -> Section:
    """Return rows read, kept, and rejected by reason and month."""
    lead = "Every trip read is kept, or rejected for the first reason that applies."
    if not facts.rows:
        return Section(
            "rows", "Rows", lead, [Missing(f"No rows: {facts.missing.get('rows', 'none were counted')}.")]
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
        else f"{say.count(kept)} trips in {most}."
    )
    drawn = [months.kept("rows-kept", facts, says)]
    if reasons:
        says = f"{say.first(say.word(reasons[0]))} rejects most: {say.count(totals[reasons[0]])} trips."
        drawn.append(months.rejected("rows-rejected", facts, reasons[:3], says))
    blocks: list[Block] = [Pictures(drawn), _by_month(facts, reasons, totals)]
    if "rejects" in facts.missing:
        blocks.append(Missing(f"No rejects: {facts.missing['rejects']}."))
    share = say.share((read - kept) / max(read, 1), 2)
    lead = f"{say.count(read)} trips read, {say.count(kept)} kept, {say.count(read - kept)} rejected ({share}). {lead}"
    return Section("rows", "Rows", lead, blocks)


def _by_month(facts: Facts, reasons: Sequence[str], totals: Mapping[str, int]) -> Table:
    rates = [1 - told.kept / max(told.read, 1) for told in facts.rows.values()]
    top = max([*rates, 1e-9])
    body: list[list[str | Cell]] = []
    for (month, told), rate in zip(facts.rows.items(), rates, strict=True):
        share = Cell(say.share(rate, 2), bar=rate / top)
        counts = [say.count(told.rejects.get(reason, 0)) for reason in reasons]
        body.append([month, say.count(told.read), say.count(told.kept), share, *counts])
    read, kept = (sum(getattr(told, name) for told in facts.rows.values()) for name in ("read", "kept"))
    body.append(
        [
            "all",
            say.count(read),
            say.count(kept),
            say.share(1 - kept / max(read, 1), 2),
            *(say.count(totals[r]) for r in reasons),
        ]
    )
    head = ["month", "read", "kept", "rejected", *map(say.word, reasons)]
    return Table(caption="Trips by month, and why they were rejected", head=head, rows=body)


def time(facts: Facts) -> Section:
    """Return seconds, memory and throughput by stage."""
    run = facts.run
    lead = "Stages run one after the other; within a stage, workers run side by side."
    if run is None:
        return Section(
            "time",
            "Time and memory",
            lead,
            [Missing(f"Not told: {facts.missing.get('time', 'nothing was kept')}.")],
        )
    seconds = run.get("stages", {})
    top = max([*seconds.values(), 1e-9])
    told, memory = run.get("stage_rows", {}), run.get("stage_memory_mb", {})
    body: list[list[str | Cell]] = []
    for name, took in seconds.items():
        done = told.get(name, 0)
        speed = say.count(done / took) if done and took else ""
        peak = f"{memory[name]:,.0f}" if name in memory else ""
        body.append([name, Cell(f"{took:.1f}", bar=took / top), say.count(done) if done else "", speed, peak])
    whole = run.get("seconds", 0.0)
    blocks: list[Block] = [
        Table(
            caption="Seconds, rows and the peak of memory by stage",
            head=["stage", "seconds", "rows", "rows/s", "peak MB"],
            rows=body,
            note="Memory is that of all processes of the run on this machine, sampled once a second; "
            f"{run.get('peak_memory_mb', 0):,.0f} MB at the peak of the run.",
        )
    ]
    workers = run.get("workers", 0)
    lead = (
        f"{whole:.1f} s without this page, {run.get('rows_per_s', 0):,.0f} rows/s, on {workers} worker{'' if workers == 1 else 's'}; "
        f"{sum(seconds.values()):.1f} s of it in stages, the rest is starting and ending. {lead}"
    )
    return Section("time", "Time and memory", lead, blocks)


def lineage(facts: Facts) -> Section:
    """Return what the version was made from, down to the files."""
    lead = "What was made from what; the last are files, with the digest of their content."
    if not facts.lineage:
        return Section(
            "lineage", "Lineage", lead, [Missing(f"Not told: {facts.missing.get('lineage', '')}.")]
        )
    blocks: list[Block] = [Tree(list(_walk(facts.lineage, 0, set())))]
    if "lineage" in facts.missing:
        blocks.append(Missing(f"{facts.missing['lineage']}."))
    return Section("lineage", "Lineage", lead, blocks)


def _walk(told: Mapping[str, Any], depth: int, seen: set[str]) -> Iterator[tuple[int, str, str]]:
    if "file" in told:
        yield (
            depth,
            str(told["file"]),
            f"{say.count(told['rows'])} rows, {say.size(told['bytes'])}, {str(told['checksum'])[:19]}",
        )
        return
    name = f"{told['table']} {told['version']}"
    if told.get("gone"):
        yield depth, name, "is gone"
        return
    if name in seen:
        yield depth, name, "as above"
        return
    seen.add(name)
    rows = f", {say.count(told['rows'])} rows" if told["rows"] else ""
    yield depth, name, f"{say.moment(told['created'])}{rows}"
    for parent in told["parents"]:
        yield from _walk(parent, depth + 1, seen)
