"""How Sphinx builds the site: `make docs`. The pages are plain Markdown, which GitHub shows as well."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = PROJECT["name"]
author = copyright = PROJECT["authors"][0]["name"]  # noqa: A001 - Sphinx's word
version = release = PROJECT["version"]
html_title = f"{project} {release}"

# The source is the whole repository, so that links between docs/ and cluster/ are the same here as on GitHub.
root_doc = "docs/index"
include_patterns = ["docs/**.md", "cluster/**.md", "examples/README.md", "CHANGELOG.md"]
exclude_patterns = [".venv", "build", "**/.*", "**/node_modules"]
extensions = ["myst_parser"]
myst_heading_anchors = 4
# Every link must lead somewhere; a warning ends the build (`-W`).
nitpicky = True
linkcheck_timeout = 20
linkcheck_retries = 2
# What shows an address of a reader's own is no link to check.
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1|10\.)"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_copyright = False
html_last_updated_fmt = None
# Opened from a disk a browser may not fetch pages to show what was found in them: site.js turns this off there.
html_show_search_summary = True
pygments_style = "friendly"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#8a5a00", "color-brand-content": "#8a5a00"},
    "dark_css_variables": {"color-brand-primary": "#f2b63c", "color-brand-content": "#f2b63c"},
}


def _navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    """Make the sidebar of links that are there anyway.

    On the front page each heading is a caption, and each item of its list that is a link an entry; below the page on clusters are
    those of each kind.
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
    """Colour indented lines that begin with a command, as Markdown has no place to say what they are; end no block in empty lines."""
    for block in doctree.findall(nodes.literal_block):
        text = block.astext().rstrip()
        block[:], block.rawsource = [nodes.Text(text)], text  # where they differ, nothing is coloured
        if block.get("language", "default") == "default":
            first = block.astext().split(maxsplit=1)[:1]
            block["language"] = "sh" if first and first[0] in SHELL else "text"


SHELL = ("toytip", "make", "python", "pip", "git", "ssh", "dask", "docker", "kubectl", "curl", "sbatch")


def _door(app: Sphinx, error: Exception | None) -> None:
    """Leave a page at the top of the site that leads to the front page."""
    if error is None and app.builder.format == "html":
        page = f'<!doctype html><title>{project}</title><meta http-equiv="refresh" content="0; url={root_doc}.html">'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Hook in what Markdown alone cannot say."""
    app.connect("source-read", _navigation)
    app.connect("doctree-read", _code)
    app.connect("build-finished", _door)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
