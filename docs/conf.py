"""Configure Sphinx for `make docs`. The pages are plain Markdown, so GitHub shows them as well."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

BENCHMARK_PAGE, RESULTS = "docs/benchmark/index.html", "benchmarks/results"

project = PROJECT["name"]
author = copyright = PROJECT["authors"][0]["name"]  # noqa: A001 - Sphinx's word
version = release = PROJECT["version"]
html_title = f"{project} {release}"

# The source folder is the repository, so that links between docs/ and cluster/ are the same as on
# GitHub.
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "cluster/**.md",
    "benchmarks/RULES.md",
    "examples/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = [".venv", "build", "**/.*", "**/node_modules"]
extensions = ["myst_parser"]
myst_heading_anchors = 4
# Every link must have a target, because a warning is an error (`--fail-on-warning`).
nitpicky = True
linkcheck_timeout = 20
linkcheck_retries = 2
# Addresses on the reader's own machine.
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1|10\.)"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_copyright = False
html_last_updated_fmt = None
# A browser cannot load search summaries from a disk. site.js disables them for file:// URLs.
html_show_search_summary = True
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#8a5a00", "color-brand-content": "#8a5a00"},
    "dark_css_variables": {"color-brand-primary": "#f2b63c", "color-brand-content": "#f2b63c"},
}


def _navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    """Create the sidebar from the links of the index and of the cluster page.

    Each heading of the index becomes a caption, and each link in its list becomes an entry. The
    pages of the cluster types are below the cluster page.
    """
    if name == root_doc:
        for caption, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", source[0], re.MULTILINE | re.DOTALL):
            pages = re.findall(r"^- \[(.*?)\]\(([^)#:]+)\.md\)", body, re.MULTILINE)
            source[0] += _tree([f"{title} <{page}>" for title, page in pages], caption)
    elif name == "cluster/README":
        source[0] += _tree(re.findall(r"\]\((\w+/README)\.md\)", source[0]))


def _tree(entries: list[str], caption: str = "") -> str:
    options = [":hidden:", f":caption: {caption}"] if caption else [":hidden:"]
    return "\n\n```{toctree}\n" + "\n".join([*options, "", *entries]) + "\n```\n"


def _code(_app: Sphinx, doctree: nodes.document) -> None:
    """Remove empty lines at the end of code blocks.

    Show Mermaid, CSV and blocks without a language as plain text.
    """
    for block in doctree.findall(nodes.literal_block):
        text = block.astext().rstrip()
        block[:], block.rawsource = [nodes.Text(text)], text  # Sphinx highlights only if both are equal
        if block.get("language", "default") in {"default", "mermaid", "csv"}:
            block["language"] = "text"


def _link_benchmark_page(app: Sphinx, doctree: nodes.document) -> None:
    """Link the page of benchmark results, which MyST would offer as a download."""
    folder = os.path.dirname(app.env.docname)  # noqa: PTH120 - the name of a page, not a path of a file
    for link in doctree.findall(addnodes.download_reference):
        if link["reftarget"].endswith("benchmark/index.html"):
            address = os.path.relpath(BENCHMARK_PAGE, folder)
            link.replace_self(nodes.reference("", "", *link.children, refuri=address, internal=True))


def _copy_benchmark_page(app: Sphinx, error: Exception | None) -> None:
    """Copy the page of benchmark results and the result files, with the same paths."""
    if error is None and app.builder.format == "html":
        page = app.outdir / BENCHMARK_PAGE
        page.parent.mkdir(parents=True, exist_ok=True)
        text = (ROOT / BENCHMARK_PAGE).read_text(encoding="utf-8")
        page.write_text(re.sub(r'(href="[./\w-]+)\.md"', r'\1.html"', text), encoding="utf-8")
        shutil.copytree(ROOT / RESULTS, app.outdir / RESULTS, dirs_exist_ok=True)


def _redirect(app: Sphinx, error: Exception | None) -> None:
    """Write a page at the root of the site that redirects to the index."""
    if error is None and app.builder.format == "html":
        page = f'<!doctype html><title>{project}</title><meta http-equiv="refresh" content="0; url={root_doc}.html">'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the hooks."""
    app.connect("source-read", _navigation)
    app.connect("doctree-read", _code)
    app.connect("doctree-read", _link_benchmark_page, priority=100)  # before Sphinx collects downloads
    app.connect("build-finished", _redirect)
    app.connect("build-finished", _copy_benchmark_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
