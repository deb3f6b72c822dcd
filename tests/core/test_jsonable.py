import json
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest

from toytip.core.jsonable import FLATTEN, dump_json, to_json
from toytip.core.months import Month


class Interval(NamedTuple):
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    month: Month
    auc: Interval | None
    rows: dict[str, int]


@dataclass(frozen=True)
class Run:
    version: str
    report: Report = field(metadata=FLATTEN)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            Report(Month(2023, 1), Interval(0.1, 0.2), {"read": 3}),
            {"month": "2023-01", "auc": {"low": 0.1, "high": 0.2}, "rows": {"read": 3}},
        ),
        (Report(Month(2023, 1), None, {}), {"month": "2023-01", "auc": None, "rows": {}}),
        (
            Run("v1", Report(Month(2023, 1), None, {})),
            {"version": "v1", "month": "2023-01", "auc": None, "rows": {}},
        ),
        ((1, "a", None, True), [1, "a", None, True]),
        ({Month(2023, 12): np.float32(0.5)}, {"2023-12": 0.5}),
        ([np.int64(3), np.bool_(False)], [3, False]),
        ({"auc": float("nan"), "psi": np.float32("inf")}, {"auc": None, "psi": None}),
        (
            Report(Month(2023, 1), Interval(0.1, -np.inf), {}),
            {"month": "2023-01", "auc": {"low": 0.1, "high": None}, "rows": {}},
        ),
    ],
)
def test_values_become_json(value, expected):
    plain = to_json(value)
    assert plain == expected
    assert json.loads(dump_json(plain)) == expected


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"psi": np.float64("-inf")}])
def test_a_number_that_json_lacks_is_not_written(value):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        dump_json(value)
