"""The module of a project for tests."""

from __future__ import annotations

from typing import Any

from toytip.core.dataset.module_source import ModuleSource

HEADER = "import numpy as np\nfrom toytip import feature, label, rule, segment\n"
MYTIPS = (
    HEADER
    + '''
LIMIT = 1000


@feature(available="pickup", needs=["pickup_at"], dtype="int8")
def is_weekend(trips):
    """Return 1 on Saturday and Sunday, else 0."""
    day = trips["pickup_at"].astype("datetime64[D]").view("int64")
    return (day + 3) % 7 >= 5


@rule
def fare_above_limit(trips):
    """The fare is above 1,000 dollars."""
    return trips["fare_amount"] > LIMIT


@label(needs=["tip_amount", "fare_amount"])
def generous_tip(trips):
    """Return whether the tip exceeds 30 % of the fare."""
    return trips["tip_amount"] > 0.3 * trips["fare_amount"]


@segment(needs=["payment_type"])
def cash(trips):
    return trips["payment_type"] == 2
'''
)


def module_of(source: str, file: str = "mytips.py", base: str = "tlc") -> ModuleSource:
    """Return a module that extends a data set."""
    return ModuleSource(file=file, base=base, source=source)


def feature_source(body: str, *, needs: str | list[str] = "pickup_at", **changes: Any) -> str:
    """Return a module with one feature, whose body starts at line 5."""
    options = {"available": "pickup", "dtype": "int8", **changes}
    arguments = ", ".join(f"{name}={value!r}" for name, value in options.items())
    names = [needs] if isinstance(needs, str) else needs
    return f"{HEADER}@feature({arguments}, needs={names!r})\ndef mine(trips):\n    return {body}\n"


# Tables for modules that take them from here.
FRAMES: list[Any] = []
