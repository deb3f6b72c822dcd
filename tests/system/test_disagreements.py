"""The page about disagreements: every table shows what the installed engines return."""

import re
import warnings
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "disagreements.md").read_text()
SETUP = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
CODE = re.compile(r"`([^`]+)`")


def table_rows(*head):
    """Return the rows of all tables with these columns."""
    lines = PAGE.splitlines()
    for index, line in enumerate(lines):
        if line == f"| {' | '.join(head)} |":
            for row in lines[index + 2 :]:
                if not row.startswith("|"):
                    break
                yield [cell.strip() for cell in row.strip("|").split(" | ")]


EXPRESSIONS = [
    (row[0], CODE.fullmatch(row[-2])[1], row[-1])
    for head in (("Engine", "Expression", "Result"), ("Engine", "Question", "Expression", "Result"))
    for row in table_rows(*head)
]


def evaluate(engine, expression):
    """Return the result of an expression as text. An exception of the engine is `error`."""
    names = {}
    exec(SETUP, names)  # noqa: S102
    failures = (duckdb.Error, pl.exceptions.PolarsError, pa.ArrowInvalid, ValueError)
    try:
        if engine.startswith("DuckDB"):
            connection = duckdb.connect()
            connection.execute("set TimeZone = 'UTC'")
            return plain(connection.execute(f"select {expression}").fetchone()[0])
        return plain(eval(expression, names))  # noqa: S307
    except failures:
        return "error"


def plain(value):
    """Return a value as the page shows it."""
    if isinstance(value, pl.Series):
        value = value.to_list()
    elif isinstance(value, pd.Series):
        value = value.tolist()
    elif isinstance(value, pa.Scalar):
        value = value.as_py()
    elif isinstance(value, pa.Array):
        value = value.to_pylist()
    elif isinstance(value, np.generic):
        value = value.item()
    return str(value)


def test_the_page_has_examples_of_every_engine():
    engines = {engine.partition(",")[0] for engine, _, _ in EXPRESSIONS}
    assert engines == {"polars", "pandas", "DuckDB", "PyArrow", "NumPy"}
    assert len(EXPRESSIONS) > 60


@pytest.mark.parametrize(("engine", "expression", "result"), EXPRESSIONS)
def test_an_engine_returns_the_result_on_the_page(engine, expression, result):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate(engine, expression) == result


def is_high(formula, cents):
    """Return whether a tip of exactly 20 % is high by a formula."""
    return eval(formula, {"tip": cents // 5 / 100, "fare": cents / 100})  # noqa: S307


def test_the_formulas_of_the_label_disagree():
    rows = list(table_rows("Formula in double precision", "High tips"))
    cents = range(5, 20_000, 5)
    assert f"{len(cents):,} trips" in PAGE
    counted = {formula: sum(is_high(CODE.fullmatch(formula)[1], c) for c in cents) for formula, _ in rows}
    assert {formula: int(count) for formula, count in rows} == counted
    assert len(set(counted.values())) == 6


def test_no_formula_of_the_label_is_always_right():
    cents = range(20, 20_000, 20)
    high = sum(c * 15 // 100 / 100 > c / 100 * 15 / 100 for c in cents)
    assert f"`tip > fare * 15 / 100` finds {high} high tips among {len(cents)} such trips" in PAGE
