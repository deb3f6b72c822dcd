"""Looking back: versions, what they were made from, how they differ; tags and rollbacks."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import (
    open_command_store,
    print_json,
    print_result,
    raise_for_unreadable,
    resolve_command_settings,
)
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import AsOfOption, JsonOption
from toytip.core.jsonable import to_json
from toytip.errors import ConfigError

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="A version or a tag.")]


@app.command(epilog="Example:  toytip versions --store ./toytip-store --env prod")
@expand_options
def versions(as_of: AsOfOption = None, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """List the published versions of every table: rows, months, bytes, created, parents, tags."""
    place = open_command_store(given)
    from toytip.cli.render.versions import show_versions
    from toytip.store.refs import describe_versions, parse_as_of, read_tags

    limit = parse_as_of(as_of).isoformat() if as_of else None
    whole, damaged = place.scan_manifests()
    found = [m for m in whole if limit is None or m.created_at <= limit]
    rows = describe_versions(found, read_tags(place))
    if json_:
        print_json({"versions": to_json(rows)})
    else:
        show_versions(rows, place.display_uri)
    raise_for_unreadable(damaged)


@app.command(epilog="Example:  toytip show v20261124T101500Z-3f9c2a")
@expand_options
def show(version: VersionArgument, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """Show what was published under a version: tables, config, parents, packages, metrics."""
    place = open_command_store(given)
    from toytip.cli.render.versions import show_manifest
    from toytip.config import mask_credentials
    from toytip.store.refs import manifests_of
    from toytip.store.reports import report_uri

    found = manifests_of(place, version)
    report = report_uri(place, found[0].version)
    if json_:
        tables = {m.table: to_json(m) for m in found}
        print_json(
            {"version": found[0].version, "tables": tables, "report": report and mask_credentials(report)}
        )
        return
    for manifest in found:
        show_manifest(manifest)
    if report:
        typer.echo(f"report {mask_credentials(report)}")


@app.command(epilog="Example:  toytip trace v20261124T101500Z-3f9c2a/2023-12")
@expand_options
def trace(
    version: Annotated[str, typer.Argument(metavar="VERSION[/MONTH]", help="A version or tag, and a month.")],
    table: Annotated[
        str | None, typer.Option("--table", help="Table [default: predictions]", show_default=False)
    ] = None,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Trace a version down to the raw files: checksums, model, code, config, packages."""
    place = open_command_store(given)
    from toytip.cli.render.versions import show_lineage
    from toytip.core.months import Month
    from toytip.store.lineage import main_manifest, trace_lineage
    from toytip.store.refs import resolve_version

    name, _, month = version.partition("/")
    manifest = resolve_version(place, table, name) if table else main_manifest(place, name)
    found = trace_lineage(place, manifest, Month.parse(month) if month else None)
    if json_:
        print_json(to_json(found))
    else:
        show_lineage(found)


@app.command(epilog="Example:  toytip impact green_tripdata_2023-03.parquet")
@expand_options
def impact(
    file: Annotated[str, typer.Argument(help="A raw file's address, the end of it, or its checksum.")],
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """List every version that was made from a raw file, directly or not."""
    place = open_command_store(given)
    from toytip.cli.render.versions import show_versions
    from toytip.store.lineage import downstream_versions
    from toytip.store.refs import describe_versions, read_tags

    rows = describe_versions(downstream_versions(place, file), read_tags(place))
    if json_:
        print_json({"file": file, "versions": to_json(rows)})
    else:
        show_versions(rows, place.display_uri)


@app.command(
    epilog="Example:  toytip diff v20261124T101500Z-3f9c2a v20261201T090000Z-11ab42 --html diff.html"
)
@expand_options
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
    settings = resolve_command_settings(given, workers_needed=False)
    from toytip.cli.render.versions import show_diff
    from toytip.config import Settings
    from toytip.progress.tracker import Progress
    from toytip.store.compare import compare_versions
    from toytip.store.lineage import ancestors
    from toytip.store.store import store_from_settings

    place = store_from_settings(settings)
    tables = [m for v in (a, b) for n, m in ancestors(place, v).items() if n in ("features", "predictions")]
    progress = Progress.from_settings(Settings.load())
    with progress.show_live(), progress.stage("diff", sum(len(m.files) for m in tables)) as stage:
        found = compare_versions(place, a, b, stage.advance)
    if html is not None:
        from toytip.pipeline.report import write_diff_page

        write_diff_page(settings, found, html)
    if json_:
        print_json(to_json(found))
    else:
        show_diff(found)


@app.command(epilog="Example:  toytip tag before-holidays v20261124T101500Z-3f9c2a")
@expand_options
def tag(
    name: Annotated[str | None, typer.Argument(help="The tag [default: list all]")] = None,
    version: Annotated[str | None, typer.Argument(help="The version that it names.")] = None,
    move: Annotated[bool, typer.Option("--move", help="Let it name another version from now on.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the tag; the version stays.")] = False,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Give a version a name that commands take in its place, and that `toytip gc` respects; or list the tags."""
    place = open_command_store(given)
    from toytip.store import refs

    if name and delete:
        refs.remove_tag(place, name)
    elif name and version:
        refs.set_tag(place, name, version, force=move)
    elif name:
        raise ConfigError(f"toytip tag {name}: which version? give it after the tag, or --delete")
    found = refs.read_tags(place)
    said = [f"{each}  {of}" for each, of in sorted(found.items())]
    print_result(
        json_,
        {"tags": found},
        *said or [f"no tags in {place.display_uri} yet; `toytip tag NAME VERSION` gives one"],
    )


@app.command(epilog="Example:  toytip rollback v20261124T101500Z-3f9c2a")
@expand_options
def rollback(version: VersionArgument, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """Make a version the newest again, until another is published; nothing is removed."""
    place = open_command_store(given)
    from toytip.store import refs

    found = refs.roll_back_to(place, version)
    print_result(json_, {"versions": found}, *(f"{table}  {of}" for table, of in sorted(found.items())))
