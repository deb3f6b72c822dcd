import json
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest

from toytip.core.jsonable import FLATTEN, to_json
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
    ],
)
def test_values_become_json(value, expected):
    plain = to_json(value)
    assert plain == expected
    assert json.loads(json.dumps(plain)) == expected
