"""Generate the page of tables and columns from the schema, the features and the glossary."""

from __future__ import annotations

import inspect

from docs.generate.markdown import code, page, table
from toytip.core import glossary
from toytip.core.schema import Column, Table
from toytip.core.tlc import FIELDS
from toytip.stages import catalog, clean, featurize, zone_rates

TABLES = tuple(catalog.READABLE_TABLES.values())
# Arrow uses other names for these two types.
ARROW = {"float": "float32", "double": "float64"}


def _moment(name: str) -> str:
    found = {item.name: item.available_at for item in featurize.FEATURES}
    return found.get(name) or glossary.COLUMN_DOCS[name].available_at


def _kinds(column: Column) -> str:
    there = ARROW.get(str(column.arrow_type), str(column.arrow_type))
    return code(column.dtype) if there == column.dtype else f"{code(column.dtype)}, {code(there)}"


def of_table(found: Table) -> str:
    """Return the section of a table."""
    rows = []
    for column in found.columns:
        meaning = glossary.column_doc(found.name, column.name)
        moment = "" if (found.name, column.name) in glossary.TABLE_COLUMN_DOCS else _moment(column.name)
        rows.append([code(column.name), _kinds(column), meaning.unit, moment, meaning.text])
    said = found.description
    head = ("Column", "Type in pandas, in Parquet", "Unit", "Availability", "Meaning")
    return f"## {found.name}\n\nEach row is {said[0].lower()}{said[1:]}\n\n" + table(head, rows)


def _sets() -> str:
    known = [(item.name, item.available_at) for item in featurize.FEATURES]
    known += [(rate.name, rate.available_at) for rate in zone_rates.ZONE_RATES]
    order = list(featurize.AVAILABILITY_TIMES)
    rows = []
    for name, moment in known:
        needs = zone_rates.ZONE_RATES_BY_NAME[name].needs if name in zone_rates.ZONE_RATES_BY_NAME else ()
        seed = set(needs) <= set(featurize.SEED_FEATURES) if needs else name in featurize.SEED_FEATURES
        inside = [seed, *(order.index(moment) <= order.index(each) for each in order)]
        rows.append([code(name), moment, *("yes" if there else "" for there in inside)])
    return table(("Feature", "Availability", "`seed`", *(code(each) for each in order)), rows)


def _source() -> str:
    rows = [
        [
            code(field.name),
            ", ".join(map(code, field.aliases)) or "same name",
            "yes" if field.required else "no (only in some years, or for one taxi type)",
        ]
        for field in FIELDS
    ]
    return table(("Column of `trips`", "Name in TLC files", "Required"), rows)


def tables_page() -> str:
    """Return the page of tables and columns."""
    moments = "\n".join(f"- `{name}`: {said}" for name, said in glossary.AVAILABILITY_DESCRIPTIONS.items())
    return page(
        "Tables and columns",
        "An integer column that can have missing values is a float in pandas and an integer in Parquet. "
        "[Read outputs](../how-to/read-outputs.md) shows how to read a table. "
        "*Availability* is the earliest point in a trip at which the value is known:",
        moments,
        "Every table also has the columns of its folders:",
        table(
            ("Column", "Meaning"),
            ([code(name), said.text] for name, said in glossary.PATH_COLUMN_DOCS.items()),
        ),
        *map(of_table, TABLES),
        "## Feature sets",
        "`--feature-set` selects the features of a model. The target encoding of zones is not a column of `features`, because it "
        "depends on the training months. toytip computes it in training ([evaluation](../explanation/evaluation.md#feature-sets)).",
        _sets(),
        "## Reject reasons",
        "A trip is rejected for the first reason that applies, in this order.",
        table(
            ("Reason", "Condition"),
            ([code(rule.__name__), inspect.getdoc(rule) or ""] for rule in clean.RULES),
        ),
        "## Source columns",
        "Column names are not case-sensitive.",
        _source(),
    )
