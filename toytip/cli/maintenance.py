"""Keeping a store in order."""

from __future__ import annotations

from typing import Annotated, Unpack

import typer

from toytip.cli.app import app
from toytip.cli.command import open_command_store, print_json, raise_for_unreadable
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import JsonOption
from toytip.cli.versions import VersionArgument
from toytip.core.jsonable import to_json
from toytip.errors import StoreError


@app.command(epilog="Example:  toytip verify v20261124T101500Z-3f9c2a")
@expand_options
def verify(version: VersionArgument, json_: JsonOption = False, **given: Unpack[StoreOptions]) -> None:
    """Read every file of a version again, and name those that are lost, changed, or were never published."""
    place = open_command_store(given)
    from toytip.config import Settings
    from toytip.progress.tracker import Progress
    from toytip.store.maintenance import verify_version
    from toytip.store.refs import manifests_of

    found = manifests_of(place, version)
    progress = Progress.from_settings(Settings.load())
    with progress.show_live(), progress.stage("verify", sum(len(m.files) for m in found)) as stage:
        faults = verify_version(place, version, stage.advance)
    if json_:
        print_json({"version": found[0].version, "faults": to_json(faults)})
    for fault in () if json_ else faults:
        typer.echo(f"{fault.path} {fault.message}")
    if faults:
        raise StoreError(
            f"{len(faults)} files of {version} are not as published, first {faults[0].path}; make it anew"
        )
    if not json_:
        typer.echo(f"{sum(len(m.files) for m in found)} files of {len(found)} tables are as published")


@app.command(epilog="Example:  toytip gc --keep 3 --dry-run")
@expand_options
def gc(
    keep: Annotated[int, typer.Option("--keep", min=1, help="Newest versions to keep, of each table.")] = 10,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
    json_: JsonOption = False,
    **given: Unpack[StoreOptions],
) -> None:
    """Remove old versions and what dead runs left; never what a kept version, a tag, a rollback or a registered model needs."""
    place = open_command_store(given)
    from toytip.store.maintenance import collect_garbage, find_garbage

    waste = find_garbage(place, keep)
    if not dry_run:
        collect_garbage(place, waste)
    if json_:
        print_json(
            {
                "versions": to_json(waste.versions),
                "incomplete_versions": to_json(waste.incomplete_versions),
                "orphaned_files": to_json(waste.orphaned_files),
                "bytes": waste.bytes,
                "deleted": not dry_run,
            }
        )
        raise_for_unreadable(waste.unreadable)
        return
    for manifest in waste.versions:
        typer.echo(f"{manifest.table} {manifest.version}")
    for version in waste.incomplete_versions:
        typer.echo(f"what is left of {version}, which was never finished")
    for name in waste.orphaned_files:
        typer.echo(name)
    what = "would go" if dry_run else "removed"
    typer.echo(f"{len(waste.versions)} versions, {waste.bytes / 1e6:,.1f} MB {what}")
    raise_for_unreadable(waste.unreadable)
