"""Facts about the features of a data set that monitoring and the data check need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MonitoringFacts:
    """Groups of features that monitoring and the data check treat differently."""

    hour: str | None
    """Feature with the hour of the day, if any."""
    weekday: str | None
    """Feature with the day of the week, 0 for Monday, if any."""
    unordered: tuple[str, ...]
    """Features with unordered values, which have no distances. All other features are numeric."""
    categories: tuple[str, ...]
    """Features whose single values the data check compares."""
    unreliable_categories: tuple[str, ...]
    """Categories whose values can vanish in a normal month."""
    fees: tuple[str, ...]
    """Amounts that laws set. A new amount is normal, so that it causes a warning at most."""
    tariffs: tuple[str, ...]
    """Amounts that a tariff sets. A new tariff changes the single amounts that are frequent."""
    new_values: tuple[str, ...]
    """Amounts for which a new frequent value is a normal event."""
    measurements: tuple[str, ...]
    """Measured values, almost all of which differ."""
    lengths: tuple[str, ...]
    """Features that describe the length of a trip, which move together."""
    limit_factors: Mapping[str, float]
    """Factors of the limits of features whose true changes are frequent and large."""
    compared_elsewhere: tuple[str, ...]
    """Features that other measures of the data check compare, or that others determine."""
    other_inputs: Mapping[str, tuple[str, ...]]
    """Columns that determine the label, and whether a rule rejects a trip."""
