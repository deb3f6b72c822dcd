"""A user's own configuration of Matplotlib does not change or break the charts."""

import matplotlib as mpl
import pytest

from toytip.report.charts.style import default_style
from toytip.report.charts.svg import open_drawing


def draw():
    with open_drawing() as drawing:
        drawing.axes.plot([0, 1], [0, 2])
        drawing.axes.set_title("F1 costs $2")
    return drawing.svg


@pytest.mark.parametrize(
    "configured",
    [
        {"text.usetex": True},
        {"lines.marker": "o", "lines.linestyle": "--", "axes.facecolor": "black"},
        {"font.family": "no such font", "axes.titlesize": 40},
        {"timezone": "Asia/Tokyo", "svg.fonttype": "path"},
    ],
)
def test_a_chart_does_not_depend_on_the_configured_style(configured):
    expected = draw()
    with mpl.rc_context(configured):
        before = dict(mpl.rcParams)
        assert draw() == expected
        assert dict(mpl.rcParams) == before


def test_the_backend_of_a_program_stays():
    with mpl.rc_context():
        mpl.use("svg")
        with default_style():
            assert mpl.get_backend().lower() == "svg"
