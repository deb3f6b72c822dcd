"""The TLC's zone table: which borough a zone is in."""

from __future__ import annotations

import csv
from pathlib import Path

from toytip.errors import SourceError
from toytip.values import ZONES

NAME = "taxi_zone_lookup.csv"


def find(source: str | None, folder: str) -> Path | None:
    """Look for the zone table in the folder of fetched files, beside a source on disk, or near it; None without."""
    near = Path(source.partition(",")[0]) if source and "://" not in source else Path(folder)
    around = [near, near.parent, near.parent / "zones", near.parent.parent / "zones", Path(folder)]
    return next((path / NAME for path in around if (path / NAME).is_file()), None)


def boroughs(path: Path) -> tuple[str, ...]:
    """Return the borough of every zone, by its number. Raises SourceError for what is no zone table."""
    names = ["unknown"] * ZONES
    try:
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                if 0 < int(row["LocationID"]) < ZONES:
                    names[int(row["LocationID"])] = row["Borough"]
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(f"{path}: not the TLC's zone table ({error!r}); fetch it again") from None
    return tuple(names)
