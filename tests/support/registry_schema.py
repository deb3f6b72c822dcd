"""Write the schema of a new registry, as the migrations of the installed MLflow create it.

usage: python -m tests.support.registry_schema
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from toytip.models.database import SCHEMA_FILE, open_client
from toytip.models.mlflow_env import silence_mlflow

# MLflow itself adds the default experiment, with the current time, when it opens a database.
NOT_IN_SCHEMA = 'INSERT INTO "experiments"'


def migrated_schema() -> str:
    """Return the SQL statements that create the tables and rows of a new database."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "registry.db")
        create_with_migrations(file)
        return "\n".join(_statements(file)) + "\n"


def create_with_migrations(file: Path) -> None:
    """Create a database as MLflow does."""
    with silence_mlflow():
        client = open_client(f"sqlite:///{file}")
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)


def _statements(file: Path) -> list[str]:
    """Return the statements, with sorted indexes: the order of their creation is random."""
    database = sqlite3.connect(file)
    dump = [item for item in database.iterdump() if not item.startswith(NOT_IN_SCHEMA)]
    database.close()
    statements = [
        "\n".join(line.rstrip().expandtabs() for line in item.splitlines() if line.strip()) for item in dump
    ]
    indexes = [item for item in statements if item.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX"))]
    first = statements.index(indexes[0])
    others = [item for item in statements if item not in indexes]
    return [*others[:first], *sorted(indexes), *others[first:]]


if __name__ == "__main__":
    SCHEMA_FILE.write_text(migrated_schema())
