"""Convert typed results to plain JSON values, and to text that is valid JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from toytip.core.months import Month

# Metadata of a dataclass field. The fields of its value become keys of the outer object.
FLATTEN = {"flatten": True}


def to_json(value: Any) -> Any:
    """Return a value as JSON types. The fields of a dataclass or named tuple become keys.

    If a field has the metadata `FLATTEN`, the fields of its value become keys of the outer object.
    Months and the keys of mappings become text, and NumPy scalars become numbers. NaN and infinite
    numbers become null, because JSON does not have them.

    >>> to_json({"months": (Month(2023, 1), Month(2023, 2))})
    {'months': ['2023-01', '2023-02']}
    """
    if isinstance(value, Month):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _fields_to_json(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: to_json(item) for name, item in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def dump_json(value: Any, **options: Any) -> str:
    """Return JSON values as text that any JSON parser can read.

    The options are those of `json.dumps`. Raises ValueError for NaN and infinite numbers, which
    Python would write as text that is not JSON. `to_json` makes them null.
    """
    return json.dumps(value, allow_nan=False, **options)


def _fields_to_json(value: Any) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for field in fields(value):
        item = to_json(getattr(value, field.name))
        record |= item if field.metadata == FLATTEN else {field.name: item}
    return record
