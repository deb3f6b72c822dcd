"""Generate the tables of benchmark results in the pages, from the committed result files.

A page has a table between the comments `<!-- results: NAME -->` and `<!-- end of results -->`. The
name is that of a function in BLOCKS, and can have arguments. A sentence has the median time of a
contender between `<!-- seconds: FILE CONTENDER -->` and `<!-- end of value -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from docs.generate.conformance import NOT_MEASURED, aa, bands, conformance
from docs.generate.markdown import code, table
from docs.generate.page.labels import contender_label
from docs.generate.page.summary import conclusions, wins_and_losses
from docs.generate.results import SERIES, SINGLE_VALUE_SERIES, Figure, Results
from docs.generate.targets import TARGETS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"(<!-- results: ([^>]*?) -->\n).*?(<!-- end of results -->)", re.DOTALL)
SECONDS = re.compile(r"(<!-- seconds: (\S+) (\S+) -->)[^<]*(<!-- end of value -->)")
PACKAGES = ("toytip", "python", "xgboost", "xgboost-cpu", "dask", "polars", "duckdb", "pandas")
# The stages of toytip and of the peers, by phase.
PHASES = {
    "read, clean, featurize": ("checksum", "featurize", "read"),
    "fit bins": ("preprocess", "bin"),
    "train": ("train",),
    "predict, compute metrics, write": (
        "threshold",
        "infer",
        "postprocess",
        "evaluate",
        "monitor",
        "predict",
        "write",
    ),
}


def _label(contender: str) -> str:
    label = contender_label(contender)
    return code(contender) if label == contender else label


def _range(figure: Figure, digits: int) -> str:
    if figure.repeats < 2:
        return "one value"
    return f"{figure.low:,.{digits}f} to {figure.high:,.{digits}f}"


def _value(figure: Figure | None, digits: int = 1) -> str:
    return "not measured" if figure is None else f"{figure.value:,.{digits}f}"


def contenders(results: Results, name: str) -> str:
    """Return the table of all contenders of a series."""
    rows = []
    for contender, found in results.rows(name).items():
        seconds = results.figure(name, contender)
        assert seconds is not None
        rows.append(
            [
                _label(contender),
                _value(seconds),
                _range(seconds, 1),
                f"{found[0]['rows'] / seconds.value:,.0f}",
                _value(results.figure(name, contender, "peak_mb"), 0),
                _value(results.figure(name, contender, "auc"), 4),
            ]
        )
    rows += [[_label(contender), outcome, *[""] * 4] for contender, outcome in results.failures(name).items()]
    head = ("Contender", "Time (s), median", "Time (s), range", "Rows/s", "Peak memory (MB)", "Test AUC")
    return table(head, rows) if rows else NOT_MEASURED


def targets(results: Results) -> str:
    """Return the table of targets."""
    rows = []
    for target in TARGETS:
        figure = target.measure(results)
        met = "" if figure is None else "yes" if target.is_met(figure) else "no"
        limit = f"{'at least' if target.at_least else 'at most'} {target.limit:,g}{target.unit}"
        measured = _value(figure, 0 if target.limit >= 100 else 2) + (target.unit if figure else "")
        series = ", ".join(map(code, target.series))
        rows.append([target.label, limit, measured, _range(figure, 2) if figure else "", met, series])
    head = ("Quantity", "Target", "Measured", "Range", "Target met", "Series")
    return table(head, rows)


def conditions(results: Results) -> str:
    """Return the table of the conditions of every series."""
    rows = []
    for name in SERIES:
        row, found = results.first_row(name), results.rows(name).values()
        if row is None:
            continue
        versions = row["environment"]
        changes = " with uncommitted changes" if row.get("uncommitted_changes") else ""
        partial = " (partial run)" if row["partial"] else ""
        rows.append(
            [
                code(name),
                f"{row['source']}, {max(runs[0]['rows'] for runs in found):,} rows",
                f"{max(map(len, found))}{partial}",
                f"{row['machine']}, {row['cores']} cores, {row['machine_gb']:.0f} GB",
                f"{row['run'][:10]}, commit {versions.get('git_commit', '')[:12]}{changes}",
                ", ".join(f"{package} {versions[package]}" for package in PACKAGES if package in versions),
            ]
        )
    head = ("Series", "Data", "Repeats", "Machine", "Date and commit", "Packages")
    return table(head, rows) if rows else NOT_MEASURED


def script(results: Results) -> str:
    """Return the table that compares toytip with a script that uses polars."""
    rows = []
    for name, peer in (
        ("defaults", "polars_defaults"),
        ("1.2-million", "polars_xgboost"),
        ("24.6-million", "polars_xgboost"),
    ):
        row = results.first_row(name)
        if row is not None:
            size = f"{row['rows']:,} ({'synthetic' if row['synthetic'] else row['source']})"
            rows.append(
                [size, *(_time_and_memory(results, name, who) for who in ("toytip-2", "toytip-8", peer))]
            )
    head = ("Number of rows", "toytip, 2 workers", "toytip, 8 workers", "Script with polars and XGBoost")
    return table(head, rows) if rows else NOT_MEASURED


def _time_and_memory(results: Results, name: str, contender: str) -> str:
    seconds, memory = results.figure(name, contender), results.figure(name, contender, "peak_mb")
    if seconds is None or memory is None:
        return "not measured"
    return f"{seconds.value:,.1f} s, {memory.value:,.0f} MB"


def phases(results: Results, name: str, peer: str) -> str:
    """Return the table of the time per phase of toytip and of a peer."""
    if not results.rows(name):
        return NOT_MEASURED
    columns = []
    for contender in ("toytip-2", peer):
        total = results.figure(name, contender)
        seconds = [results.stage_seconds(name, contender, stages) for stages in PHASES.values()]
        rest = total.value - sum(value or 0.0 for value in seconds) if total else None
        columns.append(["not measured" if value is None else f"{value:.1f}" for value in (*seconds, rest)])
    rows = zip((*PHASES, "other work"), *columns, strict=True)
    return table(("Time per phase (s)", "toytip, 2 workers", code(peer)), rows)


def first_task(results: Results) -> str:
    """Return the table of the time to the first task."""
    rows = []
    for name in ("defaults", "1.2-million", "fhvhv"):
        row = results.first_row(name)
        for contender in ("toytip-2", "toytip-8") if row else ():
            figure = results.figure(name, contender, "first_task_s")
            if row is not None and figure is not None:
                rows.append([row["workload"], _label(contender), _value(figure), _range(figure, 1)])
    head = ("Workload", "Contender", "Time to the first task (s), median", "Range")
    return table(head, rows) if rows else NOT_MEASURED


def sizes(results: Results) -> str:
    """Return the table of time and memory by number of rows."""
    rows = []
    for name in ("1.2-million", "24.6-million", "84-million"):
        row, seconds = results.first_row(name), results.figure(name, "toytip-2")
        memory = results.figure(name, "toytip-2", "peak_mb")
        if row is not None and seconds is not None and memory is not None:
            rows.append([f"{row['rows']:,}", "2", f"{memory.value / 1000:.1f}", f"{seconds.value:,.0f}"])
    head = ("Number of rows", "Workers", "Peak memory of all processes (GB)", "Time of a run (s)")
    return table(head, rows) if rows else NOT_MEASURED


def commands(_: Results) -> str:
    """Return the commands that measure the series."""
    return (
        "```sh\n" + "\n".join(series.command for series in (SERIES | SINGLE_VALUE_SERIES).values()) + "\n```"
    )


BLOCKS: dict[str, Callable[..., str]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        contenders,
        targets,
        conditions,
        script,
        phases,
        first_task,
        sizes,
        commands,
        conformance,
        bands,
        aa,
        conclusions,
        wins_and_losses,
    )
}


def fill(text: str, results: Results) -> str:
    """Return a page with the current content of its blocks and values."""

    def replace(match: re.Match[str]) -> str:
        name, *arguments = match[2].split()
        return f"{match[1]}\n{BLOCKS[name](results, *arguments)}\n\n{match[3]}"

    def replace_seconds(match: re.Match[str]) -> str:
        figure = results.figure(match[2], match[3])
        return f"{match[1]}{_value(figure)}{' s' if figure else ''}{match[4]}"

    return SECONDS.sub(replace_seconds, BLOCK.sub(replace, text))


def pages_with_results(root: Path = ROOT) -> dict[Path, str]:
    """Return the pages that have blocks, with their current content."""
    results = Results(root / "benchmarks" / "results")
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    return {page: fill(text, results) for page, text in texts.items() if BLOCK.search(text)}


def outdated_pages(root: Path = ROOT) -> list[str]:
    """Return the pages whose blocks differ from the result files."""
    return [
        str(page.relative_to(root))
        for page, text in pages_with_results(root).items()
        if page.read_text(encoding="utf-8") != text
    ]
