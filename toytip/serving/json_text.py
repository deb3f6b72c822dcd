"""Parse JSON strictly, with one value per key, and find the trips in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from toytip.core.dataset.dataset import Dataset
from toytip.datasets.registry import match_dataset

TRIPS_KEY = "trips"
VALUES_PER_COLUMN = "an object or a list per column"
WRITE_TRIPS = "pandas writes such a list with to_json(orient='records', date_format='iso')"


def parse_json(content: str | bytes, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Return the value of a JSON text.

    `parse_constant` returns the value of `NaN`, `Infinity` and `-Infinity`, which are not JSON.
    Raises ValueError if the text is not JSON, or if an object has a key twice.

    >>> parse_json(b"[" * 100_000)
    Traceback (most recent call last):
    ValueError: the values are nested too deeply
    """
    try:
        return json.loads(content, parse_constant=parse_constant, object_pairs_hook=_object_of)
    except RecursionError:
        raise ValueError("the values are nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not text in {error.encoding.upper()}") from None
    except ValueError as error:
        if str(error).startswith("Exceeds the limit"):  # of Python, for the conversion of whole numbers
            raise ValueError("a number has too many digits") from None
        raise


def unwrap_trips(value: Any) -> Any:
    """Return the value of the key `trips` of an object without other keys, or else the value.

    >>> unwrap_trips({"trips": [{"VendorID": 2}]})
    [{'VendorID': 2}]
    """
    return value[TRIPS_KEY] if isinstance(value, dict) and set(value) == {TRIPS_KEY} else value


def has_columns(value: dict[str, Any], dataset: Dataset | None = None) -> bool:
    """Return whether an object has the values of each column in an object or a list, as in pandas.

    >>> has_columns({"VendorID": {"0": 2, "1": 1}}), has_columns({"VendorID": 2})
    (True, False)
    """
    names = match_dataset(value, dataset).field_names.match(value).values()
    return bool(names) and all(isinstance(value[name], dict | list) for name in names)


def describe_keys(keys: Sequence[str]) -> str:
    """Return the message for an object whose keys are not columns of trips.

    >>> describe_keys(("columns", "index", "data"))
    "no key of the object is a column of trips (it has 'columns', 'index', 'data')"
    """
    names = ", ".join(f"{key!r:.60}" for key in keys[:3])
    return f"no key of the object is a column of trips (it has {names})"


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        doubled, count = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {doubled!r:.60} occurs {count} times in an object")
    return values
