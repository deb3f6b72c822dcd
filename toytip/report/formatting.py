"""Numbers, dates and names as text for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from toytip.core.dataset.words import ReportWords

NO_VALUE = "\N{EN DASH}"


def format_count(value: float | None) -> str:
    """Return a whole number with thousands separators.

    >>> format_count(787060)
    '787,060'
    """
    return NO_VALUE if value is None else f"{value:,.0f}"


def format_share(value: float | None, digits: int = 1) -> str:
    r"""Return a share as a percentage.

    >>> format_share(0.0062)
    '0.6\xa0%'
    """
    return NO_VALUE if value is None else f"{100 * value:.{digits}f}\u00a0%"


def format_metric(value: float | None) -> str:
    """Return a metric with four decimals."""
    return NO_VALUE if value is None else f"{value:.4f}"


def format_signed(value: float | None, digits: int = 4) -> str:
    """Return a number with its sign. The minus sign is as wide as the plus sign.

    >>> format_signed(0.25, 2), format_signed(1200, 0)
    ('+0.25', '+1,200')
    """
    if value is None:
        return NO_VALUE
    return f"{value:+,.{digits}f}".replace("-", "\N{MINUS SIGN}") if value else "0"


def format_megabytes(value: float) -> str:
    r"""Return a number of bytes in megabytes.

    >>> format_megabytes(13181281)
    '13.2\xa0MB'
    """
    return f"{value / 1e6:,.1f}\u00a0MB"


def format_setting(value: object) -> str:
    """Return a setting's value as text."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(format_setting, value))
    return NO_VALUE if value is None or value == "" else str(value)


def format_minute(text: str) -> str:
    """Return an ISO 8601 time as text in UTC, to the minute.

    >>> format_minute("2026-11-25T12:48:57.123456+00:00")
    '2026-11-25 12:48 UTC'
    """
    return f"{dt.datetime.fromisoformat(text).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def format_month_range(months: Sequence[str]) -> str:
    """Return the range of the months in words.

    >>> format_month_range(["2023-01", "2023-02", "2023-12"])
    'January to December 2023'
    >>> format_month_range(["2022-12", "2023-01"]), format_month_range(["2023-05"])
    ('December 2022 to January 2023', 'May 2023')
    """
    if not months:
        return ""
    first, last = (dt.date.fromisoformat(f"{month}-01") for month in (months[0], months[-1]))
    if first == last:
        return f"{first:%B %Y}"
    return f"{first:%B} to {last:%B %Y}" if first.year == last.year else f"{first:%B %Y} to {last:%B %Y}"


LABELS = {
    "auc": "AUC",
    "pr_auc": "PR AUC",
    "f1": "F1",
    "brier": "Brier score",
    "f1_always_positive": "F1 of always-positive",
    "always_positive": "always-positive",
    "constant_probability": "constant probability",
    "prevalence": "share of positive labels",
}


def label(name: str) -> str:
    """Return the name of a metric, reject reason, slice or baseline in words.

    >>> label("pr_auc"), label("non_positive_fare")
    ('PR AUC', 'non positive fare')
    """
    return LABELS.get(name, name.replace("_", " "))


def baseline_label(name: str, words: ReportWords) -> str:
    """Return the name of a baseline in words of the data set."""
    return words.baseline if name == "group_mean" else label(name)


def capitalize_first(text: str) -> str:
    """Return a text with its first letter capitalized."""
    return text[:1].upper() + text[1:]


def compact(value: float) -> str:
    """Return a number with three significant digits, or as a whole number from 1,000 on.

    >>> compact(0.009979), compact(2440.0), compact(14.193)
    ('0.00998', '2,440', '14.2')
    """
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
