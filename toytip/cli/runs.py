"""`toytip runs`."""

from __future__ import annotations

from typing import Unpack

from toytip.cli.app import new_app
from toytip.cli.command import open_command_store, print_result, raise_for_unreadable
from toytip.cli.option_groups import StoreOptions, expand_options
from toytip.cli.options import JsonOption

app = new_app("runs")


@app.command(epilog="Example:  toytip runs --store ./toytip-store")
@expand_options
def runs(json_: JsonOption = False, **options: Unpack[StoreOptions]) -> None:
    """List the runs of a store.

    Prints the version, time, source, months, feature set, segment and test AUC of each run that
    published predictions, oldest run first.
    """
    store = open_command_store(options)
    from toytip.cli.render.versions import show_runs
    from toytip.store.runs import list_runs

    manifests, unreadable = store.scan_manifests()
    print_result(list_runs(manifests), lambda listed: show_runs(listed, store.display_uri), as_json=json_)
    raise_for_unreadable(unreadable)
