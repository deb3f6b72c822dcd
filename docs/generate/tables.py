"""The page of tables and columns: from the schema, the feature declarations and the glossary."""

from __future__ import annotations

import inspect

from docs.generate.markdown import code, page, table
from toytip.core import glossary
from toytip.core.schema import Column, Table
from toytip.core.tables import FEATURE_HISTOGRAMS, MONITORING, PREDICTIONS, REJECTS, SCORES, TRIPS
from toytip.core.tlc import FIELDS
from toytip.stages import clean, featurize, zone_rates

TABLES = (TRIPS, REJECTS, featurize.FEATURES_SCHEMA, FEATURE_HISTOGRAMS, SCORES, PREDICTIONS, MONITORING)
# Arrow has names of its own for these two.
ARROW = {"float": "float32", "double": "float64"}


def _moment(name: str) -> str:
    found = {item.name: item.available_at for item in featurize.FEATURES}
    return found.get(name) or glossary.COLUMN_DOCS[name].available_at


def _kinds(column: Column) -> str:
    there = ARROW.get(str(column.arrow_type), str(column.arrow_type))
    return code(column.dtype) if there == column.dtype else f"{code(column.dtype)}, {code(there)}"


def of_table(found: Table) -> str:
    """Return what is to be said of a table."""
    rows = []
    for column in found.columns:
        meaning = glossary.column_doc(found.name, column.name)
        moment = "" if (found.name, column.name) in glossary.TABLE_COLUMN_DOCS else _moment(column.name)
        rows.append([code(column.name), _kinds(column), meaning.unit, moment, meaning.text])
    said = glossary.TABLE_DESCRIPTIONS[found.name]
    head = ("column", "type in pandas, in parquet", "unit", "known at", "meaning")
    return f"## {found.name}\n\nA row is {said[0].lower()}{said[1:]}\n\n" + table(head, rows)


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
    return table(("feature", "known at", "`seed`", *(code(each) for each in order)), rows)


def _source() -> str:
    rows = [
        [
            code(field.name),
            ", ".join(map(code, field.aliases)) or "the same",
            "always" if field.required else "in some years, or of one taxi",
        ]
        for field in FIELDS
    ]
    return table(("column of `trips`", "in the TLC's files", "there"), rows)


def tables_page() -> str:
    """Return the page of all columns."""
    moments = "\n".join(f"- `{name}`: {said}" for name, said in glossary.AVAILABILITY_DESCRIPTIONS.items())
    return page(
        "Tables and columns",
        "Where a whole number may be missing it is a float in pandas and an integer in parquet. What a version is, and how to read "
        "one: [the store](../store.md). *Known at* is the moment of a trip from which on a column can be known:",
        moments,
        "Every table has the columns of its folders besides:",
        table(
            ("column", "meaning"),
            ([code(name), said.text] for name, said in glossary.PATH_COLUMN_DOCS.items()),
        ),
        *map(of_table, TABLES),
        "## The sets of features",
        "What a model learns from, by `--features`. Rates by zone are no columns of `features`: they depend on the training months, and are "
        "worked out when the model is trained ([why](../evaluation.md#features-worth-having)).",
        _sets(),
        "## The reasons of rejects",
        "The first that applies, in this order.",
        table(
            ("reason", "of the trip"),
            ([code(rule.__name__), inspect.getdoc(rule) or ""] for rule in clean.RULES),
        ),
        "## The columns of the source",
        "Upper and lower case do not matter.",
        _source(),
    )
