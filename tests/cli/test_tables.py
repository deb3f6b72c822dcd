"""Text on terminals and in pipes."""

import io

from rich.console import Console
from rich.table import Table

from tests.support.runs import run_toytip
from toytip.cli.render.tables import show_table


def test_names_are_printed_unchanged(tmp_path):
    """Brackets are not markup. A character that stdout cannot encode becomes a question mark."""
    store = tmp_path / "st[red]ö[/z]"
    done = run_toytip("version", "list", "--store", store, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "st[red]?[/z]" in done.stdout


def test_a_narrow_terminal_cuts_nothing():
    table = Table(box=None, pad_edge=False)
    titles = ("month", "trips", "F1 change", "by card share", "by skill")
    for title in titles:
        table.add_column(title, justify="right")
    table.add_row("2023-11", "63,852", "-0.0122", "-0.0311", "+0.0208")
    output = io.StringIO()
    show_table(Console(file=output, force_terminal=True, color_system=None, width=30), table)
    lines = output.getvalue().splitlines()
    assert all(len(line) <= 30 for line in lines)
    assert [line.split()[0] for line in lines] == ["month", "2023-11"] * 3
    for cell in (*titles, "63,852", "-0.0122", "-0.0311", "+0.0208"):
        assert cell in output.getvalue()
