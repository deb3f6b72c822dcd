"""The TLC's zones: which borough each is in, its name, and where a file tells, its outline."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from toytip.errors import SourceError
from toytip.values import ZONES

NAME = "taxi_zone_lookup.csv"
# The TLC's shapes have thousands of points each; of so many an outline on a page is made.
RING = 80
Ring = list[tuple[float, float]]


def find(source: str | None, folder: str) -> Path | None:
    """Look for the zone table in the folder of fetched files, beside a source on disk, or near it; None without."""
    near = Path(source.partition(",")[0]) if source and "://" not in source else Path(folder)
    around = [near, near.parent, near.parent / "zones", near.parent.parent / "zones", Path(folder)]
    return next((path / NAME for path in around if (path / NAME).is_file()), None)


def boroughs(path: Path) -> tuple[str, ...]:
    """Return the borough of every zone, by its number. Raises SourceError for what is no zone table."""
    return _column(path, "Borough")


def names(path: Path) -> tuple[str, ...]:
    """Return the name of every zone, by its number. Raises SourceError for what is no zone table."""
    return _column(path, "Zone")


def _column(path: Path, column: str) -> tuple[str, ...]:
    found = ["unknown"] * ZONES
    try:
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                if 0 < int(row["LocationID"]) < ZONES:
                    found[int(row["LocationID"])] = row[column]
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(f"{path}: not the TLC's zone table ({_why(error)}); fetch it again") from None
    return tuple(found)


def outlines(path: Path) -> dict[int, list[Ring]]:
    """Return the outer rings of every zone in a GeoJSON file, thinned, whatever their coordinates.

    Zones are known by a property `LocationID`, in any spelling of it. Raises SourceError for what is no such file.
    """
    found: dict[int, list[Ring]] = {}
    try:
        for item in json.loads(path.read_text(encoding="utf-8"))["features"]:
            told = {name.lower().replace("_", ""): value for name, value in item["properties"].items()}
            shape = item["geometry"]
            polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
            found.setdefault(int(told["locationid"]), []).extend(_thinned(polygon[0]) for polygon in polygons)
    except (OSError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(
            f"{path}: no GeoJSON of polygons with a LocationID each ({_why(error)}); the TLC publishes one of its zones"
        ) from None
    if not any(0 < number < ZONES for number in found):
        raise SourceError(f"{path}: none of its {len(found)} zones is one of the TLC's, 1 to {ZONES - 1}")
    return found


def _why(error: Exception) -> str:
    """Return what is wrong with a file in a few words: an error's own may hold all of the file."""
    match error:
        case OSError():
            return (error.strerror or type(error).__name__).lower()
        case UnicodeDecodeError():
            return "it is not text"
        case json.JSONDecodeError():
            return "it is not JSON"
        case KeyError():
            return f"there is no {error.args[0]}"
        case _:
            return "it is built otherwise"


def _thinned(ring: list[Any]) -> Ring:
    step = -(-len(ring) // RING)
    return [(float(point[0]), float(point[1])) for point in ring[::step]]
