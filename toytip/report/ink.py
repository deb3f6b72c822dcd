"""ink: matplotlib draws, and the page colours: SVG whose colours are names that light and dark fill in.

Every picture is drawn at the size at which a phone shows it, so that its text is never scaled down.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup, escape

# Stand-ins that matplotlib draws with, and what stands in their place in the page.
INK, MUTED, RULE, A, B, C, PAPER, PALE, SOFT, MILD, GREY = (f"#0{n:x}0{n:x}0{n:x}" for n in range(1, 12))
NAMES = {
    INK: "ink", MUTED: "muted", RULE: "rule", A: "a", B: "b", C: "c", PAPER: "paper",
    PALE: "a-pale", SOFT: "a-soft", MILD: "a-mild", GREY: "grey",
}  # fmt: skip
KEYS = {"a": A, "b": B, "c": C, "muted": MUTED, "ink": INK}
# From the lightest to the full colour.
STEPS = (PALE, SOFT, MILD, A)
DASHES = {"a": "-", "b": (0, (4, 2)), "c": (0, (1, 1.5)), "muted": "-", "ink": "-"}

WIDE, HIGH = 360, 216
SMALL, LOW = 170, 96
POINTS = 72
TEXT = 10

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "toytip",
    # A name with a dollar sign is a name.
    "text.parse_math": False,
    "font.size": TEXT,
    "axes.linewidth": 0.8,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": TEXT,
    "text.color": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    # Placed by hand, whatever a program that is not ours has set.
    "figure.constrained_layout.use": False,
    "figure.autolayout": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


class Drawn:
    """A picture under way: `axes` to draw on, and its SVG afterwards."""

    def __init__(self, figure: Any, axes: Any) -> None:
        self.figure, self.axes, self.svg = figure, axes, ""


@contextlib.contextmanager
def drawing(*, small: bool = False, left: int = 38, bottom: int = 34, top: int = 8) -> Iterator[Drawn]:
    """Yield axes of a picture; `left`, `bottom` and `top` are the room for their labels, in pixels."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    width, height = (SMALL, LOW) if small else (WIDE, HIGH)
    left, bottom, right, top = (34, 18, 6, 6) if small else (left, bottom, 12, top)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width / POINTS, height / POINTS), dpi=POINTS)
        box = (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - bottom - top) / height,
        )
        drawn = Drawn(figure, figure.add_axes(box))
        yield drawn
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawn.svg = buffer.getvalue()


_HEAD = re.compile(r"^.*?<svg[^>]*>", re.DOTALL)
_ASIDE = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_FONT = re.compile(r"font:\s*([^;\"]*?)([\d.]+)px[^;\"]*")
_FAMILY = re.compile(r"\s*font-family:[^;\"]*;?")
_ID = re.compile(r"(\bid=\"|url\(#|href=\"#)")
_SPACE = re.compile(r">\s+<")
_LONG = re.compile(r"(\d+\.\d{2})\d+")


def inline(svg: str, alt: str, name: str, *, small: bool = False) -> Markup:
    """Return SVG to stand in a page: colours by name, the page's own font, ids of its own, and what it shows as its name."""
    width, height = (SMALL, LOW) if small else (WIDE, HIGH)
    body = _ASIDE.sub("", _HEAD.sub("", svg, count=1))
    for stand_in, colour in NAMES.items():
        body = body.replace(stand_in, f"var(--{colour})")
    body = _FAMILY.sub("", _FONT.sub(r"font-size: \2px", body))
    body = _ID.sub(rf"\g<1>{name}-", body)
    body = _LONG.sub(r"\1", _SPACE.sub("><", body)).replace("xlink:href", "href")
    head = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t" focusable="false">'
        f'<title id="{name}-t">{escape(alt)}</title>'
    )
    return Markup(head + body.strip())  # noqa: S704 - matplotlib escapes what it writes, and the name is escaped here
