"""Words for the values of features of the pickup time. Importing this module costs no time."""

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# By feature. Weekday 0 is Monday.
TIME_WORDS = {
    "work_hours": {"0": "outside work hours", "1": "work hours"},
    "pickup_weekday": dict(zip(map(str, range(7)), _WEEKDAYS, strict=True)),
}
