"""`toytip version`: inspect and manage the versions of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from toytip.cli.app import new_app
from toytip.cli.command import (
    open_command_store,
    print_result,
    raise_for_unreadable,
    resolve_command_settings,
)
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import JsonOption, VersionArgument, option, output_option
from toytip.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from toytip.store.store import Store

ListAsOfOption = Annotated[
    str | None,
    option(
        "--as-of",
        help="List only the versions that existed at this UTC time, for example 2026-11-24T10:15.",
        default="now",
        metavar="TIME",
    ),
]

app = new_app("version", "toytip version list --env prod")


@app.command("list", epilog="Example:  toytip version list --store ./toytip-store --env prod")
@expand_options
def list_(as_of: ListAsOfOption = None, json_: JsonOption = False, **options: Unpack[StoreOptions]) -> None:
    """List the versions of every table.

    Prints the rows, months, size and tags of each version. The versions of a table are sorted by
    time, oldest first.
    """
    store = open_command_store(options)
    from toytip.cli.render.versions import show_versions
    from toytip.cli.results import VersionList
    from toytip.store.catalog import published_refs
    from toytip.store.refs import describe_versions, parse_as_of, read_tags, runs_as_of

    manifests, unreadable = store.scan_manifests()
    existing = published_refs(runs_as_of(store.scan_runs()[0], parse_as_of(as_of) if as_of else None))
    listed = [manifest for manifest in manifests if manifest.ref in existing]
    versions = VersionList(versions=tuple(describe_versions(listed, read_tags(store))))
    print_result(
        versions, lambda _: show_versions(versions.versions, store.display_uri, as_of), as_json=json_
    )
    raise_for_unreadable(unreadable)


@app.command(epilog="Example:  toytip version show v20261124T101500Z-3f9c2a")
@expand_options
def show(version: VersionArgument, json_: JsonOption = False, **options: Unpack[StoreOptions]) -> None:
    """Show the contents of a version.

    Prints the tables of the version with their settings, inputs, rejected rows and metrics, and the
    path of the report.
    """
    store = open_command_store(options)
    from toytip.cli.render.contents import show_version
    from toytip.cli.results import VersionContents
    from toytip.core.redact import mask_credentials
    from toytip.store.refs import manifests_of
    from toytip.store.reports import report_uri

    manifests = manifests_of(store, version)
    uri = report_uri(store, manifests[0].version)
    contents = VersionContents(
        version=manifests[0].version,
        tables={manifest.table: manifest for manifest in manifests},
        report_path=mask_credentials(uri) if uri else None,
    )
    print_result(contents, show_version, as_json=json_)


@app.command(
    epilog="Example:  toytip version diff v20261124T101500Z-3f9c2a v20261201T090000Z-11ab42 --output diff.html"
)
@expand_options
def diff(
    a: VersionArgument,
    b: VersionArgument,
    output: Annotated[str | None, output_option("HTML file for the comparison.", "no file")] = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Compare two versions.

    Prints the test metrics of all trips and of the segment with the change from A to B and its 95 %
    interval. Also prints the settings, the numbers of rows, the features and the number of
    predictions that differ.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.diff import show_diff
    from toytip.progress.tracker import Progress
    from toytip.store.compare import compare_versions
    from toytip.store.lineage import ancestors
    from toytip.store.store import store_from_settings

    store = store_from_settings(settings)
    tables = [
        manifest
        for version in (a, b)
        for name, manifest in ancestors(store, version).items()
        if name in ("features", "predictions")
    ]
    progress = Progress.from_settings(settings)
    files = sum(len(manifest.files) for manifest in tables)
    with progress.show_live(), progress.stage("diff", files) as stage:
        comparison = compare_versions(store, a, b, stage.advance)
    if output is not None:
        from toytip.pipeline.reporting.pages import write_diff_page

        write_diff_page(settings, comparison, output)
    print_result(comparison, lambda compared: show_diff(compared, output), as_json=json_)


@app.command(epilog="Example:  toytip version lineage v20261124T101500Z-3f9c2a/2023-12")
@expand_options
def lineage(
    version: Annotated[
        str | None,
        typer.Argument(metavar="VERSION[/MONTH]", help="Version or tag, and optionally one of its months."),
    ] = None,
    downstream: Annotated[
        str | None,
        option(
            "--downstream",
            metavar="FILE",
            help="URI, end of the URI, or checksum of a source file. Lists the versions that depend on the file.",
            default="none",
        ),
    ] = None,
    table: Annotated[
        str | None,
        option(
            "--table",
            metavar="TABLE",
            help="Table of the version.",
            default="predictions, else the output of the latest stage",
        ),
    ] = None,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Trace a version to its source files, or list versions that use a source file.

    The lineage of a version contains all of its inputs, with checksums, settings, and the versions
    of code and packages.
    """
    if (version is None) == (downstream is None):
        raise typer.BadParameter("give either VERSION or --downstream FILE")
    store = open_command_store(options)
    if downstream is not None:
        _list_downstream(store, downstream, json_)
        return
    from toytip.cli.render.lineage import show_lineage
    from toytip.core.months import Month
    from toytip.store.lineage import main_manifest, trace_lineage
    from toytip.store.refs import resolve_version

    name, _, month = str(version).partition("/")
    manifest = resolve_version(store, table, name) if table else main_manifest(store, name)
    print_result(
        trace_lineage(store, manifest, Month.parse(month) if month else None), show_lineage, as_json=json_
    )


def _list_downstream(store: Store, file: str, as_json: bool) -> None:
    from toytip.cli.render.versions import show_versions
    from toytip.cli.results import DownstreamVersions
    from toytip.store.lineage import downstream_versions
    from toytip.store.refs import describe_versions, read_tags

    versions = tuple(describe_versions(downstream_versions(store, file), read_tags(store)))
    print_result(
        DownstreamVersions(file=file, versions=versions),
        lambda _: show_versions(versions, store.display_uri),
        as_json=as_json,
    )


@app.command(epilog="Example:  toytip version tag before-holidays v20261124T101500Z-3f9c2a")
@expand_options
def tag(
    name: Annotated[
        str | None, typer.Argument(metavar="TAG", help="Name of the tag. \\[default: list all tags]")
    ] = None,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="Version that gets the tag. \\[default: none]")
    ] = None,
    force: Annotated[bool, option("--force", help="Move an existing tag to VERSION.")] = False,
    delete: Annotated[bool, option("--delete", help="Delete the tag, but keep its version.")] = False,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Tag a version, or list the tags.

    Without TAG, lists the tags. Commands accept a tag in place of a version. `toytip version gc`
    keeps tagged versions.
    """
    store = open_command_store(options)
    from toytip.cli.render.versions import show_tags
    from toytip.cli.results import TagList
    from toytip.store import refs

    if name and delete:
        refs.remove_tag(store, name)
    elif name and version:
        refs.set_tag(store, name, version, force=force)
    elif name:
        raise ConfigError(
            f"cannot set tag {name}: no version given",
            hint=f"Run `toytip version tag {name} VERSION`, or use --delete to delete the tag.",
        )
    print_result(
        TagList(tags=refs.read_tags(store)), lambda tags: show_tags(tags, store.display_uri), as_json=json_
    )


@app.command(epilog="Example:  toytip version rollback v20261124T101500Z-3f9c2a")
@expand_options
def rollback(version: VersionArgument, json_: JsonOption = False, **options: Unpack[StoreOptions]) -> None:
    """Roll back to an older version.

    Commands then read this version and its direct inputs by default, until a later run passes.
    Nothing is deleted. To roll back the champion, use `toytip model rollback`.
    """
    store = open_command_store(options)
    from toytip.cli.render.versions import show_current_versions
    from toytip.cli.results import RollbackResult
    from toytip.store.release import roll_back_to

    result = RollbackResult(versions=roll_back_to(store, version).tables)
    print_result(result, lambda _: show_current_versions(result, version), as_json=json_)


@app.command(epilog='Example:  toytip version release v20261124T101500Z-3f9c2a --reason "new fares"')
@expand_options
def release(
    version: VersionArgument,
    reason: Annotated[
        str,
        option("--reason", metavar="TEXT", help="Reason for the release, which the store keeps (required)."),
    ] = "",
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Make a version current by hand.

    Use this command for a run that the promotion gate refused. With --env prod, toytip first copies
    a version that exists only in dev: by hard links on a disk, by the server on S3. Readers see the
    copy in one step, or not at all. The champion does not change.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.versions import show_release
    from toytip.store.release import release_version
    from toytip.store.store import store_from_settings

    result = release_version(store_from_settings(settings), version, reason)
    print_result(result, show_release, as_json=json_)


@app.command(epilog="Example:  toytip version verify v20261124T101500Z-3f9c2a")
@expand_options
def verify(version: VersionArgument, json_: JsonOption = False, **options: Unpack[StoreOptions]) -> None:
    """Verify the checksums of a version.

    Reads every file of the version again. Lists files that are missing, changed, or not in the
    manifest. Exits with 1 if the list is not empty.
    """
    settings = resolve_command_settings(options, workers_needed=False)
    from toytip.cli.render.versions import show_faults
    from toytip.cli.results import VerificationResult
    from toytip.progress.tracker import Progress
    from toytip.store.maintenance import verify_version
    from toytip.store.refs import manifests_of
    from toytip.store.store import store_from_settings

    store = store_from_settings(settings)
    manifests = manifests_of(store, version)
    progress = Progress.from_settings(settings)
    files = sum(len(manifest.files) for manifest in manifests)
    with progress.show_live(), progress.stage("verify", files) as stage:
        # Rows per second would be meaningless, because toytip does not decode the rows.
        faults = verify_version(store, version, lambda _rows: stage.advance())
    result = VerificationResult(version=manifests[0].version, faults=tuple(faults))
    print_result(result, lambda _: show_faults(faults, files, len(manifests)), as_json=json_)
    if faults:
        more = f" (and {len(faults) - 1} more)" if faults[1:] else ""
        raise StoreError(
            f"cannot verify version {version}: {faults[0].path} {faults[0].message}{more}",
            hint="Run `toytip run --full-refresh` to compute all outputs again in a new version.",
        )


@app.command(epilog="Example:  toytip version gc --keep 3 --dry-run")
@expand_options
def gc(
    keep: Annotated[
        int, option("--keep", min=1, metavar="N", help="Number of newest versions to keep per table.")
    ] = 10,
    dry_run: Annotated[
        bool, option("--dry-run", help="List the versions and files, but do not delete them.")
    ] = False,
    json_: JsonOption = False,
    **options: Unpack[StoreOptions],
) -> None:
    """Delete unused versions and the files of killed runs.

    Keeps the newest versions of each table, the current version of each table, tagged versions, and
    registered models. Also keeps all inputs of these versions.
    """
    store = open_command_store(options)
    from toytip.cli.render.versions import show_deleted_versions
    from toytip.cli.results import DeletedVersions
    from toytip.store.maintenance import collect_garbage, find_garbage

    garbage = find_garbage(store, keep)
    if not dry_run:
        collect_garbage(store, garbage)
    result = DeletedVersions(
        versions=garbage.versions,
        incomplete_versions=garbage.incomplete_versions,
        orphaned_files=garbage.orphaned_files,
        bytes=garbage.bytes,
        deleted=not dry_run,
    )
    print_result(result, show_deleted_versions, as_json=json_)
    raise_for_unreadable(garbage.unreadable)
