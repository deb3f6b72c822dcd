"""Read predictions by SQL: `python examples/read_with_duckdb.py STORE [VERSION]`.

The manifest says which files a version has; DuckDB does the rest.
"""

from __future__ import annotations

import sys

import duckdb

import toytip

QUERY = """
select month, count(*) as trips, avg(probability) as expected, avg(high_tip::int) as happened
from read_parquet($files, hive_partitioning = true)
group by month order by month
"""


def main() -> None:
    """Print, month by month, how many high tips were expected, and how many there were."""
    where, version = [*sys.argv[1:], None, None][:2]
    files = toytip.open_store(where).files("predictions", version)
    print(duckdb.execute(QUERY, {"files": files}).df().to_string(index=False))


if __name__ == "__main__":
    main()
