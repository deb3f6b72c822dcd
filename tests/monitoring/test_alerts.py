"""The alert rule: one unusual month is not an alert."""

from dataclasses import replace

import pytest

from toytip.core.jsonable import to_json
from toytip.core.parameters import AlertThresholds
from toytip.monitoring.alerts import Measurement, find_alerts, share_measurements


def measure(month, effect, threshold=1.0, name="x"):
    return Measurement(
        month=f"2023-{month:02d}",
        kind="drift",
        name=name,
        measure="psi",
        value=effect,
        effect=effect,
        threshold=threshold,
    )


@pytest.mark.parametrize(
    ("effects", "alert_months"),
    [
        ([0, 0, 2, 0], []),  # one unusual month
        ([0, 2, 2, 0], [3]),  # not exceeded in the latest month
        ([0, 2, 0, 2], [4]),
        ([2, 0, 0, 2], [1]),  # the only month exceeds the threshold
        ([2, 2, 2, 2], [1, 2, 3, 4]),
        ([1.0, 1.0, 1.0], []),  # the threshold itself is not exceeded
    ],
)
def test_the_alert_rule(effects, alert_months):
    measurements = [measure(month, effect) for month, effect in enumerate(effects, 1)]
    without_threshold = [replace(item, threshold=None, name="y") for item in measurements]
    alerts = find_alerts([*measurements, *without_threshold], AlertThresholds())
    assert [alert.month for alert in alerts] == [f"2023-{month:02d}" for month in alert_months]
    assert {alert.name for alert in alerts} <= {"x"}


def test_an_alert_has_the_keys_of_its_measurement():
    (alert,) = find_alerts([measure(1, 2.0)], AlertThresholds())
    assert to_json(alert) == {
        **to_json(measure(1, 2.0)),
        "breach_months": ["2023-01"],
        "window_months": 1,
    }


@pytest.mark.parametrize(
    ("current", "reference", "effects"),
    [
        (
            {"segment": 0.5, "segment_prevalence": 0.7},
            {"segment": 0.8, "segment_prevalence": 0.7},
            [0.3, 0.0],
        ),
        (
            {"segment": 0.5, "segment_prevalence": 0.7},
            {"segment": 0.0},
            [0.5],
        ),  # no card trips in the reference
        ({"segment": 0.0}, {"segment": 0.8, "segment_prevalence": 0.7}, [0.8]),
    ],
)
def test_shares_are_compared_if_both_sides_have_them(current, reference, effects):
    measurements = share_measurements("2023-05", current, reference, AlertThresholds())
    assert [item.effect for item in measurements] == pytest.approx(effects)
