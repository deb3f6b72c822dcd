"""The synthetic year: exact numbers of invalid rows, and related columns."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from toytip.core.months import Month
from toytip.core.partitions import SourcePartition
from toytip.datasets.tlc.taxis.dataset import TLC
from toytip.datasets.tlc.taxis.synthetic import (
    SYNTHETIC_MONTHS,
    SyntheticSpec,
    generate_month,
    invalid_rows,
    month_rows,
)
from toytip.stages.clean import clean, count_reasons
from toytip.stages.conform import conform
from toytip.stages.featurize import featurize


def trips(month, spec):
    table = generate_month(month, spec)
    return conform(
        table,
        SourcePartition(taxi="yellow", month=month, uri="synth", start=0, stop=len(table), number=0),
        TLC,
    )


@pytest.mark.parametrize(
    "month", [Month(2020, 1), Month(2020, 2), Month(2020, 4), Month(2023, 12), Month(2024, 2)]
)
@pytest.mark.parametrize("rows", [1, 7, 3_000, 20_000])
def test_the_number_of_invalid_rows_is_exact(month, rows):
    accepted, rejects = clean(trips(month, SyntheticSpec(rows_per_month=rows, seed=5)), TLC)
    expected = invalid_rows(month, rows)
    assert count_reasons(rejects) == {reason: count for reason, count in expected.items() if count}
    assert len(accepted) + len(rejects) == month_rows(month, rows)
    assert ("unreadable_value", *expected) == TLC.reject_reasons, "the types of the file exclude such values"


def test_equal_seeds_give_equal_months():
    month = Month(2020, 3)
    first, second, other = (
        generate_month(month, SyntheticSpec(rows_per_month=500, seed=seed)) for seed in (1, 1, 2)
    )
    assert first.equals(second)
    assert not first.equals(other)


def test_the_year_has_the_requested_mean():
    assert sum(month_rows(month, 100_000) for month in SYNTHETIC_MONTHS) == pytest.approx(1_200_000, abs=12)


def test_the_year_drifts_like_2020():
    share = {}
    for month in (1, 4, 12):
        features = featurize(
            clean(trips(Month(2020, month), SyntheticSpec(rows_per_month=20_000)), TLC)[0], TLC
        )
        share[month] = features["high_tip"].mean(), (features["payment_type"] == 1).mean()
    assert share[1][0] > share[12][0] > share[4][0]
    assert 0.5 < share[1][0] < 0.6
    assert 0.3 < share[4][0] < 0.42
    assert 0.68 < share[1][1] < 0.78
    assert 0.45 < share[4][1] < 0.6


def test_columns_are_related():
    accepted = clean(trips(Month(2020, 1), SyntheticSpec(rows_per_month=20_000)), TLC)[0]
    assert np.corrcoef(accepted["trip_distance"], accepted["fare_amount"])[0, 1] > 0.85
    assert (accepted.loc[accepted["payment_type"] != 1, "tip_amount"] == 0).all()
    assert (accepted.loc[accepted["RatecodeID"] == 2, "fare_amount"] == 52).all()
    assert accepted["passenger_count"].isna().equals(accepted["payment_type"] == 0)
    assert 3 < accepted["fare_amount"].median() < 15
    speed = (
        accepted["trip_distance"] / (accepted["dropoff_at"] - accepted["pickup_at"]).dt.total_seconds() * 3600
    )
    assert 7 < speed.median() < 16


def test_tips_can_be_learned():
    names = ["PULocationID", "DOLocationID", "fare_amount", "pickup_hour", "payment_type", "passenger_count"]
    train, test = (
        featurize(clean(trips(Month(2020, m), SyntheticSpec(rows_per_month=20_000)), TLC)[0], TLC)
        for m in (1, 2)
    )
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(train[names], train["high_tip"])
    probability = model.predict_proba(test[names])[:, 1]
    card = test["payment_type"] == 1
    assert roc_auc_score(test["high_tip"], probability) > 0.8
    assert roc_auc_score(test.loc[card, "high_tip"], probability[card]) > 0.58
