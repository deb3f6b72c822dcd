"""Results of `toytip source` as text."""

from __future__ import annotations

from collections import Counter

from toytip.cli.render.tables import make_console, new_table, print_wrapped, show_table
from toytip.core.dataset.synthetic import SyntheticReport
from toytip.core.text import plural
from toytip.sources.download import DownloadReport
from toytip.sources.inspection import SourceReport


def show_download(report: DownloadReport) -> None:
    """Print the folder of a download, and the number of its files."""
    existing = sum(file.downloaded_bytes == 0 for file in report.files)
    files = plural(len(report.files), "file")
    print_wrapped(make_console(), f"{files} in {report.folder} ({existing} already existed)")


def show_synthetic(report: SyntheticReport) -> None:
    """Print the folder of a synthetic year, and the number of its files and rows."""
    size = f"{plural(report.file_count, 'file')}, {plural(report.rows, 'row')}"
    print_wrapped(make_console(), f"{size} in {report.folder}")


def show_inspection(report: SourceReport) -> None:
    """Print one line per month of a source, and nulls, rejected rows, notes and warnings."""
    console = make_console()
    titles = ("month", "files", "rows", "vs. adjacent", "out of month", "schema version")
    table = new_table(*titles, left=titles[-1:])
    for month in report.months:
        ratio = "" if month.adjacent_row_ratio is None else f"{month.adjacent_row_ratio:.2f}"
        outside = f"{month.out_of_month_share:.4%}"
        files = f"{len(month.uris):,}"
        table.add_row(month.month, files, f"{month.rows:,}", ratio, outside, month.schema_version)
    show_table(console, table)
    for name in dict.fromkeys(name for month in report.months for name in month.null_shares):
        shares = [month.null_shares.get(name, 0.0) for month in report.months]
        print_wrapped(
            console,
            f"column {name} is null in {min(shares):.2%} to {max(shares):.2%} of the rows of a month",
        )
    rejects = Counter[str]()
    for month in report.months:
        rejects.update(month.rejects)
    if rejects:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in rejects.most_common())
        print_wrapped(
            console, f"a run rejects {rejects.total():,} of {plural(report.rows, 'row')}: {reasons}"
        )
    for note, count in Counter(note for month in report.months for note in month.notes).items():
        print_wrapped(console, f"{note} ({plural(count, 'month')})")
    for month in report.months:
        for warning in month.warnings:
            print_wrapped(console, f"{month.month}: warning: {warning}")
    for warning in report.warnings:
        print_wrapped(console, f"warning: {warning}")
