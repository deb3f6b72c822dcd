"""The lineage of a version as a tree."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from toytip.cli.render.tables import make_console, print_wrapped
from toytip.core.text import plural
from toytip.store.lineage import DeletedVersion, LineageFile, LineageNode, LineageParent
from toytip.store.manifest import SourceFileRef

# Number of characters of a checksum in the tree: `sha256:` and eight digits.
CHECKSUM_WIDTH = 15


def show_lineage(lineage: LineageNode, console: Console | None = None) -> None:
    """Print the lineage of a version as a tree, below the data that all of its lines share."""
    console = console or make_console()
    print_wrapped(console, f"created {lineage.created_at[:19]} by {_creator(lineage)}")
    folder = common_folder(file.uri for file in _source_files(lineage))
    if folder:
        console.print(f"source files in {folder}", soft_wrap=True)
    console.print(_tree(lineage, lineage, folder, set()), soft_wrap=True)
    print_wrapped(console, "(checksums are shortened. See --json)", " ", style="dim")


def common_folder(uris: Iterable[str]) -> str:
    """Return the folder that contains all files, with a slash at its end.

    Empty if the files have no common folder.

    >>> common_folder(["s3://trips/2023/a.parquet", "s3://trips/2022/b.parquet"])
    's3://trips/'
    >>> common_folder(["/a/x.parquet", "/b/y.parquet"])
    ''
    """
    prefix = posixpath.commonprefix([f"{posixpath.dirname(uri)}/" for uri in uris])
    folder = prefix[: prefix.rfind("/") + 1]
    return "" if folder.endswith("//") or folder == "/" else folder


def _source_files(node: LineageParent) -> Iterator[SourceFileRef]:
    if isinstance(node, SourceFileRef):
        yield node
    elif isinstance(node, LineageNode):
        for parent in node.parents:
            yield from _source_files(parent)


def _creator(node: LineageNode) -> str:
    commit = node.environment.get("git_commit", "")[:12]
    return f"toytip {node.environment.get('toytip', '')}{f', commit {commit}' if commit else ''}"


def _tree(root: LineageNode, node: LineageParent, folder: str, visited: set[str]) -> Tree:
    """Return the tree of a node. Inputs that are in `visited` are named, but not shown again."""
    if isinstance(node, SourceFileRef):
        return Tree(_file_label(node.uri.removeprefix(folder), node))
    if isinstance(node, DeletedVersion):
        return Tree(f"{node.table} {node.version}  (deleted)")
    details = f"  {plural(node.rows, 'row')}" if node.rows else ""
    label = Text.assemble((str(node.ref), "bold"), details)
    if label.plain in visited:
        return Tree(label.append("  (see above)"))
    visited.add(label.plain)
    if _creator(node) != _creator(root):
        label.append(f"\ncreated by {_creator(node)}")
    tree = Tree(label)
    for file in node.files:
        tree.add(_file_label(file.path, file))
    for parent in node.parents:
        tree.add(_tree(root, parent, folder, visited))
    return tree


def _file_label(name: str, file: LineageFile | SourceFileRef) -> Text:
    return Text(f"{name}  {plural(file.rows, 'row')}  {file.checksum[:CHECKSUM_WIDTH]}")
