"""The contents of a version, and differences between versions or models, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from toytip.cli.render.evaluation import TITLES, show_metrics
from toytip.cli.render.lineage import common_folder
from toytip.cli.render.tables import (
    format_number,
    format_value,
    make_console,
    new_table,
    print_wrapped,
    show_table,
)
from toytip.cli.results import VersionContents
from toytip.core.splits import TimeRange
from toytip.core.tables import METRIC_HISTOGRAMS, PREDICTIONS
from toytip.core.text import plural
from toytip.store.compare import Pair
from toytip.store.manifest import Manifest, SourceFileRef


def show_version(contents: VersionContents) -> None:
    """Print the source files and the tables of a version, and the path of its report."""
    console = make_console()
    manifests = contents.tables.values()
    created_at = max(manifest.created_at for manifest in manifests)
    console.print(f"version {contents.version}, created {created_at[:19]}", soft_wrap=True)
    _show_source_files(console, manifests)
    for manifest in manifests:
        show_manifest(manifest, console)
    if contents.report_path:
        console.print(f"report {contents.report_path}", soft_wrap=True)


def _show_source_files(console: Console, manifests: Iterable[Manifest]) -> None:
    uris = list(dict.fromkeys(file.uri for manifest in manifests for file in manifest.source_files))
    if uris:
        folder = common_folder(uris)
        title = f"{plural(len(uris), 'source file')} in {folder}" if folder else "source files"
        console.print(title, soft_wrap=True)
        print_wrapped(console, ", ".join(uri.removeprefix(folder) for uri in uris), first="  ")


def show_manifest(manifest: Manifest, console: Console) -> None:
    """Print one table of a version."""
    rows = f"{plural(manifest.rows, 'row')}, " if manifest.rows else ""
    size = f"{plural(len(manifest.files), 'file')}, {manifest.bytes / 1e6:,.1f} MB"
    print_wrapped(console, f"{manifest.table}: {rows}{size}, from {', '.join(_inputs(manifest))}")
    # The predictions of the version have the same settings.
    config = {} if manifest.table == METRIC_HISTOGRAMS.name else manifest.config
    for name, value in manifest_settings(config):
        print_wrapped(console, f"{name} = {format_value(value)}", "    ", "  ")
    if manifest.module:
        console.print(f"  module {manifest.module.file}, digest {manifest.module.digest[:12]}")
        for table in manifest.module.references:
            console.print(f"  reference {table.name}: {plural(table.rows, 'row')}, {table.checksum}")
    for reason, count in manifest.rejects.items():
        console.print(f"  {count:>9,} {reason}")
    for name, value in manifest.metrics.get("auc_alone", {}).items():
        console.print(f"  {name} alone: AUC {format_number(value)}")
    if manifest.table == PREDICTIONS.name and manifest.metrics:
        show_metrics(manifest.metrics, console)


def _inputs(manifest: Manifest) -> list[str]:
    """Return the inputs of a table.

    If an input has the same version as the table, its version is left out.
    """
    names = [
        "the source files"
        if isinstance(parent, SourceFileRef)
        else (parent.table if parent.version == manifest.version else str(parent))
        for parent in manifest.parents
    ]
    return list(dict.fromkeys(names)) or ["no input"]


def manifest_settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings with their names. Each time range of the split is a setting."""
    for name, value in config.items():
        if name == "split" and isinstance(value, Mapping):
            for split, time_range in value.items():
                yield f"split {split}", time_range and TimeRange(*time_range)
        else:
            yield name, value


def show_names(console: Console, names: Sequence[str]) -> None:
    """Print the names of A and of B."""
    for letter, name in zip("AB", names, strict=True):
        console.print(f"{letter} is {name}", soft_wrap=True)


def show_pairs(console: Console, pairs: Mapping[str, Pair[Any]]) -> None:
    """Print the values of A and of B in a table.

    The start and the end of a time range have separate rows.
    """
    table = new_table("", "A", "B")
    for name, pair in pairs.items():
        texts = [format_value(value) for value in pair]
        if any(isinstance(value, TimeRange) for value in pair):
            table.add_row(f"{name} start", *(text.split(" to ")[0] for text in texts))
            table.add_row(f"{name} end", *(text.split(" to ")[-1] for text in texts))
        else:
            table.add_row(name, *texts)
    show_table(console, table)


def metric_title(name: str) -> str:
    """Return the title of a metric, or of the number of trips.

    >>> metric_title("brier"), metric_title("rows")
    ('Brier score', 'trips')
    """
    return {"rows": "trips", **TITLES}.get(name, name)
