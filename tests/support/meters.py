"""The example project `examples/meters` for tests."""

from __future__ import annotations

import shutil
from pathlib import Path

from examples.meters.generate import generate_month

FOLDER = Path(__file__).parents[2] / "examples" / "meters"
MODULE = (FOLDER / "meters.py").read_text(encoding="utf-8")
MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04")


def copy_project(folder: Path) -> Path:
    """Copy the project to a folder, with readings of a few months and meters."""
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("data", "__pycache__", "toytip-store"))
    (folder / "data").mkdir()
    for month in MONTHS:
        readings = generate_month(month)
        readings[readings["meter_id"] < 12].to_parquet(
            folder / "data" / f"meters_{month}.parquet", index=False
        )
    return folder
