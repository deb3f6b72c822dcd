"""Analysis months and reference months, and requests that cannot be met."""

import pytest

from tests.support.monitored_year import YEAR
from toytip.errors import ConfigError, StoreError
from toytip.monitoring.plan import plan_monitoring


def test_months_without_predictions_are_rejected(model):
    with pytest.raises(
        ConfigError, match="cannot monitor 2022-03: the model has predictions only for 2021-01"
    ):
        plan_monitoring(model, YEAR, analysis_months="2021-12,2022-03")


def test_there_is_no_plan_without_months_after_the_training_months(model):
    assert plan_monitoring(model, YEAR[:3]) is None


@pytest.mark.parametrize(
    ("message", "months", "options"),
    [
        (
            "cannot compare the reference with itself",
            YEAR,
            {"reference": "2021-05", "analysis_months": "2021-05"},
        ),
        ("cannot compare the reference with itself", YEAR[:5], {"reference": "2021-01:2021-05"}),
        (r"the reference \(2021-04\) needs labels", YEAR, {"labels_until": "2021-03"}),
        ("no predictions for its training months", YEAR[3:], {}),
    ],
)
def test_impossible_comparisons_are_rejected_with_a_hint(model, message, months, options):
    with pytest.raises((ConfigError, StoreError), match=message) as refused:
        plan_monitoring(model, months, **options)
    assert "--reference" in refused.value.hint


def test_comparisons_that_look_better_than_they_are_have_a_warning(model):
    assert plan_monitoring(model, YEAR, analysis_months="2021-02:2021-05").warnings == (
        "the model was trained on 2021-02 to 2021-03, so its performance there looks better",
    )
    overlap = plan_monitoring(model, YEAR, reference="2021-05", analysis_months="2021-05:2021-06")
    assert overlap.warnings == ("the reference includes 2021-05, so drift there looks smaller than it is",)
    trained = plan_monitoring(model, YEAR, reference="2021-01:2021-02")
    assert trained.warnings
    assert YEAR[0] not in trained.analysis_months
