"""Generate readings of electricity meters: `python generate.py [FOLDER]`.

The readings are SYNTHETIC. They show how toytip works with data of your own, and say nothing about
real homes. Equal seeds give equal files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

METERS, MONTHS, SEED = 40, ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05"), 7
# Use by hour of the day, relative to the mean of a home.
DAILY = np.array([4, 3, 3, 3, 3, 5, 9, 12, 10, 8, 8, 9, 11, 10, 8, 8, 9, 13, 18, 20, 18, 14, 9, 6]) / 9.2
NEGATIVE, MISSING = 0.002, 0.003
"""Shares of readings with a negative consumption, and without one."""


def generate_month(month: str, seed: int = SEED) -> pd.DataFrame:
    """Return the readings of a month. The months of a seed have the same homes."""
    homes = np.random.default_rng(seed)
    level, heat_pump = homes.gamma(6, 0.09, METERS), homes.random(METERS) < 0.4
    rng = np.random.default_rng([seed, *map(int, month.split("-"))])
    hours = pd.date_range(f"{month}-01", periods=24 * pd.Period(month).days_in_month + 1, freq="h")
    temperature = _temperature(rng, hours)
    heat = np.maximum(18 - temperature, 0)[:, None] * 0.055 * heat_pump
    habit = pd.DataFrame(rng.normal(0, 1, (len(hours), METERS))).rolling(6, min_periods=1).mean()
    use = level * DAILY[hours.hour][:, None] * np.exp(habit.to_numpy())
    kwh = (use + heat) * rng.lognormal(0, 0.25, use.shape)
    return _readings(rng, hours, kwh, heat_pump, temperature)


def _temperature(rng: np.random.Generator, hours: pd.DatetimeIndex) -> np.ndarray:
    """Return the temperature of each hour. All months have the same climate, without seasons."""
    weather = np.repeat(rng.normal(8, 1.5, len(hours) // 24 + 1), 24)[: len(hours)]
    return weather - 4 * np.cos((hours.hour.to_numpy() - 3) / 24 * 2 * np.pi)


def _readings(
    rng: np.random.Generator,
    hours: pd.DatetimeIndex,
    kwh: np.ndarray,
    heat_pump: np.ndarray,
    temperature: np.ndarray,
) -> pd.DataFrame:
    """Return one row per meter and hour, with a few faults as real meters have them."""
    rows = len(hours) - 1
    frame = pd.DataFrame(
        {
            "timestamp": np.repeat(hours[:-1], METERS),
            "forecast_at": np.repeat(hours[:-1] + pd.Timedelta("20min"), METERS),
            "meter_id": np.tile(np.arange(METERS), rows),
            "heating": np.tile(np.where(heat_pump, "heat pump", "gas"), rows),
            "consumption": kwh[:-1].ravel().round(3),
            "forecast": (np.repeat(temperature[1:], METERS) + rng.normal(0, 2, rows * METERS)).round(1),
            "next_kwh": kwh[1:].ravel().round(3),
        }
    )
    chance = rng.random(len(frame))
    frame.loc[chance < NEGATIVE, "consumption"] *= -1
    frame.loc[chance > 1 - MISSING, "consumption"] = np.nan
    return frame


def main(folder: str = "data") -> None:
    """Write one Parquet file per month to a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for month in MONTHS:
        generate_month(month).to_parquet(Path(folder) / f"meters_{month}.parquet", index=False)
    sys.stdout.write(f"wrote {len(MONTHS)} months of synthetic readings to {folder}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
