"""A synthetic city, and rides in the city: zones, times, distances and durations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toytip.core.arrays import BoolArray, Float64Array, Int64Array
from toytip.core.months import Month, parse_months

SYNTHETIC_MONTHS = parse_months("2020-01:2020-12")
# For each calendar month from January: trips relative to the yearly mean, and the drift (0 to 1).
MONTHLY_VOLUME = np.array([1.42, 1.40, 1.00, 0.55, 0.60, 0.75, 0.85, 0.95, 1.05, 1.15, 1.13, 1.15])
MONTHLY_DRIFT = np.array([0.0, 0.0, 0.35, 1.0, 0.95, 0.75, 0.6, 0.5, 0.4, 0.35, 0.35, 0.3])
CITY_ZONES = 263
JFK, LAGUARDIA = AIRPORTS = (132, 138)
CENTER_RADIUS = 4  # miles
KILOMETERS_PER_MILE = 1.609344
# Relative number of pickups by hour of the day, as in a city of commuters.
HOURLY_PICKUPS = np.array(
    [27, 19, 13, 9, 8, 10, 22, 38, 47, 46, 45, 48, 51, 52, 54, 53, 49, 56, 64, 63, 56, 55, 51, 41.0]
)


def month_rows(month: Month, rows_per_month: int) -> int:
    """Return the number of rows of a month's file, for a yearly mean of `rows_per_month`."""
    return max(1, round(rows_per_month * float(MONTHLY_VOLUME[month.month - 1] / MONTHLY_VOLUME.mean())))


def count_invalid_rows(rows: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return the number of rows per reason. From 1,000 rows on, each reason has at least one."""
    return {reason: round(rows * share) or int(rows >= 1_000) for reason, share in shares.items()}


def choose_rows(rng: np.random.Generator, rows: int, counts: dict[str, int]) -> dict[str, Int64Array]:
    """Choose as many rows per reason as `counts` says. Each row has at most one reason."""
    shuffled = rng.permutation(rows)[: sum(counts.values())]
    return dict(zip(counts, np.split(shuffled, np.cumsum(list(counts.values()))[:-1]), strict=True))


@dataclass(frozen=True, kw_only=True)
class City:
    """The zones of the city: miles east and north of the center, and relative pickup counts."""

    east: Float64Array
    north: Float64Array
    weight: Float64Array

    @property
    def radius(self) -> Float64Array:
        """Distance of each zone from the center in miles."""
        return np.hypot(self.east, self.north)

    @property
    def card_preference(self) -> Float64Array:
        """Preference of passengers in each zone for card payments and high tips, in log-odds."""
        return np.asarray(np.cos(np.arange(CITY_ZONES) * 1.7) * 0.5 - 0.12 * self.radius)


def city_map() -> City:
    """Return the zones, which are the same for every seed.

    The zones form a spiral that is dense in the center. The airports are far from the center.
    """
    index = np.arange(CITY_ZONES)
    radius = 10 * (index * 101 % CITY_ZONES / CITY_ZONES) ** 1.3
    angle = index * 2.399963  # the golden angle distributes the zones evenly over all directions
    east, north = radius * np.cos(angle), radius * np.sin(angle)
    weight = np.exp(-radius / 2.2) + 0.004
    for zone, (x, y, share) in {JFK: (11.0, -7.0, 0.25), LAGUARDIA: (7.0, 3.0, 0.3)}.items():
        east[zone - 1], north[zone - 1], weight[zone - 1] = x, y, share * weight.max()
    return City(east=east, north=north, weight=weight)


@dataclass(frozen=True, kw_only=True)
class Rides:
    """Where and when the trips begin and end. Zones are indexes into the city map."""

    start: Int64Array
    end: Int64Array
    pickup: Any
    hour: Int64Array
    is_weekend: BoolArray
    rush: Float64Array
    distance: Float64Array
    seconds: Int64Array


def draw_rides(rng: np.random.Generator, city: City, month: Month, rows: int, drift: float) -> Rides:
    """Return valid rides of a month. `drift` is the strength of the drift, 0 to 1."""
    weight = city.weight * (1 + drift * 0.25 * city.radius)
    in_zone = rng.random(rows) < 0.15
    start = rng.choice(CITY_ZONES, rows, p=weight / weight.sum())
    end = np.where(in_zone, start, rng.choice(CITY_ZONES, rows, p=weight / weight.sum()))
    pickup, hour, is_weekend = _draw_pickups(rng, month, rows)
    blocks = np.abs(city.east[start] - city.east[end]) + np.abs(city.north[start] - city.north[end])
    distance = np.round((blocks + rng.gamma(2, 0.35, rows)) * rng.lognormal(0, 0.12, rows) + 0.01, 2)
    rush = np.exp(-(((hour - 17) / 4.0) ** 2)) * ~is_weekend
    speed = (
        (9 + 0.9 * np.minimum(distance, 15))
        * (1 - 0.35 * rush)
        * (1 + 0.2 * drift)
        * rng.lognormal(0, 0.18, rows)
    )
    return Rides(
        start=start,
        end=end,
        pickup=pickup,
        hour=hour,
        is_weekend=is_weekend,
        rush=rush,
        distance=distance,
        seconds=np.clip(distance / speed * 3600, 20, 6 * 3600).astype(np.int64),
    )


def _draw_pickups(rng: np.random.Generator, month: Month, rows: int) -> tuple[Any, Int64Array, BoolArray]:
    """Return pickup times in a month, the hour of each, and whether the day is on a weekend."""
    first = np.datetime64(month.start, "D")
    days = int((np.datetime64(month.next.start, "D") - first).astype(int))
    day = rng.integers(0, days, rows)
    is_weekend = (first + day).astype(np.int64) % 7 >= 2  # 1970-01-01 was a Thursday
    is_weekend &= (first + day).astype(np.int64) % 7 <= 3
    hour = rng.choice(24, rows, p=HOURLY_PICKUPS / HOURLY_PICKUPS.sum())
    hour = np.where(is_weekend & (rng.random(rows) < 0.3), (hour + 5) % 24, hour)
    seconds = (hour * 3600 + rng.integers(0, 3600, rows)).astype("timedelta64[s]")
    return (first + day).astype("datetime64[us]") + seconds, hour, is_weekend


def draw_bernoulli(rng: np.random.Generator, logit: Float64Array) -> BoolArray:
    """Return True for each row with the probability that a logit gives."""
    return np.asarray(rng.random(len(logit)) < 1 / (1 + np.exp(-logit)))
