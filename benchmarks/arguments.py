"""Values on command lines, checked before there is work."""

from __future__ import annotations

import argparse


def positive_int(text: str) -> int:
    """Return a whole number above zero."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above zero")
    return number


def distinct_counts(text: str) -> list[int]:
    """Return different whole numbers above zero, as 1,2,4,8."""
    return list(dict.fromkeys(positive_int(part) for part in text.split(",")))


def positive_float(text: str) -> float:
    """Return a number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return number
