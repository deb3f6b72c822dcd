"""Text on terminals and in pipes."""

import io

from rich.console import Console
from rich.table import Table

from tests.support.runs import run_toytip
from toytip.cli.render.tables import Section, new_table, show_table


def test_names_are_printed_unchanged(tmp_path):
    """Brackets are not markup. A character that stdout cannot encode becomes a question mark."""
    store = tmp_path / "st[red]ö[/z]"
    (store / "dev" / "_staging").mkdir(parents=True)
    (store / "dev" / "_staging" / "v1.lock").touch()
    done = run_toytip("version", "list", "--store", store, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "st[red]?[/z]" in done.stdout


def test_a_narrow_terminal_cuts_nothing():
    table = Table(box=None, pad_edge=False)
    titles = ("month", "trips", "F1 change", "due to card share", "due to model")
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


def narrow(table, width, drop):
    output = io.StringIO()
    show_table(Console(file=output, force_terminal=True, color_system=None, width=width), table, drop)
    return output.getvalue().splitlines()


def test_a_narrow_terminal_drops_columns_in_their_order():
    table = new_table("month", "trips", "F1", "share", left=("share",))
    table.add_row("2023-11", "63,852", "0.8122", "0.69")
    assert narrow(table, 30, ("F1", "share"))[0].split() == ["month", "trips", "F1", "share"]
    assert narrow(table, 26, ("F1", "share")) == [
        "month     trips  share",
        "2023-11  63,852  0.69",
        "(columns not shown: F1.",
        " See --json)",
    ]
    assert narrow(table, 16, ("F1", "share")) == [
        "month     trips",
        "2023-11  63,852",
        "(columns not",
        " shown: F1,",
        " share. See",
        " --json)",
    ]


def test_headings_do_not_widen_their_column():
    table = new_table("split", "value")
    table.add_row(Section("a heading that is longer than the first column"))
    table.add_row("AUC", "0.8769")
    table.add_row(Section("another heading"))
    table.add_row("log loss", "0.3810")
    assert narrow(table, 80, ()) == [
        "split      value",
        "a heading that is longer than the first column",
        "AUC       0.8769",
        "another heading",
        "log loss  0.3810",
    ]
