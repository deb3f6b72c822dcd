"""Parse JSON strictly: each key of an object occurs once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def parse_json(content: str | bytes, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """Return the value of a JSON text.

    `parse_constant` returns the value of `NaN`, `Infinity` and `-Infinity`, which are not JSON.
    Raises ValueError or RecursionError if the text is not JSON, or if an object has a key twice.
    """
    return json.loads(content, parse_constant=parse_constant, object_pairs_hook=_object_of)


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in values if names.count(name) > 1)
        raise ValueError(f"the key {doubled!r:.60} occurs {names.count(doubled)} times in an object")
    return values
