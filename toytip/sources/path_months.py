"""Find the month of a source file in its name, or in the names of its folders."""

from __future__ import annotations

import re
from typing import NamedTuple

from toytip.core.months import Month


class PathMonth(NamedTuple):
    """The month that the path of a file names."""

    month: Month
    is_certain: bool
    """Whether the path can only mean this month. A date or bare digits can have other meanings."""


DATA_SUFFIXES = (".parquet", ".parq", ".pq", ".csv", ".csv.gz", ".tsv", ".tsv.gz")

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_YEAR, _MONTH, _DAY = r"(20\d\d)", r"(0[1-9]|1[0-2]|[1-9])", r"(?:0[1-9]|[12]\d|3[01]|[1-9])"
_TWO_DIGIT_MONTH, _TWO_DIGIT_DAY = r"(0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
# A date with separators, a month with a separator, and digits without separators.
_MONTH_IN_NAME = re.compile(
    rf"(?<!\d){_YEAR}(?P<separator>[-_.]){_MONTH}(?P<day>(?P=separator){_DAY})?(?!\d)"
    rf"|(?<!\d){_YEAR}{_TWO_DIGIT_MONTH}(?:{_TWO_DIGIT_DAY})?(?!\d)"
)
_YEAR_KEY = re.compile(r"(?:.*(?:year|yr)|y|yyyy)", re.IGNORECASE)
_MONTH_KEY = re.compile(r"(?:.*month|.*mon|m|mm)", re.IGNORECASE)
_MONTH_SEGMENT = re.compile(rf"{_YEAR}[-_.]?{_TWO_DIGIT_MONTH}(?:[-_.]?{_TWO_DIGIT_DAY})?")


def month_of_path(path: str) -> PathMonth | None:
    """Return the month that a path names, or None if it names no month or several months.

    The name of the file counts before the names of its folders, and a near folder counts before a
    distant one. A month counts before a date.

    >>> month_of_path("data/2024-05-17_green_tripdata_2023-01.parquet")
    PathMonth(month=Month(year=2023, month=1), is_certain=True)
    >>> month_of_path("data/year=2023/month=1/part-00000.snappy.parquet")
    PathMonth(month=Month(year=2023, month=1), is_certain=True)
    >>> month_of_path("data/green_2023-01-15.parquet")
    PathMonth(month=Month(year=2023, month=1), is_certain=False)
    >>> month_of_path("data/green_tripdata_2023-01_to_2023-03.parquet") is None
    True
    """
    *folders, name = path.rstrip("/").split("/")
    if months := _months_in_name(name):
        return months[0] if len(months) == 1 else None
    for index in range(len(folders) - 1, -1, -1):
        if months := _months_of_folder(folders, index):
            return months[0] if len(months) == 1 else None
    return None


def _months_in_name(name: str) -> list[PathMonth]:
    """Return the distinct months in a name. Dates count only if the name has no other month.

    If a name has `tripdata` as the TLC's names do, only the text after it counts.
    """
    text = _UUID.sub(" ", name)
    published = re.split(r"tripdata", text, flags=re.IGNORECASE)
    months = (len(published) > 1 and _find_months(published[-1])) or _find_months(text)
    certain = [item for item in months if item.is_certain]
    return list(dict.fromkeys(certain or months))


def _find_months(text: str) -> list[PathMonth]:
    months = []
    for match in _MONTH_IN_NAME.finditer(text):
        year, month = (match[1], match[3]) if match[1] else (match[5], match[6])
        is_certain = match["separator"] is not None and match["day"] is None
        months.append(PathMonth(Month(int(year), int(month)), is_certain))
    return months


def _months_of_folder(folders: list[str], index: int) -> list[PathMonth]:
    """Return the months that a folder names, together with the folder above it."""
    folder = folders[index]
    above = folders[index - 1] if index else ""
    key, separator, value = folder.partition("=")
    if separator:
        return _month_of_hive_keys(key, value, folders[:index])
    if folder.lower().endswith(DATA_SUFFIXES) or "tripdata" in folder.lower():
        return _months_in_name(folder)
    if match := _MONTH_SEGMENT.fullmatch(folder):
        return [PathMonth(Month(int(match[1]), int(match[2])), is_certain=False)]
    if re.fullmatch(_YEAR, above) and re.fullmatch(_MONTH, folder):
        return [PathMonth(Month(int(above), int(folder)), is_certain=False)]
    return []


def _month_of_hive_keys(key: str, value: str, above: list[str]) -> list[PathMonth]:
    """Return the month of a folder such as `month=1`, below a folder such as `year=2023`."""
    if match := _MONTH_SEGMENT.fullmatch(value):
        return [
            PathMonth(Month(int(match[1]), int(match[2])), is_certain=_MONTH_KEY.fullmatch(key) is not None)
        ]
    if not (_MONTH_KEY.fullmatch(key) and re.fullmatch(rf"{_MONTH}(?:\.0)?", value)):
        return []
    for folder in reversed(above):
        name, separator, year = folder.partition("=")
        if separator and _YEAR_KEY.fullmatch(name) and (match := re.fullmatch(rf"{_YEAR}(?:\.0)?", year)):
            return [PathMonth(Month(int(match[1]), int(re.sub(r"\.0$", "", value))), is_certain=True)]
    return []
