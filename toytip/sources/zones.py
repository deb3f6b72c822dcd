"""The TLC's taxi zones: boroughs, names, and outlines for maps in the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from toytip.config import Settings
from toytip.datasets.tlc.zones import ZONE_ID_COUNT
from toytip.errors import SourceError

MAX_FOLDER_LEVELS = 4
# The second name is that of older copies.
ZONE_LOOKUP_NAMES = ("taxi_zone_lookup.csv", "taxi+_zone_lookup.csv")
# An outline of the TLC has thousands of points. Reports draw at most this many points per outline.
MAX_OUTLINE_POINTS = 80
Ring = list[tuple[float, float]]


def find_zone_lookup(settings: Settings, source: str | None) -> Path | None:
    """Return the zone lookup file of the settings, or else the file near a source or in `data_dir`.

    A source file can be several folders below the folder of the source. Returns None without a
    file.
    """
    if settings.zone_lookup_file:
        return Path(settings.zone_lookup_file)
    folder = settings.data_dir
    origin = Path(source.partition(",")[0]) if source and "://" not in source else Path(folder)
    near = [origin, *list(origin.parents)[:MAX_FOLDER_LEVELS]]
    folders = [*near, *(path / "zones" for path in near), Path(folder)]
    candidates = (path / name for path in folders for name in ZONE_LOOKUP_NAMES)
    return next((path for path in candidates if path.is_file()), None)


def read_boroughs_near(settings: Settings, source: str | None) -> tuple[str, ...]:
    """Return the borough of every zone, or an empty tuple without a zone lookup file.

    Raises SourceError if the file is not a zone lookup file.
    """
    path = find_zone_lookup(settings, source)
    return read_boroughs(path) if path else ()


def read_boroughs(path: Path) -> tuple[str, ...]:
    """Return the borough of every zone, by zone ID.

    Raises SourceError if the file is not a zone lookup file.
    """
    return _read_column(path, "Borough")


def read_zone_names(path: Path) -> tuple[str, ...]:
    """Return the name of every zone, by zone ID.

    Raises SourceError if the file is not a zone lookup file.
    """
    return _read_column(path, "Zone")


def _read_column(path: Path, column: str) -> tuple[str, ...]:
    values = ["unknown"] * ZONE_ID_COUNT
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            for row in csv.DictReader(stream):
                fields = {str(name).strip().lower(): value for name, value in row.items()}
                zone, value = int(fields["locationid"]), fields[column.lower()]
                if 0 < zone < ZONE_ID_COUNT:
                    values[zone] = value or "unknown"
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise SourceError(
            f"cannot read {path}: it is not the TLC's zone lookup file ({_error_reason(error)})",
            hint="Download the file again with `toytip source download`, or set TOYTIP_ZONE_LOOKUP_FILE to "
            "another file.",
        ) from None
    return tuple(values)


def read_outlines(path: Path) -> dict[int, list[Ring]]:
    """Return the outer rings of every zone in a GeoJSON file, with fewer points.

    Any coordinate system is valid. The property `LocationID` identifies a zone. Its case and
    underscores do not matter. Raises SourceError if the file is not a map of the TLC's zones.
    """
    outlines: dict[int, list[Ring]] = {}
    try:
        for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
            rings = [_downsample(polygon[0]) for polygon in _polygons(feature["geometry"])]
            outlines.setdefault(_zone_id(feature["properties"]), []).extend(rings)
    except (OSError, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        cause = f"expected GeoJSON polygons with a LocationID property ({_error_reason(error)})"
        raise SourceError(
            f"cannot read zone map {path}: {cause}", hint="Use the taxi zone map of the TLC."
        ) from None
    if not any(0 < zone < ZONE_ID_COUNT for zone in outlines):
        raise SourceError(
            f"cannot use zone map {path}: none of the {len(outlines)} zones has a TLC zone ID, "
            f"1 to {ZONE_ID_COUNT - 1}",
            hint="Use the taxi zone map of the TLC.",
        )
    return outlines


def _polygons(geometry: dict[str, Any]) -> list[Any]:
    coordinates = geometry["coordinates"]
    return list(coordinates) if geometry["type"] == "MultiPolygon" else [coordinates]


def _zone_id(properties: dict[str, Any]) -> int:
    return int({name.lower().replace("_", ""): value for name, value in properties.items()}["locationid"])


def _error_reason(error: Exception) -> str:
    """Return the problem in a few words. The message of the error can contain the whole file."""
    match error:
        case OSError():
            return (error.strerror or type(error).__name__).lower()
        case UnicodeDecodeError():
            return "it is not text"
        case json.JSONDecodeError():
            return "it is not JSON"
        case KeyError():
            return f"{error.args[0]} is missing"
        case _:
            return "it has a different structure"


def _downsample(ring: list[Any]) -> Ring:
    step = -(-len(ring) // MAX_OUTLINE_POINTS)
    return [(float(point[0]), float(point[1])) for point in ring[::step]]
