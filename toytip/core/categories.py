"""Words for the codes in the TLC's files, and for the values of evaluation slices."""

from __future__ import annotations

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Source: the TLC's data dictionaries. Weekday 0 is Monday.
VALUE_WORDS: dict[str, dict[str, str]] = {
    "payment_type": {
        "0": "flex fare",
        "1": "card",
        "2": "cash",
        "3": "no charge",
        "4": "dispute",
        "5": "unknown",
        "6": "voided",
    },
    "RatecodeID": {
        "1": "standard rate",
        "2": "JFK rate",
        "3": "Newark rate",
        "4": "Nassau or Westchester rate",
        "5": "negotiated fare",
        "6": "group ride",
        "99": "unknown rate",
    },
    "VendorID": {"1": "Creative Mobile", "2": "Curb", "6": "Myle", "7": "Helix"},
    "trip_type": {"1": "hailed in the street", "2": "dispatched"},
    "work_hours": {"0": "outside work hours", "1": "work hours"},
    "pickup_weekday": dict(zip(map(str, range(7)), _WEEKDAYS, strict=True)),
}
# The columns of slice attributes with a name of their own.
_SLICE_COLUMNS = {"weekday": "pickup_weekday", "rate_code": "RatecodeID", "vendor": "VendorID"}


def value_label(name: str, value: str) -> str:
    """Return the word for a code in a column, or the value itself if it has no word.

    >>> value_label("payment_type", "2"), value_label("pickup_weekday", "0")
    ('cash', 'Monday')
    >>> value_label("PULocationID", "74")
    '74'
    """
    return VALUE_WORDS.get(name, {}).get(value, value)


def slice_label(name: str, value: str) -> str:
    """Return words that identify an evaluation slice without the name of its attribute.

    >>> slice_label("payment_type", "1"), slice_label("rate_code", "2")
    ('card', 'JFK rate')
    >>> slice_label("borough", "Queens"), slice_label("airport", "yes")
    ('Queens', 'airport trips')
    >>> slice_label("hour", "7"), slice_label("vendor", "3"), slice_label("rate_code", "missing")
    ('7:00 to 7:59', 'vendor 3', 'rate code missing')
    """
    if word := VALUE_WORDS.get(_SLICE_COLUMNS.get(name, name), {}).get(value):
        return f"vendor {word}" if name == "vendor" else word
    if name == "hour" and value.isdecimal():
        return f"{value}:00 to {value}:59"
    if name == "airport":
        return {"yes": "airport trips", "no": "trips without an airport"}.get(value, value)
    if name in ("borough", "distance") and value not in ("missing", "unknown"):
        return value
    return f"{name.replace('_', ' ')} {value}"
