"""Hourly readings of electricity meters. The label is a high consumption in the next hour."""

import numpy as np

from toytip import Field, OwnDataset, feature, label, rule, segment

HIGH_USE_KWH = 1.5

meters = OwnDataset(
    "meters",
    fields=[
        Field("read_at", "time", ("timestamp",), description="End of the measured hour."),
        Field("forecast_at", "time", example="20min", description="Time of the weather forecast."),
        Field("meter", "code", ("meter_id",), example=7, description="Number of the meter, from 0."),
        Field("heating", "code", texts=(("GAS", 0), ("HEAT PUMP", 1)), description="Heating of the home."),
        Field("kwh", "amount", ("consumption",), example=0.8, description="Consumption of the hour."),
        Field("forecast", "amount", available="forecast", required=False, example=12.0),
        Field("next_kwh", "amount", available="settled", example=0.9),
    ],
    moments={"reading": "read_at", "forecast": "forecast_at"},
    groups={"meter": 64, "hour": 24},
    baseline=["meter", "hour"],
    rates={"meter_rate": ["meter"], "meter_hour_rate": ["meter", "hour"]},
    slices=["heating", "hour"],
    score_columns=["meter"],
    hour="hour",
    weekday="weekday",
    time_zone="Europe/Berlin",
)


@label(needs=["next_kwh"], settled="the next hour is measured")
def high_use(rows):
    """Return whether the consumption of the next hour is above 1.5 kWh."""
    return rows["next_kwh"] > HIGH_USE_KWH


@feature(available="reading", needs=["read_at"], dtype="int8")
def hour(rows):
    """Return the hour of the day, 0 to 23."""
    return rows["read_at"].astype("datetime64[h]").astype("int64") % 24


@feature(available="reading", needs=["read_at"], dtype="int8")
def weekday(rows):
    """Return the day of the week, 0 for Monday."""
    return (rows["read_at"].astype("datetime64[D]").astype("int64") + 3) % 7


@feature(available="forecast", needs=["forecast"], dtype="float32")
def heating_degrees(rows):
    """Return the degrees by which the forecast is below 18 degrees Celsius."""
    return np.maximum(18 - rows["forecast"], 0)


@rule
def negative_consumption(rows):
    """The consumption is negative: the meter was replaced."""
    return rows["kwh"] < 0


@segment(needs=["heating"])
def heat_pumps(rows):
    """Return whether the home has a heat pump."""
    return rows["heating"] == 1
