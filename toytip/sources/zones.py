"""The TLC's zones: which borough each is in, its name, and where a file tells, its outline."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from toytip.core.tlc import ZONE_ID_COUNT
from toytip.errors import SourceError

ZONE_LOOKUP_NAME = "taxi_zone_lookup.csv"
# The TLC's shapes have thousands of points each; of so many an outline on a page is made.
MAX_OUTLINE_POINTS = 80
Ring = list[tuple[float, float]]


def find_zone_lookup(source: str | None, folder: str) -> Path | None:
    """Look for the zone table in the folder of fetched files, beside a source on disk, or near it; None without."""
    near = Path(source.partition(",")[0]) if source and "://" not in source else Path(folder)
    around = [near, near.parent, near.parent / "zones", near.parent.parent / "zones", Path(folder)]
    return next((path / ZONE_LOOKUP_NAME for path in around if (path / ZONE_LOOKUP_NAME).is_file()), None)


def read_boroughs(path: Path) -> tuple[str, ...]:
    """Return the borough of every zone, by its number. Raises SourceError for what is no zone table."""
    return _read_column(path, "Borough")


def read_zone_names(path: Path) -> tuple[str, ...]:
    """Return the name of every zone, by its number. Raises SourceError for what is no zone table."""
    return _read_column(path, "Zone")


def _read_column(path: Path, column: str) -> tuple[str, ...]:
    found = ["unknown"] * ZONE_ID_COUNT
    try:
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                if 0 < int(row["LocationID"]) < ZONE_ID_COUNT:
                    found[int(row["LocationID"])] = row[column]
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(
            f"{path}: not the TLC's zone table ({_error_reason(error)}); fetch it again"
        ) from None
    return tuple(found)


def read_outlines(path: Path) -> dict[int, list[Ring]]:
    """Return the outer rings of every zone in a GeoJSON file, thinned, whatever their coordinates.

    Zones are known by a property `LocationID`, in any spelling of it. Raises SourceError for what is no such file.
    """
    found: dict[int, list[Ring]] = {}
    try:
        for item in json.loads(path.read_text(encoding="utf-8"))["features"]:
            told = {name.lower().replace("_", ""): value for name, value in item["properties"].items()}
            shape = item["geometry"]
            polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
            found.setdefault(int(told["locationid"]), []).extend(
                _downsample(polygon[0]) for polygon in polygons
            )
    except (OSError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(
            f"{path}: no GeoJSON of polygons with a LocationID each ({_error_reason(error)}); the TLC publishes one of its zones"
        ) from None
    if not any(0 < number < ZONE_ID_COUNT for number in found):
        raise SourceError(
            f"{path}: none of its {len(found)} zones is one of the TLC's, 1 to {ZONE_ID_COUNT - 1}"
        )
    return found


def _error_reason(error: Exception) -> str:
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


def _downsample(ring: list[Any]) -> Ring:
    step = -(-len(ring) // MAX_OUTLINE_POINTS)
    return [(float(point[0]), float(point[1])) for point in ring[::step]]
