"""Types of command-line arguments."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path


def positive_int(text: str) -> int:
    """Return an integer above zero."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer above zero")
    return number


def at_least_two(text: str) -> int:
    """Return an integer above one."""
    number = positive_int(text)
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer above one")
    return number


def distinct_counts(text: str) -> list[int]:
    """Return distinct integers above zero from a list such as 1,2,4,8."""
    return list(dict.fromkeys(positive_int(item) for item in text.split(",")))


def positive_float(text: str) -> float:
    """Return a number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return number


def distinct_names(text: str, allowed: Iterable[str]) -> list[str]:
    """Return distinct names from a comma-separated list. Each name must be one of the allowed."""
    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in allowed:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(allowed)}")
    return names


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select the months of a benchmark."""
    parser.add_argument(
        "--source",
        type=Path,
        help="folder with real months for the workload defaults (default: $TOYTIP_BENCH_SOURCE, else "
        "data/green-2023 if it exists, else the synthetic year)",
    )
    parser.add_argument(
        "--rows", type=positive_int, default=100_000, help="mean number of trips per synthetic month"
    )
    parser.add_argument("--seed", type=int, default=2020, help="random seed of the synthetic year")
    parser.add_argument(
        "--data", type=Path, default=Path("toytip-data/bench"), help="folder for synthetic years"
    )


def add_output_option(parser: argparse.ArgumentParser, default: Path) -> None:
    """Add the option that names the result file."""
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        default=default,
        help="result file in JSON Lines, to which results are appended",
    )
