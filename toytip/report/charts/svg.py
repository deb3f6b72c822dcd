"""Draw charts as SVG with named colors. The themes of the page, light and dark, define the colors.

A chart is as wide as the screen of a phone, so that a browser never scales its text down.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup, escape

from toytip.report.charts.style import default_style

# matplotlib draws with these placeholder colors. `inline_svg` replaces the colors with CSS
# variables.
(
    TEXT_COLOR,
    MUTED_COLOR,
    RULE_COLOR,
    COLOR_A,
    COLOR_B,
    COLOR_C,
    PAPER_COLOR,
    PALE_COLOR,
    SOFT_COLOR,
    MILD_COLOR,
    GRAY_COLOR,
) = (f"#0{n:x}0{n:x}0{n:x}" for n in range(1, 12))
CSS_NAMES = {
    TEXT_COLOR: "ink",
    MUTED_COLOR: "muted",
    RULE_COLOR: "rule",
    COLOR_A: "a",
    COLOR_B: "b",
    COLOR_C: "c",
    PAPER_COLOR: "paper",
    PALE_COLOR: "a-pale",
    SOFT_COLOR: "a-soft",
    MILD_COLOR: "a-mild",
    GRAY_COLOR: "gray",
}
LINE_COLORS = {"a": COLOR_A, "b": COLOR_B, "c": COLOR_C, "muted": MUTED_COLOR, "ink": TEXT_COLOR}
# From the lightest shade to the full color.
MAP_SHADES = (PALE_COLOR, SOFT_COLOR, MILD_COLOR, COLOR_A)
LINE_DASHES = {"a": "-", "b": (0, (4, 2)), "c": (0, (1, 1.5)), "muted": "-", "ink": "-"}

WIDTH_PX, HEIGHT_PX = 360, 216
SMALL_WIDTH_PX, SMALL_HEIGHT_PX = 170, 96
POINTS_PER_INCH = 72
FONT_SIZE = 10

MATPLOTLIB_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "toytip",
    # A dollar sign in a name must not start a formula.
    "text.parse_math": False,
    "font.size": FONT_SIZE,
    "axes.linewidth": 0.8,
    "axes.edgecolor": RULE_COLOR,
    "axes.labelcolor": MUTED_COLOR,
    "axes.labelsize": FONT_SIZE,
    "text.color": TEXT_COLOR,
    "xtick.color": RULE_COLOR,
    "ytick.color": RULE_COLOR,
    "xtick.labelcolor": MUTED_COLOR,
    "ytick.labelcolor": MUTED_COLOR,
    "xtick.labelsize": FONT_SIZE,
    "ytick.labelsize": FONT_SIZE,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": RULE_COLOR,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    # Axes have explicit positions, so layout defaults of the calling program must not apply.
    "figure.constrained_layout.use": False,
    "figure.autolayout": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


class Drawing:
    """A chart that is being drawn. `svg` is empty until the context of `open_drawing` ends."""

    def __init__(self, figure: Any, axes: Any) -> None:
        self.figure, self.axes, self.svg = figure, axes, ""


@contextlib.contextmanager
def open_drawing(*, small: bool = False, left: int = 38, bottom: int = 34, top: int = 8) -> Iterator[Drawing]:
    """Yield a chart with empty axes.

    `left`, `bottom` and `top` are the margins for labels, in pixels.
    """
    from matplotlib.figure import Figure

    width, height = (SMALL_WIDTH_PX, SMALL_HEIGHT_PX) if small else (WIDTH_PX, HEIGHT_PX)
    left, bottom, right, top = (34, 18, 6, 6) if small else (left, bottom, 12, top)
    with default_style(MATPLOTLIB_STYLE):
        figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), dpi=POINTS_PER_INCH)
        box = (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - bottom - top) / height,
        )
        drawing = Drawing(figure, figure.add_axes(box))
        yield drawing
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawing.svg = buffer.getvalue()


_SVG_HEAD = re.compile(r"^.*?<svg[^>]*>", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_FONT = re.compile(r"font:\s*([^;\"]*?)([\d.]+)px[^;\"]*")
_FAMILY = re.compile(r"\s*font-family:[^;\"]*;?")
_ID = re.compile(r"(\bid=\"|url\(#|href=\"#)")
_SPACE = re.compile(r">\s+<")
_LONG_NUMBER = re.compile(r"(\d+\.\d{2})\d+")


def inline_svg(svg: str, alt: str, name: str, *, small: bool = False) -> Markup:
    """Return SVG for a page: with named colors, no font, unique IDs and an alternative text."""
    width, height = (SMALL_WIDTH_PX, SMALL_HEIGHT_PX) if small else (WIDTH_PX, HEIGHT_PX)
    body = _METADATA.sub("", _SVG_HEAD.sub("", svg, count=1))
    for placeholder, color in CSS_NAMES.items():
        body = body.replace(placeholder, f"var(--{color})")
    body = _FAMILY.sub("", _FONT.sub(r"font-size: \2px", body))
    body = _ID.sub(rf"\g<1>{name}-", body)
    body = _LONG_NUMBER.sub(r"\1", _SPACE.sub("><", body)).replace("xlink:href", "href")
    head = (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-t" focusable="false">'
        f'<title id="{name}-t">{escape(alt)}</title>'
    )
    return Markup(head + body.strip())  # noqa: S704 - matplotlib escapes its output, and `alt` is escaped here
