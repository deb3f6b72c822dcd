"""Query predictions with SQL: `python examples/read_with_duckdb.py STORE [VERSION]`.

toytip lists the files of the version, and DuckDB reads them.
"""

from __future__ import annotations

import sys

import duckdb

import toytip

QUERY = """
select month, count(*) as trips, avg(probability) as predicted, avg(high_tip::int) as observed
from read_parquet($files, hive_partitioning = true)
group by month order by month
"""


def main() -> None:
    """Print the predicted and the observed share of high tips by month."""
    store, version = [*sys.argv[1:], None, None][:2]
    files = toytip.open_store(store).files("predictions", version)
    print(duckdb.execute(QUERY, {"files": files}).df().to_string(index=False))


if __name__ == "__main__":
    main()
