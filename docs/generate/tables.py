"""Generate the page of tables and columns from the schema, the features and the glossary."""

from __future__ import annotations

import inspect

from docs.generate.markdown import code, page, table
from toytip.core import glossary
from toytip.core.schema import Column, Table
from toytip.core.tables import TABLES
from toytip.datasets.tlc.fhvhv.dataset import FHVHV
from toytip.datasets.tlc.rides import AVAILABILITY_DESCRIPTIONS
from toytip.datasets.tlc.taxis.dataset import TLC

READABLE_TABLES = tuple(TLC.table(each) for each in TABLES if not each.is_artifact)
# Arrow uses other names for these two types.
ARROW = {"float": "float32", "double": "float64"}


def _availability(name: str) -> str:
    docs = {**glossary.COLUMN_DOCS, **TLC.column_docs}
    return TLC.feature_availability.get(name) or docs[name].available_at


def _kinds(column: Column) -> str:
    arrow_type = ARROW.get(str(column.arrow_type), str(column.arrow_type))
    return code(column.dtype) if arrow_type == column.dtype else f"{code(column.dtype)}, {code(arrow_type)}"


def of_table(found: Table) -> str:
    """Return the section of a table."""
    rows = []
    for column in found.columns:
        meaning = glossary.column_doc(found.name, column.name, TLC.column_docs)
        availability = (
            "" if (found.name, column.name) in glossary.TABLE_COLUMN_DOCS else _availability(column.name)
        )
        rows.append([code(column.name), _kinds(column), meaning.unit, availability, meaning.text])
    description = found.description
    head = ("Column", "Type in pandas, in Parquet", "Unit", "Availability", "Meaning")
    return f"## {found.name}\n\nEach row is {description[0].lower()}{description[1:]}\n\n" + table(head, rows)


def _sets() -> str:
    order = list(TLC.moment_names)
    rows = []
    for name, availability in TLC.feature_availability.items():
        inside = [
            name in TLC.feature_sets["seed"],
            *(order.index(availability) <= order.index(each) for each in order),
        ]
        rows.append([code(name), availability, *("yes" if is_in_set else "" for is_in_set in inside)])
    return table(("Feature", "Availability", "`seed`", *(code(each) for each in order)), rows)


def _source() -> str:
    rows = [
        [
            code(field.name),
            ", ".join(map(code, field.aliases)) or "same name",
            "yes" if field.required else "no (only in some years, or for one taxi type)",
        ]
        for field in TLC.fields
    ]
    return table(("Column of `trips`", "Other names in files", "Required"), rows)


def _fhvhv() -> str:
    docs, aliases = FHVHV.column_docs, {field.name: field.aliases for field in FHVHV.fields}
    rows = []
    for name in dict.fromkeys((*aliases, *FHVHV.feature_availability, FHVHV.label.name)):
        availability = FHVHV.feature_availability.get(name) or docs[name].available_at
        source = ", ".join(map(code, aliases[name])) or "same name" if name in aliases else "computed"
        rows.append([code(name), source, docs[name].unit, availability, docs[name].text])
    return table(("Column", "Column in files", "Unit", "Availability", "Meaning"), rows)


def tables_page() -> str:
    """Return the page of tables and columns."""
    availabilities = "\n".join(
        f"- `{name}`: {description}" for name, description in AVAILABILITY_DESCRIPTIONS.items()
    )
    return page(
        "Tables and columns",
        "An integer column that can have missing values is a float in pandas and an integer in Parquet. "
        "[Read outputs](../how-to/read-outputs.md) shows how to read a table. "
        "*Availability* is the earliest point in a trip at which the value is known:",
        availabilities,
        "A *kept trip* is a trip that no cleaning rule rejects. "
        "Tables are stored in folders with names of the form `column=value` (Hive partitioning). Readers add these folder "
        "columns to every table:",
        table(
            ("Column", "Meaning"),
            ([code(name), doc.text] for name, doc in glossary.PATH_COLUMN_DOCS.items()),
        ),
        *map(of_table, READABLE_TABLES),
        "## Feature sets",
        "`--feature-set` selects the features of a model. The target encoding of zones is not a column of `features`, because "
        "the encoding depends on the training months. toytip computes the encoding during training ([evaluation](../explanation/evaluation.md#feature-sets)).",
        _sets(),
        "## Reject reasons",
        "toytip checks the conditions in the order of this table. The first condition that a trip meets is the reason for its rejection.",
        table(
            ("Reason", "Condition"),
            ([code(rule.name), inspect.cleandoc(rule.text)] for rule in TLC.rules),
        ),
        "## Source columns",
        "toytip ignores upper case, spaces and underscores in the column names of files.",
        _source(),
        "## Columns of Uber and Lyft",
        "The tables above have the columns of yellow and green taxis. For the files of Uber and Lyft (`fhvhv`), the tables "
        "`trips`, `rejects` and `features` have these columns instead ([data](../explanation/data.md#trips-of-uber-and-lyft)):",
        _fhvhv(),
    )
