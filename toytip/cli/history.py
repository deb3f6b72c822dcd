"""Looking back: versions, what they were made from, how they differ; tags and rollbacks."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.groups import StoreOptions, spread
from toytip.cli.options import AsOfOption, JsonOption
from toytip.cli.shell import print_json, refuse_damaged, settings_of, store_given, tell
from toytip.errors import ConfigError

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="A version or a tag.")]


@app.command(epilog="Example:  toytip versions --store ./toytip-store --env prod")
@spread
def versions(as_of: AsOfOption = None, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """List the published versions of every table: rows, months, bytes, created, parents, tags."""
    place = store_given(given)
    from toytip.cli.summarize import show_versions
    from toytip.history import moment, tags, version_rows

    limit = moment(as_of).isoformat() if as_of else None
    whole, damaged = place.listed()
    found = [m for m in whole if limit is None or m.created <= limit]
    rows = version_rows(found, tags(place))
    if json_:
        print_json({"versions": rows})
    else:
        show_versions(rows, place.shown)
    refuse_damaged(damaged)


@app.command(epilog="Example:  toytip show v20261124T101500Z-3f9c2a")
@spread
def show(version: VersionArgument, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """Show what was published under a version: tables, config, parents, packages, metrics."""
    place = store_given(given)
    from dataclasses import asdict

    from toytip.cli.summarize import show_manifest
    from toytip.config import mask
    from toytip.history import tables_of

    found = tables_of(place, version)
    report = place.report(found[0].version)
    if json_:
        tables = {m.table: asdict(m) for m in found}
        print_json({"version": found[0].version, "tables": tables, "report": report and mask(report)})
        return
    for manifest in found:
        show_manifest(manifest)
    if report:
        typer.echo(f"report {mask(report)}")


@app.command(epilog="Example:  toytip trace v20261124T101500Z-3f9c2a/2023-12")
@spread
def trace(
    version: Annotated[str, typer.Argument(metavar="VERSION[/MONTH]", help="A version or tag, and a month.")],
    table: Annotated[
        str | None, typer.Option("--table", help="Table [default: predictions]", show_default=False)
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Trace a version down to the raw files: checksums, model, code, config, packages."""
    place = store_given(given)
    from toytip.cli.summarize import show_trace
    from toytip.history import resolve
    from toytip.lineage import outcome
    from toytip.lineage import trace as trace_of
    from toytip.values import Month

    name, _, month = version.partition("/")
    manifest = resolve(place, table, name) if table else outcome(place, name)
    found = trace_of(place, manifest, Month.parse(month) if month else None)
    if json_:
        print_json(found)
    else:
        show_trace(found)


@app.command(epilog="Example:  toytip impact green_tripdata_2023-03.parquet")
@spread
def impact(
    file: Annotated[str, typer.Argument(help="A raw file's address, the end of it, or its checksum.")],
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """List every version that was made from a raw file, directly or not."""
    place = store_given(given)
    from toytip.cli.summarize import show_versions
    from toytip.history import tags, version_rows
    from toytip.lineage import impact as impact_of

    rows = version_rows(impact_of(place, file), tags(place))
    if json_:
        print_json({"file": file, "versions": rows})
    else:
        show_versions(rows, place.shown)


@app.command(
    epilog="Example:  toytip diff v20261124T101500Z-3f9c2a v20261201T090000Z-11ab42 --html diff.html"
)
@spread
def diff(
    a: VersionArgument,
    b: VersionArgument,
    html: Annotated[
        str | None,
        typer.Option("--html", help="File to write a page of the differences to.", show_default=False),
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Compare two versions: rows, rejects, columns, share of predictions flipped, metrics."""
    settings = settings_of(given, workers_needed=False)
    from toytip.cli.summarize import show_diff
    from toytip.compare import compare
    from toytip.config import Settings
    from toytip.lineage import family
    from toytip.progress import Progress
    from toytip.store import store_of

    place = store_of(settings)
    tables = [m for v in (a, b) for n, m in family(place, v).items() if n in ("features", "predictions")]
    progress = Progress.of(Settings.load())
    with progress.live(), progress.stage("diff", sum(len(m.parts) for m in tables)) as stage:
        found = compare(place, a, b, stage.advance)
    if html is not None:
        from toytip.pipeline.report import write_contrast

        write_contrast(settings, found, html)
    if json_:
        print_json(found)
    else:
        show_diff(found)


@app.command(epilog="Example:  toytip tag before-holidays v20261124T101500Z-3f9c2a")
@spread
def tag(
    name: Annotated[str | None, typer.Argument(help="The tag [default: list all]")] = None,
    version: Annotated[str | None, typer.Argument(help="The version that it names.")] = None,
    move: Annotated[bool, typer.Option("--move", help="Let it name another version from now on.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the tag; the version stays.")] = False,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Give a version a name that commands take in its place, and that `toytip gc` respects; or list the tags."""
    place = store_given(given)
    from toytip import history

    if name and delete:
        history.untag(place, name)
    elif name and version:
        history.tag(place, name, version, move=move)
    elif name:
        raise ConfigError(f"toytip tag {name}: which version? give it after the tag, or --delete")
    found = history.tags(place)
    said = [f"{each}  {of}" for each, of in sorted(found.items())]
    tell(
        json_,
        {"tags": found},
        *said or [f"no tags in {place.shown} yet; `toytip tag NAME VERSION` gives one"],
    )


@app.command(epilog="Example:  toytip rollback v20261124T101500Z-3f9c2a")
@spread
def rollback(version: VersionArgument, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """Make a version the newest again, until another is published; nothing is removed."""
    place = store_given(given)
    from toytip import history

    found = history.rollback(place, version)
    tell(json_, {"versions": found}, *(f"{table}  {of}" for table, of in sorted(found.items())))
