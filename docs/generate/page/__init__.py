"""Generate the page of benchmark results, `docs/benchmark/index.html`, from the committed files.

The page is one file. It needs no server and no network, and it has the theme of the run report.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import toytip.report
from benchmarks.quality import AUC_MARGIN
from docs.generate.page.verdicts import WORDS, reference_of, verdicts
from docs.generate.page.views import View, load_views
from docs.generate.results import FOLDER
from toytip.core.jsonable import dump_json, to_json

PAGE = Path(__file__).parents[2] / "benchmark" / "index.html"
NOT_ON_PAGE = ("measured", "is_partial")
TEMPLATES = Path(__file__).parent
REPORT_STYLE = Path(toytip.report.__file__).parent / "templates" / "style.css"


def benchmark_page(folder: Path = FOLDER) -> str:
    """Return the page with the results of a folder."""
    views = load_views(folder)
    script = _read("page.js")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_read("page.html"))
    return template.render(
        style=Markup(REPORT_STYLE.read_text(encoding="utf-8") + _read("page.css")),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        auc_margin=AUC_MARGIN,
        data=Markup(_data(views)),  # noqa: S704 - escaped
    )


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _data(views: list[View]) -> str:
    """Return the views as JSON. Text of a result file cannot end the script element."""
    data = {"views": [_record(view) for view in views], "words": WORDS}
    return dump_json(data, separators=(",", ":")).replace("<", "\\u003c")


def _record(view: View) -> dict[str, Any]:
    record = {name: value for name, value in to_json(view).items() if name not in NOT_ON_PAGE}
    own = reference_of(view)
    return {**record, "reference": own.name if own else None, "verdicts": to_json(verdicts(view))}
