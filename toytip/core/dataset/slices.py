"""Evaluation slices: groups of rows with metrics of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from toytip.core.arrays import Int64Array

# The code of each row, and the value of each code.
SliceCodes = tuple[Int64Array, list[str]]
MISSING = "missing"


@dataclass(frozen=True)
class Slice:
    """An attribute of rows. The rows with the same value are an evaluation slice."""

    name: str
    """Name of the attribute."""
    needs: tuple[str, ...]
    """Features from which the value is computed."""
    group: Callable[[pd.DataFrame, tuple[str, ...]], SliceCodes | None]
    """Returns the code of each row, given features and the borough of each zone. None if the
    attribute is unknown."""
    label: Callable[[str], str]
    """Returns words that identify the slice with a value, without the name of the attribute."""


def column_slice(name: str, column: str, words: Mapping[str, str], template: str = "{}") -> Slice:
    """Return the slices by the values of a feature.

    `words` has the words for values, to be used in `template`.
    """
    return Slice(
        name,
        (column,),
        lambda features, _: factorize(features[column]),
        lambda value: template.format(words[value]) if value in words else default_label(name, value),
    )


def default_label(name: str, value: str) -> str:
    """Return words for a slice whose value has none.

    >>> default_label("rate_code", "missing")
    'rate code missing'
    """
    return f"{name.replace('_', ' ')} {value}"


def factorize(column: pd.Series | Sequence[str]) -> SliceCodes:
    """Return codes for the values of a column, in the order of the values."""
    codes, values = pd.factorize(column, sort=True, use_na_sentinel=False)
    names = [MISSING if pd.isna(value) else _value_text(value) for value in values]
    return codes.astype(np.int64), names


def _value_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)
