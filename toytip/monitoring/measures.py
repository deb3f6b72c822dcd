"""The measures of the data check with their limits, and the sentences that describe them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Unit = Literal["share", "standard deviations", "factor", "rows"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure with its smallest limits.

    The limits of a month are larger than these if the reference months differ much.
    """

    name: str
    """Name of the measure."""
    meaning: str
    """Distance of a month from another month, as a noun phrase."""
    warn: float
    """Smallest limit of a warning."""
    hold: float
    """Smallest limit above which a month is held. Infinite if the measure only warns."""
    gross: float
    """Limit above which a month is held if there are only one or two months to compare with."""
    sentence: str
    """Text of a finding, with placeholders for the value and the reference."""
    unit: Unit = "share"
    """Unit of the distance between two months. `factor` and `rows` are logarithms of ratios."""
    any_month: bool = False
    """Whether a single similar month is enough for an effect."""

    @property
    def is_ratio(self) -> bool:
        """Whether the distance is the logarithm of a ratio."""
        return self.unit in ("factor", "rows")

    def scaled(self, factor: float) -> Measure:
        """Return the measure with limits that are larger by a factor."""
        return replace(self, warn=factor * self.warn, hold=factor * self.hold)

    def about(self, segment: str) -> Measure:
        """Return the measure with a sentence about a segment, given in words."""
        other = "other trips" if segment else "trips"
        sentence = self.sentence.replace("{segment}", segment).replace("{other_trips}", other)
        return replace(self, sentence=sentence)

    def affected_share(self, distance: float, moved_share: float) -> float:
        """Return the share of the rows that an effect of this size affects.

        `moved_share` is the effect of the measure `moved share` on the same feature.
        """
        if self.unit == "rows":
            return float(1 - np.exp(-distance))
        return min(float(distance if self.unit == "share" else moved_share), 1.0)

    def describe(self, feature: str, value: float, reference: float, share: float) -> str:
        """Return a sentence about a finding."""
        numbers = {"value": self._number(value), "reference": self._number(reference)}
        return self.sentence.format(feature=feature, share=f"{share * 100:.1f} %", **numbers)

    def _number(self, value: float) -> str:
        if self.unit == "share":
            return f"{value * 100:.1f} %"
        if self.unit == "factor":
            return f"{np.exp(value):.3g}"
        return f"{value:,.0f}" if self.unit == "rows" else f"{value:.2g}"


MISSING = Measure(
    name="missing share",
    meaning="share of trips without a value of a feature",
    warn=0.015,
    hold=0.04,
    gross=0.5,
    sentence="{feature} has no value in {value} of the trips, usually in {reference}.",
)
MOVED = Measure(
    name="moved share",
    meaning="share of trips that would have to change their category or their tenth of the values (total variation distance)",
    warn=0.06,
    hold=0.12,
    gross=0.6,
    sentence="{feature} has an unusual distribution: {value} of the trips moved, usually {reference}.",
)
HOURS = Measure(
    name="moved hours",
    meaning="the same share for the hours of the day",
    warn=0.02,
    hold=0.03,
    gross=0.6,
    sentence="{feature} has an unusual distribution: {value} of the trips moved, usually {reference}.",
)
GRAIN = Measure(
    name="single values",
    meaning="the same share for the single values of distance, time and speed, for example after rounding",
    warn=0.04,
    hold=0.08,
    gross=0.8,
    sentence="{feature} has unusual single values in {value} of the trips, usually in {reference}.",
)
WASSERSTEIN = Measure(
    name="wasserstein",
    meaning="distance between the two distributions in robust standard deviations, for numbers",
    warn=0.4,
    hold=0.7,
    gross=3.0,
    sentence="{feature} is shifted by {value} standard deviations, usually by {reference}, "
    "and {share} of the trips moved.",
    unit="standard deviations",
)
NEW = Measure(
    name="new values",
    meaning="share of trips with values that the other month does not have",
    warn=0.002,
    hold=0.02,
    gross=0.5,
    sentence="{feature} has values that other months do not have, in {value} of the trips.",
)
# Codes come into use and go out of use, and are rare at that time.
VANISHED = Measure(
    name="vanished values",
    meaning="share of trips of the other month with codes that the month lost",
    warn=0.002,
    hold=0.012,
    gross=0.3,
    sentence="{feature} lacks values that {value} of the trips of other months have.",
)
CONSTANT = Measure(
    name="constant value",
    meaning="share of trips of the other month that differ from its most frequent value, if the month has hardly any such trips",
    warn=0.003,
    hold=0.006,
    gross=0.3,
    sentence="{feature} is nearly constant, but {value} of the trips of other months have a different value.",
)
# The last trips with an old amount can take months to disappear after a fee has changed.
CONSTANT_FEE = replace(
    CONSTANT,
    name="constant fee",
    meaning="the same share for fees, because the old amount of a fee can fade out",
    hold=0.1,
)
SPIKE = Measure(
    name="frequent value",
    meaning="increase of the share of a single value of an amount or a measured value",
    warn=0.02,
    hold=0.04,
    gross=0.8,
    sentence="{feature} has one value in an additional {value} of the trips, usually in {reference}.",
)
WHOLE = Measure(
    name="whole numbers",
    meaning="increase of the share of whole numbers, for amounts of a tariff",
    warn=0.08,
    hold=0.15,
    gross=0.8,
    sentence="{feature} is a whole number in {value} of the trips, usually in {reference}.",
)
ZEROS = Measure(
    name="zeros",
    meaning="increase of the share of zeros, for fees",
    warn=0.2,
    hold=0.4,
    gross=0.9,
    sentence="{feature} is 0 in {value} of the trips, usually in {reference}.",
)
NEGATIVE = Measure(
    name="negative values",
    meaning="increase of the share of negative values, for amounts",
    warn=0.005,
    hold=0.01,
    gross=0.5,
    sentence="{feature} is negative in {value} of the trips, usually in {reference}.",
)
SCALE = Measure(
    name="scale",
    meaning="factor between the mean sizes of a fee",
    warn=float(np.log(4)),
    hold=float(np.log(6)),
    gross=float(np.log(20)),
    sentence="{feature} has a mean that differs by the factor {value}, usually by {reference}.",
    unit="factor",
)
FEE = Measure(
    name="amounts of a fee",
    meaning="share of trips with other amounts of a fee",
    warn=0.15,
    hold=np.inf,
    gross=np.inf,
    sentence="{feature} has unusual amounts in {value} of the trips, usually in {reference}.",
)
SEGMENT_LABELS = Measure(
    name="labels in segment",
    meaning="change of the share of positive labels in the segment",
    warn=0.02,
    hold=0.04,
    gross=0.4,
    sentence="{feature} is true for {value} of the {segment}, usually for {reference}.",
)
OTHER_LABELS = Measure(
    name="labels outside segment",
    meaning="change of the share of positive labels among the trips outside of the segment",
    warn=0.01,
    hold=0.03,
    gross=0.4,
    sentence="{feature} is true for {value} of the {other_trips}, usually for {reference}.",
)
# For data sets without a segment, such as the trips of Uber and Lyft, whose payment is unknown.
LABELS = replace(
    OTHER_LABELS,
    name="labels",
    meaning="change of the share of positive labels, for data sets without a segment",
)
ROWS = Measure(
    name="rows per day",
    meaning="factor between the numbers of rows per day",
    warn=float(np.log(1.4)),
    hold=float(np.log(1.7)),
    gross=float(np.log(10)),
    sentence="The month has {value} rows per day, usually {reference}.",
    unit="rows",
)
EMPTY_DAYS = Measure(
    name="empty days",
    meaning="increase of the share of days that have less than 10 % of the trips of a busy day",
    warn=0.03,
    hold=0.06,
    gross=0.25,
    sentence="{value} of the days have hardly any trips, usually {reference}.",
)
WEEKDAYS = Measure(
    name="weekdays",
    meaning="share of trips on other days of the week, if each month had each weekday equally often, for months with trips on at least 14 days",
    warn=0.03,
    hold=0.05,
    gross=0.5,
    sentence="{value} of the trips are on unusual days of the week, usually {reference}.",
)
REJECTS = Measure(
    name="reject rate",
    meaning="increase of the share of rows that a cleaning rule rejects",
    warn=0.01,
    hold=0.02,
    gross=0.5,
    sentence="The cleaning rule {feature} rejects {value} of the rows, usually {reference}.",
)
REPEATED = Measure(
    name="repeated trips",
    meaning="increase of the share of trips that repeat another trip",
    warn=0.01,
    hold=0.03,
    gross=0.2,
    sentence="About {value} of the trips are repeated, usually {reference}.",
)
COPY = Measure(
    name="copy",
    meaning="whether the trips are too similar to those of an earlier month",
    warn=0.5,
    hold=0.5,
    gross=0.5,
    sentence="The trips are a copy of the trips of another month.",
    any_month=True,
)

MEASURES = (
    MISSING,
    MOVED,
    HOURS,
    GRAIN,
    WASSERSTEIN,
    NEW,
    VANISHED,
    CONSTANT,
    CONSTANT_FEE,
    SPIKE,
    WHOLE,
    ZEROS,
    NEGATIVE,
    SCALE,
    FEE,
    SEGMENT_LABELS,
    OTHER_LABELS,
    LABELS,
    ROWS,
    EMPTY_DAYS,
    WEEKDAYS,
    REJECTS,
    REPEATED,
    COPY,
)
