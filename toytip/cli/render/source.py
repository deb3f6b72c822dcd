"""Results of `toytip source` as text."""

from __future__ import annotations

from toytip.cli.render.tables import make_console, new_table, show_table
from toytip.sources.download import DownloadReport
from toytip.sources.inspection import SourceReport
from toytip.sources.synthetic import SyntheticReport


def show_download(report: DownloadReport) -> None:
    """Print the folder of a download, and the number of its files."""
    existing = sum(file.downloaded_bytes == 0 for file in report.files)
    make_console().print(
        f"{len(report.files)} files in {report.folder} ({existing} already existed)", soft_wrap=True
    )


def show_synthetic(report: SyntheticReport) -> None:
    """Print the folder of a synthetic year, and the number of its files and rows."""
    make_console().print(
        f"{report.file_count} files, {report.rows:,} rows in {report.folder}", soft_wrap=True
    )


def show_inspection(report: SourceReport) -> None:
    """Print one line per file of a source. Below, print the shares of nulls and the warnings."""
    console = make_console()
    titles = ("month", "rows", "vs. adjacent", "out of month", "schema version")
    table = new_table(*titles, left=titles[-1:])
    for file in report.files:
        ratio = "" if file.adjacent_row_ratio is None else f"{file.adjacent_row_ratio:.2f}"
        outside = f"{file.out_of_month_share:.4%}"
        table.add_row(file.month, f"{file.rows:,}", ratio, outside, file.schema_version)
    show_table(console, table)
    for name in dict.fromkeys(name for file in report.files for name in file.null_shares):
        shares = [file.null_shares.get(name, 0.0) for file in report.files]
        console.print(
            f"column {name} is null in {min(shares):.2%} to {max(shares):.2%} of the rows of a month",
            soft_wrap=True,
        )
    for file in report.files:
        for warning in file.warnings:
            console.print(f"{file.month}: warning: {warning}", soft_wrap=True)
